/**
 * Opening what a `from` names, and taking a model's parameters out of it. Every tensor is accounted for: missing, unexpected and misshapen ones
 * are listed together.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { matches } from '../ir/glob.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { allocate } from '../ir/run/tensor.js';
import type { DType, Elements, Tensor, TensorType } from '../ir/types.js';
import { adapterLabels, isAdapterFile } from './adapters/adapter.js';
import { isMaskFile } from './adapters/masks.js';
import type { PeftAdapter } from './adapters/peft.js';
import { peftAsStore, type Replacement } from './adapters/peft-store.js';
import type { ModelNames } from './adapters/sites.js';
import { openHuggingFace } from './huggingface/huggingface.js';
import type { HubOrigin } from './huggingface/name.js';
import { nearestNames } from './nearest.js';
import { onnxFacts } from './onnx/facts.js';
import { openOnnxStore } from './onnx/store.js';
import type { OnnxModel } from './onnx/types.js';
import { fromStored, present, sliceRows, spelled, storedShape } from './spellings.js';
import { type ByteSource, type Folder, readAll } from './tensors/bytes.js';
import { openSafetensors, readsAs, type StoreEntry, type TensorStore } from './tensors/store.js';
import { isTorchFile, openTorch } from './torch/torch.js';
import type { Facts, NamedTensor, SourceLike } from './types.js';
import type { Waivers } from './waivers.js';

export interface OpenCheckpoint {
  readonly kind: 'huggingface' | 'peft' | 'safetensors' | 'torch' | 'adapter' | 'mask' | 'onnx';
  /** Path or address, for messages. */
  readonly name: string;
  /** What the language may know before weights are read. */
  readonly facts: Facts;
  readonly warnings: readonly Diagnostic[];
  /** The tensors by name. A PEFT folder's are seen as our parameters only by `loadSources`. */
  readonly store: TensorStore;
  readonly peft?: PeftAdapter;
  /** What an ONNX file holds beside its initialisers, which are the store's tensors. */
  readonly onnx?: OnnxModel;
  /** The folder it is, for the files beside the weights. */
  readonly folder?: Folder;
  /** All bytes of the one file that the tensors lie in; absent where they lie in several. */
  bytes?(): Promise<Uint8Array>;
  /** Which repository's it is, at which commit, where it was named so. */
  readonly hub?: HubOrigin;
  close(): Promise<void>;
}

/**
 * Finds out what a folder or a file is and opens it; reads headers, no weights.
 * @throws EspalierError ESP0501 to ESP0509, ESP0512, ESP0515, ESP1201 to ESP1206, ESP1236, ESP1280, ESP1281
 */
export async function openCheckpoint(where: ByteSource | Folder): Promise<OpenCheckpoint> {
  return 'read' in where ? openOneFile(where) : openOneFolder(where);
}

