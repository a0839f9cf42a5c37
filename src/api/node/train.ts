/** `train`: from a spec with a `train` block to the folder of a run, on this machine's files and GPU. */
import { DeviceLostError } from '../../../runtime/errors.js';
import { sha256 } from '../../../runtime/program/digest.js';
import { datasetHash } from '../../data/arrays.js';
import { type DataSpec, openDatasets, type PointsFormat } from '../../data/node/open.js';
import { openLoader } from '../../data/node/threads.js';
import type { Datasets, SkippedItem } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, TrainSettings } from '../../dsl/elaborated.js';
import type { Tensor } from '../../ir/types.js';
import type { Spec, SpecOptions } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { Host, Progress } from '../host.js';
import { loadersOf, splitsOf } from '../train/data.js';
import { type EndEvent, START, type TrainEvent } from '../train/events.js';
import { type KeptFeatures, stillReaders } from '../train/kept.js';
import { readTraining } from '../train/open.js';
import { type Run, runTraining } from '../train/run.js';
import { openTrainer, type Trainer } from '../train/trainer.js';
import { version } from '../version.js';
import { featureFiles } from './feature-file.js';
import { requireSpec } from './folders/spec-of.js';
import { nodeHost } from './host.js';
import { type RunFacts, RunFolder, readRun } from './run-folder.js';
import { RunLog } from './run-log.js';
import type { OnNode } from './spec.js';

export interface TrainRunOptions extends SpecOptions {
  /** Folder of the run; made if it is not there. */
  readonly out: string;
  /** Goes on with the run that is in the folder. */
  readonly resume?: boolean;
  /** In place of the `train` block's `seed`. A run goes on under the one that it was begun with. */
  readonly seed?: number;
  /** Data in place of those that the spec names. */
  readonly datasets?: Datasets;
  /** Ends the run after the step that is under way; it can be resumed. */
  readonly signal?: AbortSignal;
  /** Hears of pictures that cannot be read. */
  readonly skipped?: (item: SkippedItem) => void;
  readonly warn?: (diagnostic: Diagnostic) => void;
  /** Hears what a run is before its first step. */
  readonly began?: (run: RunFacts) => void;
  /** Hears of what is computed once an image, when that is there. */
  readonly kept?: (features: KeptFeatures) => void;
  readonly progress?: Progress;
}

/**
 * Trains what a spec says, step by step: `for await (const event of train('flowers.peft', { out: 'run' }))`. The generator's value is how the run ended.
 * @throws EspalierError with everything that is wrong with the spec, its files, its data, the folder (ESP1104, ESP1105, ESP1107, ESP0906), what is resumed (ESP1106), and
 * with a loss that is not a number (ESP1103), a GPU that is lost (ESP1113), a folder that takes no more (ESP0520): the folder can be gone on with then. RuntimeError where there is no GPU
 */
export async function* train(
  spec: Spec,
  options: OnNode<TrainRunOptions>,
): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { out } = options;
  await requireSpec(spec, { host: nodeHost(), ...options });
  RunFolder.lock(out, options.resume ?? false);
  try {
    const log = new RunLog(out);
    // What is warned of before there is a run is in its log once there is one.
    const early: (() => void)[] = [];
    let began = false;
    const note = (write: () => void): unknown => (began ? write() : early.push(write));
    const request: TrainRunOptions = {
      host: nodeHost(),
      ...options,
      warn: (diagnostic) => {
        note(() => log.warned(diagnostic));
        options.warn?.(diagnostic);
      },
      skipped: (item) => {
        note(() => log.skipped(item));
        options.skipped?.(item);
      },
    };
    const { facts, ...run } = await sayDataErrors(() => prepared(spec, request));
    const { signal, progress, warn } = request;
    try {
      const training = runTraining(run, {
        signal,
        progress,
        warn,
        kept: (features) => {
          log.kept(features);
          options.kept?.(features);
        },
        began: () => {
          log.began(facts, run.trainer.device, run.from.step);
          began = true;
          for (const write of early) write();
          options.began?.(facts);
        },
      });
      for (;;) {
        const next = await training.next();
        if (next.done) return next.value;
        log.event(next.value);
        yield next.value;
      }
    } catch (error) {
      log.failed(error);
      throw withKept(error, run.store);
    }
  } finally {
    RunFolder.unlock(out);
  }
}

