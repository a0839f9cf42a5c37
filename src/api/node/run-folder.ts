/**
 * The folder of a run. It can be read, and gone on with, whenever its process ends, however it ends:
 *
 *   run.json                       what the run is: spec, settings, hashes, device; written once
 *   spec.peft                      the spec's text
 *   metrics.jsonl                  events, one a line (train/events.ts)
 *   checkpoint-<step>.safetensors  all states after so many steps, and the place in the run; the last few are kept
 *   search.safetensors             a search for how much is pruned, as it is after its last candidate; search.jsonl: its candidates, one a line; search.svg: its picture
 *   adapter.safetensors            what was trained, after the best epoch so far: an adapter file, which `from` takes
 *   predictions.json               what the result makes of the test split, or of the validation split
 *   lock-<process>@<machine>       the process that writes here now (lock.ts)
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { appendFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Targets } from '../../data/types.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { encodeAdapter } from '../../formats/adapters/adapter.js';
import type { TrainedOn } from '../../formats/adapters/trained-on.js';
import { openFile } from '../../formats/node/files.js';
import { removeLeftovers } from '../../formats/node/leftovers.js';
import { cannotWrite, writeFileAtomic } from '../../formats/node/writing.js';
import { storeTensor } from '../../formats/tensors/elements.js';
import { encodeSafetensors } from '../../formats/tensors/safetensors.js';
import { openSafetensors, type TensorStore } from '../../formats/tensors/store.js';
import type { Tensor } from '../../ir/types.js';
import { type JournalLine, journalText } from '../../search/journal.js';
import type { SavedSearch, SearchKeeper } from '../search/stage.js';
import { isBefore, type RunPlace, type TrainEvent } from '../train/events.js';
import type { GoodState } from '../train/not-finite.js';
import type { CountPrediction, Prediction, RunKeeper } from '../train/run.js';
import { isLock, releaseLock, takeLock } from './lock.js';

/** What a run is: all that another process needs to go on with it, or to say why it cannot. */
export interface RunFacts {
  readonly format: 'espalier.run';
  readonly version: 1;
  /** Version of Espalier that began it. */
  readonly compiler: string;
  /** The spec that it was begun with: what its locations are relative to. */
  readonly spec: string;
  readonly model: string;
  readonly set: Readonly<Record<string, string>>;
  /** Of the repositories that the spec names, by location as written: going on, and compiling the run, take these. */
  readonly commits?: Readonly<Record<string, string>>;
  /** The base that it trains on, for its adapter file. */
  readonly on?: TrainedOn;
  /** Settings as they were resolved, for people. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** What has to be the same to go on. */
  readonly hashes: { readonly spec: string; readonly weights: string; readonly data: string };
  /** What has to be the same for the same bits. */
  readonly pins: { readonly program: string; readonly device: string; readonly variants: string };
  /** Sizes of the model and of what a step takes, in bytes and parameters. */
  readonly plan: Readonly<Record<string, unknown>>;
  readonly data: {
    /** Whether each item is of one class or of any number, numbers are learnt, or points are counted. */
    readonly kind: Targets['kind'];
    /** Their names; of numbers, those of the columns. */
    readonly classes: readonly string[];
    readonly train: number;
    readonly validation: number;
    readonly test: number;
    /** The validation split was made of the training data. */
    readonly split: boolean;
  };
}

/** What the result made of a split: items by name. Of numbers to be learnt it is empty; of objects that are counted there are `counts`. */
export interface Predictions {
  readonly split: string;
  readonly predictions: readonly Prediction[];
  readonly counts?: readonly CountPrediction[];
}

const FORMAT = 'espalier.run';
const FILES = {
  facts: 'run.json',
  spec: 'spec.peft',
  metrics: 'metrics.jsonl',
  adapter: 'adapter.safetensors',
  predictions: 'predictions.json',
  search: 'search.safetensors',
  candidates: 'search.jsonl',
  picture: 'search.svg',
} as const;
const CHECKPOINT = /^checkpoint-(\d+)\.safetensors$/;