async function openOneFile(source: ByteSource): Promise<OpenCheckpoint> {
  const close = async (): Promise<void> => source.close?.();
  const bytes = (): Promise<Uint8Array> => readAll(source);
  try {
    if (/\.onnx$/i.test(source.name)) {
      const { onnx, store } = await openOnnxStore(source);
      return { kind: 'onnx', name: source.name, facts: onnxFacts(onnx), warnings: [], store, onnx, bytes, close };
    }
    if (await isTorchFile(source)) {
      const opened = await openTorch(source);
      return { kind: 'torch', name: source.name, facts: {}, ...opened, bytes, close };
    }
    const store = await openSafetensors(source);
    const common = { name: source.name, warnings: [], store, bytes, close };
    if (isMaskFile(store)) return { kind: 'mask', facts: {}, ...common };
    if (!isAdapterFile(store))
      return { kind: 'safetensors', facts: { tensors: new Set(store.tensors.keys()) }, ...common };
    const labels = adapterLabels(store);
    return { kind: 'adapter', facts: labels ? { labels } : {}, ...common };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openOneFolder(folder: Folder): Promise<OpenCheckpoint> {
  const files = new Set(await folder.list());
  if (files.has('adapter_config.json')) {
    // What reads its patterns is large, and most pages open no such folder.
    const { openPeft } = await import('./adapters/peft.js');
    const peft = await openPeft(folder);
    const tensors = new Map<string, StoreEntry>(peft.saved);
    for (const [name, entry] of peft.biases) tensors.set(name, entry);
    for (const [module, { A, B, m, c }] of peft.pairs) {
      tensors.set(`${module}.A`, A).set(`${module}.B`, B);
      if (m) tensors.set(`${module}.m`, m);
      if (c) tensors.set(`${module}.c`, c);
    }
    const store: TensorStore = { name: folder.name, tensors, metadata: peft.metadata };
    const { facts, warnings, bytes, close } = peft;
    return { kind: 'peft', name: folder.name, facts, warnings, store, peft, folder, bytes, close };
  }
  if (files.has('config.json')) {
    const model = await openHuggingFace(folder);
    const close = async (): Promise<void> => {
      await Promise.all(model.sources.map((s) => s.close?.()));
    };
    const [one, ...others] = model.sources;
    return {
      kind: 'huggingface',
      name: folder.name,
      facts: model.facts,
      warnings: model.warnings,
      store: model.store,
      folder,
      ...(one && others.length === 0 ? { bytes: () => readAll(one) } : {}),
      close,
    };
  }
  const weights = [...files].find((f) => f.endsWith('.safetensors'));
  const found = weights
    ? `it has neither config.json nor adapter_config.json; name the file itself (${weights})`
    : 'it has neither config.json nor adapter_config.json';
  throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found })]);
}

export interface LoadContext {
  /** Type of every parameter that the sources name. */
  readonly types: ReadonlyMap<string, TensorType>;
  /** What the spec says nobody wants. */
  readonly waivers?: Waivers;
  /** For PEFT folders: what the model's modules and tensors are called in checkpoints. */
  readonly names?: ModelNames;
  /** For those that hold other values of the base's parameters, or start from them: the base's own; undefined where no file of the base has it. */
  readonly base?: (param: string) => Tensor | undefined;
}

/**
 * The layout of a source of which most tensors are in the store, with the names that they have there; ties go to the first.
 * @throws EspalierError ESP0503 when a tensor is there under two names
 */
export function chooseLayout(source: SourceLike, store: TensorStore): { name: string; names: readonly NamedTensor[] } {
  let best = {
    name: 'espalier',
    names: source.layouts.espalier ?? source.params.map((p) => ({ param: p, tensor: p })),
  };
  let hits = -1;
  for (const [name, names] of [['espalier', best.names] as const, ...Object.entries(source.layouts)]) {
    const found = present(names, store);
    if (found <= hits) continue;
    hits = found;
    best = { name, names };
  }
  return { name: best.name, names: spelled(best.names, store) };
}

/**
 * Reads the parameters of all sources that name this checkpoint, so that a tensor that one of them takes is not unexpected to another.
 * Floats come as f32, whole numbers and truth as the parameter has them, row ranges are put together. A PEFT folder that trained biases of the base gives
 * those too, as whole parameters.
 * @param sources All with this checkpoint's location.
 * @throws EspalierError ESP0510 with everything that does not fit, ESP0511 when nothing fits, ESP0514, ESP0504, ESP1291, ESP1292
 */
