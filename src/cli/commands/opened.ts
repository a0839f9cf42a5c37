/** What the commands that run a program have in common: a compiled folder, or what is compiled before it runs. */
import type { Command } from 'commander';
import type { Session } from '../../api/index.js';
import { type ImagesOptions, openProgram, type Skipped } from '../../api/node/programs.js';
import { type CommandOutput, collectSet, showDiagnostics } from '../context.js';
import { EXIT } from '../exit.js';
import { startProgress } from '../output.js';
import { asked, OFFLINE, type SpecFlags } from '../spec.js';

export interface UseFlags extends Pick<SpecFlags, 'set' | 'model' | 'base' | 'offline'> {
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly strict?: boolean;
}

/** What may be run. */
export const PROGRAM =
  'a folder that `compile` wrote; or, to be compiled first, a .peft file, the same as .json, or the folder of a run, a checkpoint or an adapter';

/** Opens a program for `body`, which hears what images are skipped as it is said; the result is the exit code that they make of its own. */
export async function onProgram(
  dir: string,
  flags: UseFlags,
  output: CommandOutput,
  body: (session: Session, options: ImagesOptions, skipped: readonly Skipped[], clear: () => void) => Promise<number>,
): Promise<number> {
  const progress = startProgress();
  const skipped: Skipped[] = [];
  const skip = (one: Skipped) => {
    progress.done();
    skipped.push(one);
    showDiagnostics(one.diagnostics, output, false);
  };
  const session = await openProgram(dir, {
    compile: asked(flags, progress.report),
    warn: (d) => {
      progress.done();
      showDiagnostics([d], output, false);
    },
  }).finally(progress.done);
  try {
    const options = { progress: progress.report, ...(flags.strict ? {} : { skip }) };
    const code = await body(session, options, skipped, progress.done);
    if (skipped.length === 0) return code;
    output.note(`${skipped.length} that could not be read ${skipped.length === 1 ? 'was' : 'were'} skipped`);
    return code === EXIT.ok ? EXIT.skipped : code;
  } finally {
    progress.done();
    session.dispose();
  }
}

export const useOptions = (command: Command) =>
  command
    .option('--base <folder>', 'the base of an adapter folder given as the program, where that does not lead to it')
    .option('--set <name=value>', "give one of a spec's options a value", collectSet)
    .option('--model <name>', 'which model, when a spec has several')
    .option(...OFFLINE)
    .option('--json', 'as JSON')
    .option('--strict', 'stop at the first image that cannot be read; without it, such images are named and skipped');