export interface Checkpoint extends GoodState {
  /** What the bits were computed by. */
  readonly pins: RunFacts['pins'];
}

/** Whether a path leads to the folder of a run. */
export const isRunFolder = (path: string): boolean => existsSync(join(path, FILES.facts));

/** @throws EspalierError ESP1104 for a folder that is none, or of another version */
export function readRun(path: string): RunFacts {
  const wrong = (problem: string) => new EspalierError([diagnostic('ESP1104', { path, problem })]);
  let facts: unknown;
  try {
    facts = JSON.parse(readFileSync(join(path, FILES.facts), 'utf8'));
  } catch (error) {
    throw wrong(error instanceof SyntaxError ? 'its run.json is not JSON' : 'it has no run.json that can be read');
  }
  const known = facts as Partial<RunFacts> | null;
  if (known?.format !== FORMAT || known.version !== 1) throw wrong('its run.json is not one that this Espalier writes');
  return facts as RunFacts;
}

/** The text of the spec that a run was begun with. @throws EspalierError ESP1104 where its process was ended before it wrote it */
function specTextOf(path: string): string {
  try {
    return readFileSync(join(path, FILES.spec), 'utf8');
  } catch {
    throw new EspalierError([diagnostic('ESP1104', { path, problem: 'it has no spec.peft that can be read' })]);
  }
}

/** Names of the classes that a run's head tells apart, as the data have them; undefined where numbers are learnt, or objects are counted. */
const labelsOf = ({ data }: RunFacts): readonly string[] | undefined =>
  data.kind === 'numbers' || data.kind === 'points' ? undefined : data.classes;

/** What works on a spec takes these of a run: its spec, with its options, what it trained, what a search has found to be pruned, and the names of its classes. @throws EspalierError ESP1104 */
export async function runSpec(path: string) {
  const facts = readRun(path);
  const labels = labelsOf(facts);
  const pruned = eventsOf(path).findLast((e) => e.kind === 'pruned');
  return {
    spec: { text: specTextOf(path), path: facts.spec },
    model: facts.model,
    set: facts.set,
    ...(facts.commits ? { commits: facts.commits } : {}),
    trained: await trainedOf(path),
    ...(facts.on ? { trainedOn: facts.on } : {}),
    ...(labels ? { labels } : {}),
    ...(pruned ? { rates: pruned.rates } : {}),
  };
}

/** What was trained so far, by name. @throws EspalierError ESP1104 before the first epoch has ended */
export async function trainedOf(path: string): Promise<Map<string, Tensor>> {
  const file = join(path, FILES.adapter);
  if (!existsSync(file))
    throw new EspalierError([
      diagnostic('ESP1104', { path, problem: 'no epoch of it has ended, so it has no adapter.safetensors' }),
    ]);
  return readTensors(file);
}

const readTensors = async (file: string): Promise<Map<string, Tensor>> =>
  tensorsOf(await openSafetensors(await openFile(file)));

async function tensorsOf(store: TensorStore): Promise<Map<string, Tensor>> {
  const found = new Map<string, Tensor>();
  for (const [name, entry] of store.tensors) found.set(name, await entry.read());
  return found;
}

/** @throws EspalierError ESP1104 for what is damaged */
function parsed<T>(path: string, what: string, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new EspalierError([diagnostic('ESP1104', { path, problem: `${what} is not JSON` })]);
  }
}

/**
 * Events of a run, as far as its file can be read: a last line that was cut off is left out.
 * @throws EspalierError ESP1104 for another line that is damaged
 */
export function eventsOf(path: string): TrainEvent[] {
  const file = join(path, FILES.metrics);
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  // What follows the last line end was being written when the process ended.
  return lines
    .slice(0, -1)
    .filter((line) => line !== '')
    .map((line, i) => parsed<TrainEvent>(path, `line ${i + 1} of its metrics.jsonl`, line));
}