export async function loadSources(
  sources: readonly SourceLike[],
  checkpoint: OpenCheckpoint,
  context: LoadContext,
): Promise<Map<string, Tensor>> {
  const { peft } = checkpoint;
  const { store, replaced } = peft
    ? peftAsStore(peft, context.names ?? NO_NAMES, sources, {
        ...context,
        weightOf: (place) => weightAt(place, context),
      })
    : { store: checkpoint.store, replaced: [] };
  const names: NamedTensor[] = [];
  const layouts = new Set<string>();
  for (const source of sources) {
    const chosen = chooseLayout(source, store);
    layouts.add(peft ? 'peft' : chosen.name);
    const wanted = new Set(source.params);
    names.push(...chosen.names.filter((n) => wanted.has(n.param)));
  }
  refuseMisfits(sources, names, replaced, store, context, checkpoint.name, [...layouts].join(', '));

  const out = new Map<string, Tensor>();
  for (const name of names) {
    const { param, rows } = name;
    const type = context.types.get(param)!;
    const stored = await store.tensors.get(name.tensor)!.read();
    const data = elementsAs(fromStored(name, stored.data), type.dtype);
    if (!data) {
      const { original = name.tensor, dtype } = store.tensors.get(name.tensor)!;
      throw new EspalierError([
        diagnostic('ESP0505', { file: checkpoint.name, tensor: original, dtype, as: type.dtype }),
      ]);
    }
    if (!rows) {
      out.set(param, { type, data });
      continue;
    }
    let whole = out.get(param);
    if (!whole) {
      whole = {
        type,
        data: type.dtype === 'f32' ? new Float32Array(sizeOf(type.shape)) : allocate(type.dtype, sizeOf(type.shape)),
      };
      out.set(param, whole);
    }
    whole.data.set(data, rows[0] * sizeOf(type.shape.slice(1)));
  }
  for (const { place, entry } of replaced) {
    const type = context.types.get(place.param)!;
    const { data } = out.get(place.param) ??
      context.base?.(place.param) ?? { data: new Float32Array(sizeOf(type.shape)) };
    const own = Float32Array.from(data);
    own.set(fromStored(place, (await entry.read()).data), (place.rows?.[0] ?? 0) * sizeOf(type.shape.slice(1)));
    out.set(place.param, { type, data: own });
  }
  return out;
}

const NO_NAMES: ModelNames = { modules: new Map(), tensors: new Map(), ignored: [] };

/** The base's weight of a module: all of a parameter, or some of its rows. */
function weightAt({ param, rows }: NamedTensor, { base }: LoadContext): Tensor | undefined {
  const whole = base?.(param);
  return whole && rows ? sliceRows(whole, rows) : whole;
}

const shown = (shape: readonly number[]): string => `[${shape.join(', ')}]`;

