/** The view of a PEFT folder as a file of our parameters: pairs where adapters want them, saved tensors, and biases that stand in place of the base's. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { matches } from '../../ir/glob.js';
import { showPath } from '../../ir/path.js';
import type { TensorType } from '../../ir/types.js';
import { fromStored } from '../spellings.js';
import { reshaped, type StoreEntry, type TensorStore } from '../tensors/store.js';
import type { NamedTensor, SourceLike } from '../types.js';
import type { Waivers } from '../waivers.js';
import { type PartPair, pairOfParts, partsOfPair } from './parts.js';
import type { LowRankPair, PeftAdapter } from './peft.js';
import { type ModelNames, moduleOf, twice } from './sites.js';
import { pairOfBase, type WeightOf } from './starts.js';

/** Some rows of a parameter of the base, or all of it, which the folder has other values of. */
export interface Replacement {
  readonly place: NamedTensor;
  readonly entry: StoreEntry;
}

export interface PeftView {
  readonly store: TensorStore;
  /** Biases of the base that no source asks the folder for by name. */
  readonly replaced: readonly Replacement[];
}

/**
 * A PEFT folder as if it were our adapter file: pairs under the names of the adapters that the sources want at their sites, saved tensors under
 * the names of their parameters. Where a pair of a layer is wanted that the folder's network has in parts, the parts' pairs are put together; where pairs of
 * parts are wanted of a layer that it has as a whole, the pair is cut.
 * @param about `weightOf`: for pairs that started as a part of the base's weights; `waivers`: modules that the spec waives are left out; `types` of the
 * model's parameters: of a convolution of one place that is a matrix in the model, A is one too
 * @throws EspalierError ESP0514 when the folder adapts other modules that the model does not have, ESP0523 when parts are no pair of the layer, ESP1292 when a
 * pair is of more parts than are adapted; that parts read alike (A) is seen when the tensor is read
 */
export function peftAsStore(
  peft: PeftAdapter,
  names: ModelNames,
  sources: readonly SourceLike[],
  about: {
    readonly weightOf?: (place: NamedTensor) => ReturnType<WeightOf>;
    readonly waivers?: Waivers;
    readonly types?: ReadonlyMap<string, TensorType>;
  } = {},
): PeftView {
  const weightOf: WeightOf = (module) => {
    const place = names.modules.get(module)?.weight;
    return place && about.weightOf?.(place);
  };
  const tensors = pairsAsStore(peft, names, sources, weightOf, about);
  const asked = new Set(sources.filter((s) => s.kind !== 'adapter').flatMap((s) => s.params));
  const wholes = new Map<string, Replacement[]>();
  const replaced: Replacement[] = [];
  const put = (param: string, entry: StoreEntry): void => {
    if (tensors.has(param)) throw twice(peft.name, entry.original ?? param);
    tensors.set(param, entry);
  };
  const place = (name: string, entry: StoreEntry, isBias: boolean): void => {
    const found = names.tensors.get(name);
    if (found && asked.has(found.param))
      wholes.set(found.param, [...(wholes.get(found.param) ?? []), { place: found, entry }]);
    else if (found && isBias) replaced.push({ place: found, entry });
    else if (found && !found.rows) put(found.param, entry);
    else if (!isBias) put(savedName(name, peft, sources), entry);
    // What the base may hold and the model does not have is of nobody, biases too.
    else if (!names.ignored.some((pattern) => matches(pattern, name))) put(name, entry);
  };
  for (const [name, entry] of peft.saved) place(name, entry, false);
  for (const [name, entry] of peft.biases) place(name, entry, true);
  for (const [param, found] of wholes) {
    const entry = wholeOf(found);
    if (entry) put(param, entry);
    else for (const { place: of, entry: part } of found) put(of.tensor, part);
  }
  return { store: { name: peft.name, tensors, metadata: peft.metadata }, replaced };
}

/** A parameter's tensor of its rows, in their order; undefined where they do not begin with the first, one after another. That all are there its shape says. */
function wholeOf(found: readonly Replacement[]): StoreEntry | undefined {
  const parts = found.toSorted((a, b) => (a.place.rows?.[0] ?? 0) - (b.place.rows?.[0] ?? 0));
  const [first] = parts as [Replacement, ...Replacement[]];
  if (parts.length === 1 && !first.place.rows) return asOurs(first);
  if (parts.some(({ place }, i) => (place.rows?.[0] ?? -1) !== (i === 0 ? 0 : parts[i - 1]!.place.rows![1])))
    return undefined;
  const rows = parts.at(-1)!.place.rows![1];
  const shape = [rows, ...first.entry.shape.slice(1)];
  return {
    dtype: first.entry.dtype,
    shape,
    ...(first.entry.original === undefined ? {} : { original: first.entry.original }),
    read: async () => {
      const read = await Promise.all(parts.map((p) => asOurs(p).read()));
      const data = new Float32Array(read.reduce((sum, t) => sum + t.data.length, 0));
      let at = 0;
      for (const t of read) {
        data.set(t.data, at);
        at += t.data.length;
      }
      return { type: { dtype: 'f32', shape }, data };
    },
  };
}

