/** `npm test`: finds a WebGPU driver, builds the runtime's bundle and runs vitest on them. Arguments go to vitest; `--driver NAME` picks. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { buildRuntime } from './build-runtime.mjs';
import { driverEnvironment, fail, runToEnd } from './with-driver.mjs';

const args = process.argv.slice(2);
const at = args.indexOf('--driver');
const choice = at >= 0 ? args.splice(at, 2)[1] : undefined;
const { env, name, description } = await driverEnvironment(choice).catch(fail);
await buildRuntime();
console.log(`driver: ${name} (${description})`);
const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
process.exit(await runToEnd(process.execPath, [vitest, 'run', ...args], env));