function refuseMisfits(
  sources: readonly SourceLike[],
  names: readonly NamedTensor[],
  replaced: readonly Replacement[],
  store: TensorStore,
  context: LoadContext,
  file: string,
  layout: string,
): void {
  const missing: string[] = [];
  const misshapen: string[] = [];
  const taken = new Set<string>();
  const optional = sources.flatMap((s) => s.optional ?? []);
  const isOptional = (name: string): boolean => optional.some((p) => matches(p, name));
  const named = new Set(names.map((n) => n.tensor));
  const free = [...store.tensors.keys()].filter((t) => !named.has(t) && !isOptional(t));
  let absent = 0;
  for (const name of names) {
    const { param, tensor } = name;
    const type = context.types.get(param);
    if (!type) throw new EspalierError([diagnostic('ESP0500', { what: `${param} has no type` })]);
    const shape = storedShape(name, type);
    const entry = store.tensors.get(tensor);
    taken.add(tensor);
    if (!entry) {
      absent++;
      const near = nearestNames(tensor, free).map((name) => store.tensors.get(name)!.original ?? name);
      missing.push(`${tensor} ${shown(shape)}${near.length > 0 ? `, nearest: ${near.join(', ')}` : ''}`);
    } else if (shown(entry.shape) !== shown(shape)) {
      const ours = tensor === param ? '' : `, for ${param}`;
      const turned = shown(entry.shape.toReversed()) === shown(shape) ? ', the other way round' : '';
      misshapen.push(
        `${entry.original ?? tensor} is ${shown(entry.shape)}, the model has ${shown(shape)}${turned}${ours}`,
      );
    } else if (!fits(entry, type)) {
      misshapen.push(`${entry.original ?? tensor} is stored as ${entry.dtype}, the model has ${type.dtype}`);
    }
  }
  for (const { place, entry } of replaced) {
    const type = context.types.get(place.param)!;
    const shape = storedShape(place, type);
    const name = entry.original ?? place.tensor;
    if (shown(entry.shape) !== shown(shape))
      misshapen.push(`${name} is ${shown(entry.shape)}, the model has ${shown(shape)}, for ${place.param}`);
    else if (!fits(entry, type)) misshapen.push(`${name} is stored as ${entry.dtype}, the model has ${type.dtype}`);
  }
  // A parameter that the layout forgets, or only partly fills, is missing as well.
  for (const param of new Set(sources.flatMap((s) => s.params))) {
    const of = names.filter((n) => n.param === param);
    const rows = of.reduce(
      (n, t) => n + (t.rows ? t.rows[1] - t.rows[0] : (context.types.get(param)?.shape[0] ?? 1)),
      0,
    );
    if (of.length === 0) missing.push(`${param} (the layout has no name for it)`);
    else if (of[0]!.rows && rows !== context.types.get(param)?.shape[0])
      missing.push(`rows of ${param} (the layout names ${rows} of them)`);
  }
  const unexpected = [...store.tensors]
    .filter(([name, entry]) => {
      // What has no elements holds nothing that could be lost: registers of a network that has none.
      if (!taken.has(name) && !isOptional(name))
        return !context.waivers?.covers(name, entry) && sizeOf(entry.shape) > 0;
      context.waivers?.seen(name, entry);
      return false;
    })
    .map(([name, entry]) => `${entry.original ?? name} ${shown(entry.shape)}`);
  if (missing.length + misshapen.length + unexpected.length === 0) return;
  if (absent > 0 && absent === names.length) {
    const why = `holds none of the ${taken.size} tensors that are taken from it, such as ${names[0]!.tensor}; it has ${firstOf(store)}`;
    throw new EspalierError([diagnostic('ESP0511', { file, why })]);
  }
  throw new EspalierError([diagnostic('ESP0510', { file, layout, missing, unexpected, misshapen })]);
}

function firstOf(store: TensorStore): string {
  const names = [...store.tensors].map(([name, entry]) => entry.original ?? name);
  return names.length === 0 ? 'no tensors' : names.slice(0, 3).join(', ') + (names.length > 3 ? ', ...' : '');
}

function fits(entry: StoreEntry, type: TensorType): boolean {
  const dtype = readsAs(entry);
  if (dtype === undefined) return true; // Reading it gives the better message.
  return (dtype === 'f32') === (type.dtype === 'f32' || type.dtype === 'f16');
}

/** Whole numbers and truth values as another of these types; undefined if one of them is none of it. Floats are as they were read. */
function elementsAs(data: Elements, dtype: DType): Elements | undefined {
  if (dtype === 'f32' || dtype === 'f16') return data;
  const made = allocate(dtype, data.length);
  for (let i = 0; i < data.length; i++) {
    made[i] = data[i]!;
    if (made[i] !== data[i] || (dtype === 'bool' && data[i]! > 1)) return undefined;
  }
  return made;
}

/**
 * Diagnostics (ESP0518) for parameters that hold NaN or infinity; empty when all are finite.
 * @param file What they were read from.
 */
export function nonFinite(file: string, params: ReadonlyMap<string, Tensor>): Diagnostic[] {
  const bad: string[] = [];
  for (const [name, { data }] of params) {
    let count = 0;
    for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) count++;
    if (count > 0) bad.push(`${name}: ${count} of ${data.length} elements`);
  }
  return bad.length > 0 ? [diagnostic('ESP0518', { file, tensors: bad })] : [];
}
