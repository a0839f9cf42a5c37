/** The commands put together, and one way to run a command line: what it prints goes to `output`, how it ended is the result. */
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { registerCompile } from './commands/compile.js';
import { registerCount } from './commands/count.js';
import { registerExport } from './commands/export.js';
import { registerLanguage } from './commands/language.js';
import { registerOnnx } from './commands/onnx.js';
import { registerProject } from './commands/project.js';
import { registerReport } from './commands/report.js';
import { registerTrain } from './commands/train.js';
import { registerUse } from './commands/use.js';
import { type CommandOutput, report } from './context.js';
import { EXIT } from './exit.js';
import type { Output } from './output.js';

const { version } = createRequire(import.meta.url)('#package') as { version: string };

function createProgram(output: CommandOutput): Command {
  const program = new Command('espalier')
    .description('Adapt and prune large vision models: from one .peft spec to WebGPU programs.')
    .version(version)
    .addHelpText(
      'after',
      `
Exit codes: ${EXIT.ok} done, ${EXIT.input} wrong input, ${EXIT.usage} wrong command line, ${EXIT.device} no usable GPU, ${EXIT.differs} \`fmt --check\` or \`eval --min\` not met, ${EXIT.skipped} images skipped, ${EXIT.lost} the GPU was lost while it trained (\`--resume\` goes on), ${EXIT.internal} a fault of Espalier.
Environment: ESPALIER_DRIVER=system|lavapipe|swiftshader picks the GPU driver, NO_COLOR turns colour off.`,
    )
    // Its errors come back as exceptions and are said like all others.
    .configureOutput({
      writeOut: (text) => output.print(text),
      writeErr: (text) => output.note(text),
      outputError() {},
    })
    .exitOverride();
  registerLanguage(program, output);
  registerCompile(program, output);
  registerExport(program, output);
  registerTrain(program, output);
  registerReport(program, output);
  registerUse(program, output);
  registerCount(program, output);
  registerOnnx(program, output);
  registerProject(program, output);
  return program;
}

/** @param args without the names of the interpreter and the script. Gives the exit code; never throws. */
export async function runCommandLine(args: readonly string[], output: Output): Promise<number> {
  let code: number = EXIT.ok;
  const program = createProgram({
    ...output,
    finish: (ended) => {
      code = ended;
    },
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return code;
  } catch (error) {
    const json = args.includes('--json');
    if (!(error instanceof CommanderError)) return report(error, output, json);
    if (error.exitCode === 0) return EXIT.ok;
    // Without a command, commander has printed the help and there is no more to say.
    if (error.code === 'commander.help') return EXIT.usage;
    const command = program.commands.find((c) => c.name() === args[0])?.name();
    const problem = error.message.replace(/^error: /, '').replace(/\n\(?(.*?)\)?$/s, '; $1');
    return report(new EspalierError([diagnostic('ESP0922', { problem, command })]), output, json);
  }
}
