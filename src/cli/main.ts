#!/usr/bin/env node
/** The command line. One thin file for each group of commands; everything they do is the API's. */
import { EXIT } from './exit.js';
import { terminalOutput } from './output.js';
import { runCommandLine } from './program.js';

// `espalier run ... | head` closes the pipe early; that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), terminalOutput());