/** Candidates of a run's search, as far as it has come. @throws EspalierError ESP1104 for a line that is damaged */
export function candidatesOf(path: string): JournalLine[] {
  const file = join(path, FILES.candidates);
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => parsed<JournalLine>(path, `line ${i + 1} of its search.jsonl`, line));
}

/** What the result makes of a split; absent until a run has ended by itself. */
export function predictionsOf(path: string): Predictions | undefined {
  const file = join(path, FILES.predictions);
  return existsSync(file) ? parsed<Predictions>(path, 'its predictions.json', readFileSync(file, 'utf8')) : undefined;
}

export class RunFolder implements RunKeeper {
  private constructor(
    readonly path: string,
    private readonly keep: number,
    private readonly labels: readonly string[] | undefined,
    private pins: RunFacts['pins'],
    private readonly on: TrainedOn | undefined,
  ) {}

  /**
   * Takes the folder for this process: one that is empty or not there, or, to go on, that of a run.
   * @throws EspalierError ESP1104 where there is no run to go on with, ESP1107 where there is one already, ESP0906 where there is anything else, ESP1105 if
   * another process has it, ESP0520 if it cannot be written
   */
  static lock(path: string, resume: boolean): void {
    if (resume) readRun(path);
    else if (isRunFolder(path)) throw new EspalierError([diagnostic('ESP1107', { path })]);
    try {
      mkdirSync(path, { recursive: true });
      // What a process that ended before it wrote run.json has left is no one's.
      const others = readdirSync(path).filter((name) => !isLock(name) && !/^\..*\.tmp$/.test(name));
      if (!resume && others.length > 0) throw new EspalierError([diagnostic('ESP0906', { path })]);
      takeLock(path);
      // A process that was killed while it wrote a file may have been the last that would have written one of that name.
      for (const name of readdirSync(path)) {
        const [, of] = /^\.(.+)\.[^.]+\.tmp$/.exec(name) ?? [];
        if (of !== undefined) removeLeftovers(join(path, of));
      }
    } catch (error) {
      throw cannotWrite(path, error);
    }
  }

  static unlock(path: string): void {
    releaseLock(path);
    // Of what never began nothing is left.
    if (readdirSync(path).length === 0) rmdirSync(path);
  }

  /** A new run, in a folder that was locked. */
  static async begin(path: string, facts: RunFacts, specText: string, keep: number): Promise<RunFolder> {
    // First what says that it is one: a process that ends here leaves a run to go on with.
    await writeFileAtomic(join(path, FILES.facts), `${JSON.stringify(facts, null, 1)}\n`);
    await writeFileAtomic(join(path, FILES.spec), specText);
    await writeFileAtomic(join(path, FILES.metrics), '');
    return new RunFolder(path, keep, labelsOf(facts), facts.pins, facts.on);
  }

  /** Goes on with a run from its last checkpoint that can be read; without one, from the start. */
  static async resume(
    path: string,
    facts: RunFacts,
    specText: string,
    pins: RunFacts['pins'],
    keep: number,
  ): Promise<{ folder: RunFolder; checkpoint?: Checkpoint }> {
    await writeFileAtomic(join(path, FILES.spec), specText);
    const folder = new RunFolder(path, keep, labelsOf(facts), pins, facts.on);
    for (const file of folder.checkpoints().reverse()) {
      const checkpoint = await readCheckpoint(join(path, file));
      if (!checkpoint) {
        // It would be counted among those that are kept.
        await rm(join(path, file), { force: true });
        continue;
      }
      await folder.rewind(checkpoint.place);
      return { folder, checkpoint };
    }
    await writeFileAtomic(join(path, FILES.metrics), '');
    return { folder };
  }

  async record(event: TrainEvent): Promise<void> {
    await this.written(() => appendFile(join(this.path, FILES.metrics), `${JSON.stringify(event)}\n`));
  }

