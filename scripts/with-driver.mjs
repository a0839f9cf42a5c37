/**
 * Runs a command with the environment of a WebGPU driver: `node scripts/with-driver.mjs [--driver lavapipe|swiftshader|system] command args`.
 */
import { spawn } from 'node:child_process';
import { tsImport } from 'tsx/esm/api';

const { openGpu, environment, describe } = await tsImport('../runtime/node/driver.ts', import.meta.url);

/** The environment of the driver that `choice` names (default: the best here), and what it is. */
export async function driverEnvironment(choice) {
  const { adapter, driver } = await openGpu(choice);
  return { name: driver.name, description: describe(adapter), env: { ...process.env, ...environment(driver) } };
}

/** Runs a command to its end with our streams; gives its exit code (128 + signal, as shells do, if a signal ended it). */
export function runToEnd(command, args, env) {
  const child = spawn(command, args, { stdio: 'inherit', env });
  const forward = (signal) => child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : signal === 'SIGTERM' ? 15 : 9)),
    );
  });
}

/** Says in two lines what a typed error means and what to do, and ends the process. */
export function fail(error) {
  console.error(error.code ? `${error.code}: ${error.message}\n  ${error.help}` : error);
  process.exit(1);
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const args = process.argv.slice(2);
  const choice = args[0] === '--driver' ? args.splice(0, 2)[1] : undefined;
  const [command, ...rest] = args;
  if (!command) fail(new Error('usage: node scripts/with-driver.mjs [--driver NAME] command args'));
  const { env } = await driverEnvironment(choice).catch(fail);
  process.exit(await runToEnd(command, rest, env));
}
