#!/usr/bin/env node
/** The command line. One thin file for each group of commands; everything they do is the API's. */
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { registerCompile } from './commands/compile.js';
import { registerLanguage } from './commands/language.js';
import { registerProject } from './commands/project.js';
import { registerUse } from './commands/use.js';
import { EXIT } from './exit.js';
import { terminalOutput } from './output.js';

const { version } = createRequire(import.meta.url)('#package') as { version: string };

const output = terminalOutput();
const program = new Command('espalier')
  .description('Adapt and prune large vision models: from one .peft spec to WebGPU programs.')
  .version(version)
  .showHelpAfterError('(`espalier help` lists the commands)')
  .addHelpText(
    'after',
    `
Exit codes: ${EXIT.ok} done, ${EXIT.input} wrong input, ${EXIT.usage} wrong command line, ${EXIT.device} no usable GPU, ${EXIT.differs} \`fmt --check\` or \`eval --min\` not met, ${EXIT.internal} a fault of Espalier.
Environment: ESPALIER_DRIVER=system|lavapipe|swiftshader picks the GPU driver, NO_COLOR turns colour off.`,
  )
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  });

registerLanguage(program, output);
registerCompile(program, output);
registerUse(program, output);
registerProject(program, output);

// `espalier run ... | head` closes the pipe early; that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

await program.parseAsync();
