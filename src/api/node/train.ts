/** `train`: from a spec with a `train` block to the folder of a run, on this machine's files and GPU. */
import { sha256 } from '../../../runtime/program/digest.js';
import { datasetHash } from '../../data/arrays.js';
import { type DataSpec, openDatasets } from '../../data/node/open.js';
import { openLoader } from '../../data/node/threads.js';
import type { Datasets, SkippedItem } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, TrainSettings } from '../../dsl/elaborated.js';
import type { Tensor } from '../../ir/types.js';
import { analyseModel, type Spec, type SpecOptions } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { Host, Progress } from '../host.js';
import { loadParameters } from '../parameters.js';
import { type Loaders, loadersOf, splitsOf } from '../train/data.js';
import { type EndEvent, START, type TrainEvent } from '../train/events.js';
import { evaluate, trainLoop } from '../train/loop.js';
import { openTrainer, type Trainer } from '../train/trainer.js';
import { version } from '../version.js';
import { nodeHost } from './host.js';
import { type RunFacts, RunFolder, readRun } from './run-folder.js';
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
  readonly progress?: Progress;
}

/**
 * Trains what a spec says, step by step: `for await (const event of train('flowers.peft', { out: 'run' }))`. The generator's value is how the run ended.
 * @throws EspalierError with everything that is wrong with the spec, its files, its data, the folder (ESP1104, ESP1105, ESP1107, ESP0906), what is resumed (ESP1106), and
 * with a loss that is not a number (ESP1103); RuntimeError where there is no GPU, or it is lost. The folder can be resumed then
 */
export async function* train(
  spec: Spec,
  options: OnNode<TrainRunOptions>,
): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { out } = options;
  RunFolder.lock(out, options.resume ?? false);
  try {
    const request: TrainRunOptions = { host: nodeHost(), ...options };
    return yield* trained(await sayDataErrors(() => prepared(spec, request)), request);
  } finally {
    RunFolder.unlock(out);
  }
}

/** A run that is ready to begin, or to go on. */
interface Ready {
  readonly elaborated: Elaborated;
  readonly train: TrainSettings;
  readonly trainer: Trainer;
  readonly folder: RunFolder;
  readonly facts: RunFacts;
  readonly from: typeof START;
  readonly loaders: Loaders;
}

async function prepared(spec: Spec, options: TrainRunOptions): Promise<Ready> {
  const { host, out, warn, progress } = options;
  const before = options.resume ? readRun(out) : undefined;
  const begunWith = before?.settings.seed as number | undefined;
  const path = typeof spec === 'string' ? spec : spec.path;
  const text = typeof spec === 'string' ? host.readText(spec) : spec.text;
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  if (!elaborated.train) throw new EspalierError([diagnostic('ESP1108', { model: elaborated.name })]);
  const seed = options.seed ?? begunWith ?? elaborated.train.seed;
  const train = { ...elaborated.train, seed };
  for (const d of analysis.warnings) warn?.(d);
  const loaded = await loadParameters(analysis, progress, seed);
  progress?.('reading the data');
  const sets = splitsOf(train, await namedData(elaborated, train, path, options));
  const loaders = loadersOf(elaborated, train, sets, { open: openLoader, skipped: options.skipped });
  const hashes = {
    spec: await hashOf(text ?? ''),
    weights: await hashOfWeights(elaborated, loaded.get),
    data: await hashOf(
      (await Promise.all([sets.train, sets.val, sets.test].map((s) => (s ? datasetHash(s) : '')))).join(),
    ),
  };
  if (before) requireSame(before, hashes, seed, options);
  const trainer = await openTrainer({ elaborated, train, params: loaded.get, host, progress });
  try {
    const pins = await pinsOf(trainer);
    const facts: RunFacts = before ?? {
      format: 'espalier.run',
      version: 1,
      compiler: version,
      spec: path,
      model: elaborated.name,
      set: options.set ?? {},
      settings: settingsOf(train),
      hashes,
      pins,
      plan: { ...trainer.plan },
      data: {
        classes: sets.train.classes,
        train: sets.train.size,
        validation: sets.val?.size ?? 0,
        test: sets.test?.size ?? 0,
        split: sets.split,
      },
    };
    if (!before) {
      const folder = await RunFolder.begin(out, facts, text ?? '', train.keep);
      return { elaborated, train, trainer, folder, facts, from: START, loaders };
    }
    const { folder, checkpoint } = await RunFolder.resume(out, facts, text ?? '', pins, train.keep);
    if (checkpoint) {
      await trainer.restore(checkpoint.state);
      const other = (['program', 'device', 'variants'] as const).filter((k) => checkpoint.pins[k] !== pins[k]);
      if (other.length > 0) warn?.(diagnostic('ESP1109', { other }));
    }
    return { elaborated, train, trainer, folder, facts, from: checkpoint?.place ?? START, loaders };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}

async function* trained(ready: Ready, options: TrainRunOptions): AsyncGenerator<TrainEvent, EndEvent, undefined> {
  const { train, trainer, folder, facts, from, loaders } = ready;
  const counting = { train, input: loaders.input, classified: loaders.sets.train.targets.kind === 'class' };
  try {
    options.began?.(facts);
    const end = yield* trainLoop({
      trainer,
      ...counting,
      data: loaders.train,
      ...(loaders.validation ? { validation: loaders.validation } : {}),
      store: folder,
      from,
      signal: options.signal,
      clock: () => performance.now() / 1000,
    });
    if (end.why !== 'stopped') yield* tested(ready, counting);
    yield end;
    return end;
  } finally {
    trainer.dispose();
    await loaders.close();
  }
}

/** What the selected weights give on the test split; without one, on the validation split. */
async function* tested(
  { trainer, folder, loaders }: Ready,
  counting: Parameters<typeof evaluate>[1],
): AsyncGenerator<TrainEvent> {
  const { sets } = loaders;
  const [split, data, loader] = loaders.test
    ? (['test', sets.test!, loaders.test] as const)
    : (['validation', sets.val, loaders.validation] as const);
  if (!data || !loader) return;
  const best = await folder.trained();
  await trainer.session.replace(Object.fromEntries([...best].map(([name, t]) => [name, Float32Array.from(t.data)])));
  const { score, predictions } = await evaluate(trainer, counting, loader);
  const named = predictions.map(({ item, actual, predicted }) => ({
    item: data.ids[item]!,
    actual: data.classes[actual]!,
    predicted: data.classes[predicted]!,
  }));
  await folder.predictions(split, named);
  if (split !== 'test') return;
  const event: TrainEvent = { kind: 'test', score };
  await folder.record(event);
  yield event;
}

// ---- Data ------------------------------------------------------------------------------------------------------------

/** Those that were given, or that the spec names. */
async function namedData(
  { name, labels }: Elaborated,
  { data }: TrainSettings,
  path: string,
  { datasets, host, warn }: TrainRunOptions,
): Promise<Datasets> {
  if (datasets) return datasets;
  if (!data) throw new EspalierError([diagnostic('ESP1110', { model: name })]);
  return openDatasets(dataSpecOf(data.options, path, labels, host), warn ? { warn } : {});
}

/** Where data are, of what the setting `data` says in the spec at a path. */
export function dataSpecOf(
  options: Readonly<Record<string, unknown>>,
  spec: string,
  labels: readonly string[] | undefined,
  host: Pick<Host, 'resolve'>,
): DataSpec {
  const { path: location, format, image, label, separator } = options as Readonly<Record<string, string>>;
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
