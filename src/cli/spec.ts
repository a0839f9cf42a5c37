/** What the commands that work on a spec have in common. */
import type { Command } from 'commander';
import type { Host, Progress } from '../api/host.js';
import { nodeHost } from '../api/node/host.js';
import { toJson } from '../diagnostics/render.js';
import type { Diagnostic } from '../diagnostics/types.js';
import { collectSet, textOf } from './context.js';
import { startProgress } from './output.js';

export interface SpecFlags {
  readonly set?: Record<string, string>;
  readonly model?: string;
  readonly base?: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

/** Of all commands that may open a repository. */
export const OFFLINE = [
  '--offline',
  'take `hf:org/name` from the cache of Hugging Face alone, ask no server (as HF_HUB_OFFLINE=1)',
] as const;

/** This machine, for a command with these flags. */
export const hostFor = ({ offline }: Pick<SpecFlags, 'offline'>, progress?: Progress): Host =>
  nodeHost({ offline, progress });

export const specOptions = (command: Command) =>
  command
    .argument('<spec>', 'a .peft file, the same as .json, or the folder of a run, a checkpoint or an adapter')
    .option('--base <folder>', 'the base of an adapter folder given as the spec, where that does not lead to it')
    .option('--set <name=value>', "give one of the model's options a value", collectSet)
    .option('--model <name>', 'which model, when the spec has several')
    .option('--json', 'the result, or the diagnostics, as JSON')
    .option(...OFFLINE);

/** What every one of these commands asks the API for. */
export const asked = (flags: SpecFlags, progress?: Progress) => ({
  ...(flags.base ? { base: flags.base } : {}),
  ...(flags.set ? { set: flags.set } : {}),
  ...(flags.model ? { model: flags.model } : {}),
  ...(progress ? { progress } : {}),
  host: hostFor(flags, progress),
});

/** Runs `body` behind a line of progress, which is gone when it ends. */
export async function withProgress<T>(body: (report: Progress) => Promise<T>): Promise<T> {
  const progress = startProgress();
  try {
    return await body(progress.report);
  } finally {
    progress.done();
  }
}

export const asJson = (result: object, warnings: readonly Diagnostic[]) =>
  JSON.stringify({ ...result, diagnostics: toJson(warnings, textOf) }, null, 2);
