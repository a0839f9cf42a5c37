#!/usr/bin/env node
/** The command line. One thin file for each group of commands; everything they do is the API's. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { reasonOf } from '../formats/node/files.js';
import { report } from './context.js';
import { EXIT } from './exit.js';
import { terminalOutput } from './output.js';
import { runCommandLine } from './program.js';

const output = terminalOutput();
let code = await runCommandLine(process.argv.slice(2), output);
const failed = await output.flush();
// Whoever closes a pipe has read enough: that is no error. A full disk is one.
if (failed && failed.code !== 'EPIPE') {
  const problem = new EspalierError([diagnostic('ESP0520', { path: 'standard output', reason: reasonOf(failed) })]);
  const unwritten = report(problem, output, false);
  if (code === EXIT.ok) code = unwritten;
}
process.exitCode = code;