  async checkpoint(place: RunPlace, state: ReadonlyMap<string, Tensor>): Promise<void> {
    const name = `checkpoint-${String(place.step).padStart(7, '0')}.safetensors`;
    const tensors = new Map([...state].map(([key, t]) => [key, storeTensor(t)]));
    const metadata = {
      format: 'espalier.checkpoint',
      version: '1',
      place: JSON.stringify(place),
      pins: JSON.stringify(this.pins),
    };
    await writeFileAtomic(join(this.path, name), encodeSafetensors(tensors, metadata));
    for (const old of this.checkpoints().slice(0, -this.keep)) await rm(join(this.path, old), { force: true });
  }

  async last(): Promise<GoodState | undefined> {
    const newest = this.newest();
    return newest && readCheckpoint(newest.file);
  }

  /** The file of the last checkpoint, and how many steps are in it. */
  newest(): { readonly file: string; readonly steps: number } | undefined {
    const name = this.checkpoints().at(-1);
    return name === undefined ? undefined : { file: join(this.path, name), steps: Number(CHECKPOINT.exec(name)![1]) };
  }

  async best(_epoch: number, trained: ReadonlyMap<string, Tensor>): Promise<void> {
    const file = encodeAdapter(trained, this.labels, this.on);
    await writeFileAtomic(join(this.path, FILES.adapter), file);
  }

  /** The best so far. */
  trained(): Promise<Map<string, Tensor>> {
    return trainedOf(this.path);
  }

  /** What the result makes of a split: items by name. */
  async predictions(
    split: string,
    predictions: readonly Prediction[],
    counts?: readonly CountPrediction[],
  ): Promise<void> {
    const found: Predictions = { split, predictions, ...(counts ? { counts } : {}) };
    await writeFileAtomic(join(this.path, FILES.predictions), `${JSON.stringify(found)}\n`);
  }

  /** One file holds all that going on needs; what people and other programs read is made of it, after it. */
  readonly search: SearchKeeper = {
    saved: async () => {
      const file = join(this.path, FILES.search);
      return existsSync(file) ? readSearch(file) : undefined;
    },
    save: async ({ json, tensors, lines, picture }) => {
      const stored = new Map([...tensors].map(([key, t]) => [key, storeTensor(t)]));
      const metadata = { format: 'espalier.search', version: '1', state: JSON.stringify(json) };
      await writeFileAtomic(join(this.path, FILES.search), encodeSafetensors(stored, metadata));
      await writeFileAtomic(join(this.path, FILES.candidates), journalText(lines));
      if (picture !== undefined) await writeFileAtomic(join(this.path, FILES.picture), picture);
    },
  };

  /** Names of the checkpoints, the oldest first. */
  private checkpoints(): string[] {
    return readdirSync(this.path)
      .filter((name) => CHECKPOINT.test(name))
      .sort();
  }

  /** Leaves of the metrics what was before a place. */
  private async rewind(place: RunPlace): Promise<void> {
    const lines = eventsOf(this.path)
      .filter((e) => isBefore(e, place))
      .map((e) => `${JSON.stringify(e)}\n`);
    await writeFileAtomic(join(this.path, FILES.metrics), lines.join(''));
  }

  private async written(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw cannotWrite(this.path, error);
    }
  }
}

/** A search as it was saved; undefined for a file that is none of ours: then it begins again. */
async function readSearch(path: string): Promise<Pick<SavedSearch, 'json' | 'tensors'> | undefined> {
  const file = await openFile(path);
  try {
    const store = await openSafetensors(file);
    return { json: JSON.parse(store.metadata.state!), tensors: await tensorsOf(store) };
  } catch {
    return undefined;
  }
}

/** Undefined for a file that is cut off, or none of ours. @throws EspalierError ESP0501 for one that cannot be opened: it may be good */
async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  const file = await openFile(path);
  try {
    const store = await openSafetensors(file);
    const { place, pins } = store.metadata;
    return {
      place: JSON.parse(place!) as RunPlace,
      pins: JSON.parse(pins!) as RunFacts['pins'],
      state: await tensorsOf(store),
    };
  } catch {
    return undefined;
  }
}