/** What ended a run, and what is left of it: a lost GPU is ESP1113, and every message says what can be gone on from. */
function withKept(error: unknown, folder: RunFolder): unknown {
  if (error instanceof DeviceLostError)
    return withKept(new EspalierError([diagnostic('ESP1113', { path: folder.path, reason: error.message })]), folder);
  if (!(error instanceof EspalierError)) return error;
  const newest = folder.newest();
  const kept = newest
    ? `The last good checkpoint is ${newest.file}, after ${newest.steps} steps; \`--resume\` goes on from there.`
    : 'There is no checkpoint yet; `--resume` begins again.';
  return new EspalierError(error.diagnostics.map((d) => ({ ...d, help: [...d.help, kept] })));
}

/** A run that is ready to begin, or to go on. */
interface Ready extends Run {
  readonly store: RunFolder;
  readonly facts: RunFacts;
}

async function prepared(spec: Spec, options: TrainRunOptions): Promise<Ready> {
  const { host, out, warn, progress } = options;
  const before = options.resume ? readRun(out) : undefined;
  const begunWith = before?.settings.seed as number | undefined;
  const path = typeof spec === 'string' ? spec : spec.path;
  const text = typeof spec === 'string' ? host.readText(spec) : spec.text;
  const seed = options.seed ?? begunWith;
  const read = await readTraining(spec, { ...options, seed, ...(before?.commits ? { commits: before.commits } : {}) });
  const { elaborated, train, params, masks, commits, on } = read;
  progress?.('reading the data');
  const sets = splitsOf(train, await namedData(elaborated, train, path, options));
  const loaders = loadersOf(elaborated, train, sets, { open: openLoader, skipped: options.skipped });
  const hashes = {
    spec: await hashOf(text ?? ''),
    weights: await hashOfWeights(elaborated, params),
    data: await hashOf(
      (await Promise.all([sets.train, sets.val, sets.test].map((s) => (s ? datasetHash(s) : '')))).join(),
    ),
  };
  if (before) requireSame(before, hashes, train.seed, options);
  const trainer = await openTrainer({ elaborated, train, params, still: stillReaders(train, loaders), host, progress });
  const { folder: shared } = train.cache ?? {};
  const files = featureFiles(shared === undefined ? out : host.resolve(path, shared), shared !== undefined);
  try {
    const pins = await pinsOf(trainer);
    const facts: RunFacts = before ?? {
      format: 'espalier.run',
      version: 1,
      compiler: version,
      spec: path,
      model: elaborated.name,
      set: options.set ?? {},
      ...(Object.keys(commits).length > 0 ? { commits } : {}),
      ...(on ? { on } : {}),
      settings: settingsOf(train),
      hashes,
      pins,
      plan: { ...trainer.plan },
      data: {
        kind: sets.train.targets.kind,
        classes: sets.train.classes,
        train: sets.train.size,
        validation: sets.val?.size ?? 0,
        test: sets.test?.size ?? 0,
        split: sets.split,
      },
    };
    if (!before) {
      const folder = await RunFolder.begin(out, facts, text ?? '', train.keep);
      return { host, elaborated, train, trainer, masks, store: folder, facts, from: START, loaders, files };
    }
    const { folder, checkpoint } = await RunFolder.resume(out, facts, text ?? '', pins, train.keep);
    if (checkpoint) {
      await trainer.restore(checkpoint.state);
      const other = (['program', 'device', 'variants'] as const).filter((k) => checkpoint.pins[k] !== pins[k]);
      if (other.length > 0) warn?.(diagnostic('ESP1109', { other }));
    }
    return {
      host,
      elaborated,
      train,
      trainer,
      masks,
      store: folder,
      facts,
      from: checkpoint?.place ?? START,
      loaders,
      files,
    };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}

// ---- Data ------------------------------------------------------------------------------------------------------------

/** Those that were given, or that the spec names. @throws EspalierError ESP1110 for neither, and what `openDatasets` throws */
export async function namedData(
  { name, labels }: Elaborated,
  { data }: TrainSettings,
  path: string,
  { datasets, host, warn }: Pick<TrainRunOptions, 'datasets' | 'host' | 'warn'>,
): Promise<Datasets> {
  if (datasets) return datasets;
  if (!data) throw new EspalierError([diagnostic('ESP1110', { model: name })]);
  return openDatasets(dataSpecOf(data, path, labels, host), warn ? { warn } : {});
}

/** Where data are, of what the setting `data` says in the spec at a path. */
export function dataSpecOf(
  { form, options }: { readonly form: string; readonly options: Readonly<Record<string, unknown>> },
  spec: string,
  labels: readonly string[] | undefined,
  host: Pick<Host, 'resolve'>,
): DataSpec {
  const { path: location, format, image, label, separator } = options as Readonly<Record<string, string>>;
  if (form === 'points')
    return {
      path: host.resolve(spec, location!),
      kind: 'points',
      ...(format ? { format: format as PointsFormat } : {}),
    };
  const columns = { ...(image ? { image } : {}), ...(label ? { label } : {}), ...(separator ? { separator } : {}) };
  return {
    path: host.resolve(spec, location!),
    ...(format ? { format: format as 'folders' } : {}),
    ...(labels ? { classes: labels } : {}),
    columns,
  };
}

// ---- What a run is ---------------------------------------------------------------------------------------------------

const hashOf = (text: string): Promise<string> => sha256(new TextEncoder().encode(text));

/** Of everything that the files gave, and of how the rest starts. */
async function hashOfWeights({ module }: Elaborated, get: (name: string) => Tensor): Promise<string> {
  const list: string[] = [];
  for (const [name, p] of module.params) {
    const { data } = p.data ? { data: p.data } : get(name);
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    list.push(`${name} ${await sha256(bytes.slice())}`);
  }
  return hashOf(list.join('\n'));
}

/** The results' bits depend on these. */
async function pinsOf({ session, device }: Trainer): Promise<RunFacts['pins']> {
  const { kernels, entries, weights } = session.program;
  return {
    program: await hashOf(JSON.stringify({ kernels, entries, weights })),
    device,
    variants: await hashOf(JSON.stringify(session.variants)),
  };
}

const CHANGED = { spec: 'the spec', weights: 'the weights', data: 'the data' } as const;

/** @throws EspalierError ESP1106 */
function requireSame(before: RunFacts, hashes: RunFacts['hashes'], seed: number, { out, set }: TrainRunOptions): void {
  const changed = (Object.keys(CHANGED) as (keyof typeof CHANGED)[])
    .filter((k) => before.hashes[k] !== hashes[k])
    .map((k) => CHANGED[k] as string);
  if (JSON.stringify(before.set) !== JSON.stringify(set ?? {})) changed.push('what `--set` says');
  if (before.settings.seed !== seed) changed.push('the seed');
  if (changed.length > 0) throw new EspalierError([diagnostic('ESP1106', { path: out, changed })]);
}

/** For people: what can be written down of the settings. */
function settingsOf(train: TrainSettings): Record<string, unknown> {
  const { loss: _, rate: __, groups, span: ___, data, augment, ...plain } = train;
  const form = (f: NonNullable<typeof data>) => ({ [f.form]: f.options });
  return {
    ...plain,
    groups: groups.map(({ name, lr, params }) => ({ optimizer: name, lr, parameters: params.length })),
    ...(data ? { data: form(data) } : {}),
    augment: augment.map(form),
  };
}