/** A tensor in the order of the parameter. Its shape is checked as the folder has it. */
function asOurs({ place, entry }: Replacement): StoreEntry {
  if (!place.stored) return entry;
  const { bytes, ...rest } = entry;
  return {
    ...rest,
    read: async () => {
      const { type, data } = await entry.read();
      return { type, data: fromStored(place, data) };
    },
  };
}

/** `classifier.weight` -> `head.fc.weight`, which no layout names: because one module was saved and one is wanted. */
function savedName(name: string, peft: PeftAdapter, sources: readonly SourceLike[]): string {
  const module = moduleOf(name);
  const saved = new Set([...peft.saved.keys()].map(moduleOf));
  const tuned = new Set(sources.filter((s) => s.kind === 'tune').flatMap((s) => s.params.map(moduleOf)));
  return saved.size === 1 && tuned.size === 1 ? `${[...tuned][0]}.${name.slice(module.length + 1)}` : name;
}

/** The pairs' tensors by the parameters of adapters. */
function pairsAsStore(
  peft: PeftAdapter,
  names: ModelNames,
  sources: readonly SourceLike[],
  weightOf: WeightOf,
  { waivers, types }: { readonly waivers?: Waivers; readonly types?: ReadonlyMap<string, TensorType> },
): Map<string, StoreEntry> {
  const wanted = new Map<string, [own: string, param: string][]>();
  for (const { site, params } of sources.flatMap((s) => s.adapters ?? [])) {
    wanted.set(site, [...(wanted.get(site) ?? []), ...Object.entries(params)]);
  }
  const strangers: string[] = [];
  const tensors = new Map<string, StoreEntry>();
  const put = (module: string, site: string, pair: LowRankPair): void => {
    const params = wanted.get(site) ?? [];
    for (const half of ['A', 'B', 'm', 'c'] as const) {
      const entry = pair[half];
      if (!entry) continue;
      const [, found] = params.find(([own]) => own === half || own.endsWith(`.${half}`)) ?? [];
      const param = found ?? `${site}@?.${half}`;
      if (tensors.has(param)) throw twice(peft.name, entry.original ?? `${module}.${half}`);
      const whole = half === 'm' ? entry : padded(peft, pair, half);
      const axes = types?.get(param)?.shape.length ?? (names.modules.get(module)?.weight?.stored ? 2 : 4);
      const kernel = half === 'A' && axes > 2 ? pair.read : undefined;
      const read = kernel ? reshaped(whole, [whole.shape[0]!, ...kernel]) : whole;
      tensors.set(param, { ...read, original: entry.original ?? `${module}.${half}` });
    }
  };
  /** By layer, the pairs of its parts. */
  const inParts = new Map<string, { readonly parts: readonly string[]; readonly found: Map<string, PartPair> }>();
  for (const [module, own] of peft.pairs) {
    const at = names.modules.get(module);
    const pair = pairOfBase(peft, module, own, weightOf);
    if (at === undefined) {
      if (!waivers?.covers(module)) strangers.push(module);
    } else if (at.of && !wanted.has(at.site) && wanted.has(at.of.site)) {
      const { found } = inParts.get(at.of.site) ?? { found: new Map<string, PartPair>() };
      if (found.has(at.site)) throw twice(peft.name, `${module}.A`);
      inParts.set(at.of.site, { parts: at.of.parts, found: found.set(at.site, { module, pair }) });
    } else if (!wanted.has(at.site) && at.parts?.some((part) => wanted.has(part))) {
      const others = at.parts.filter((part) => !wanted.has(part));
      if (others.length > 0) {
        const about = { file: peft.name, module, site: showPath(at.site), others: others.map(showPath) };
        throw new EspalierError([diagnostic('ESP1292', about)]);
      }
      for (const [i, part] of partsOfPair(pair, at.parts.length).entries()) put(module, at.parts[i]!, part);
    } else put(module, at.site, pair);
  }
  for (const [site, { parts, found }] of inParts) {
    const [first] = [...found.values()];
    const pair = pairOfParts(
      peft.name,
      site,
      parts.map((part) => found.get(part)),
    );
    put(first!.module, site, pair);
  }
  if (strangers.length > 0) {
    throw new EspalierError([
      diagnostic('ESP0514', { file: peft.name, modules: strangers, nearest: [...names.modules.keys()].slice(0, 3) }),
    ]);
  }
  return tensors;
}

/** One half at the adapter's common rank and scale: zeros add nothing, and B (and the bias of the pair) takes what its scale is more than the others'. */
function padded(peft: PeftAdapter, pair: LowRankPair, half: 'A' | 'B' | 'c'): StoreEntry {
  const entry = pair[half]!;
  const factor = half === 'A' ? 1 : pair.scale / peft.scale;
  if ((half === 'c' || pair.rank === peft.rank) && factor === 1) return entry;
  const width = entry.shape[1] ?? 1;
  const shape = half === 'A' ? [peft.rank, width] : half === 'B' ? [entry.shape[0]!, peft.rank] : entry.shape;
  const cols = shape[1] ?? 1;
  return {
    dtype: entry.dtype,
    shape,
    read: async () => {
      const { data } = await entry.read();
      const out = new Float32Array(shape[0]! * cols);
      for (let i = 0; i < data.length; i++) out[Math.floor(i / width) * cols + (i % width)] = data[i]! * factor;
      return { type: { dtype: 'f32', shape }, data: out };
    },
  };
}
