/**
 * Espalier's own adapter file: safetensors with the names of our parameters and metadata that say what it is; and the view of a PEFT folder
 * as such a file.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Tensor } from '../../ir/types.js';
import { storeTensor } from '../tensors/elements.js';
import { encodeSafetensors, type StoredTensor } from '../tensors/safetensors.js';
import type { StoreEntry, TensorStore } from '../tensors/store.js';
import type { NamedTensor, SiteLike, SourceLike } from '../types.js';
import type { Waivers } from '../waivers.js';
import { type PartPair, pairOfParts } from './parts.js';
import { type LowRankPair, type PeftAdapter, twice } from './peft.js';

const FORMAT = 'espalier.adapter';

/** Whether the file says that it is an adapter file. */
export function isAdapterFile(store: TensorStore): boolean {
  return store.metadata.format === FORMAT;
}

/** Class names of an adapter file, if it has them. @throws EspalierError ESP0515 */
export function adapterLabels(store: TensorStore): string[] | undefined {
  const wrong = (problem: string): EspalierError =>
    new EspalierError([diagnostic('ESP0515', { file: store.name, problem })]);
  const { version, labels } = store.metadata;
  if (version !== '1')
    throw wrong(
      `its version is ${version === undefined ? 'not given' : JSON.stringify(version)}; this Espalier reads "1"`,
    );
  if (labels === undefined) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(labels);
  } catch {
    throw wrong('its labels are not JSON');
  }
  if (!Array.isArray(list) || list.length === 0 || !list.every((l) => typeof l === 'string')) {
    throw wrong('its labels are not a list of strings');
  }
  return list;
}

/** An adapter file of the parameters, each under its own name, as f32. */
export function encodeAdapter(params: ReadonlyMap<string, Tensor>, labels?: readonly string[]): Uint8Array {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, tensor] of params) tensors.set(name, storeTensor(tensor));
  return encodeSafetensors(tensors, {
    format: FORMAT,
    version: '1',
    ...(labels ? { labels: JSON.stringify(labels) } : {}),
  });
}

/** What a module of a checkpoint is in a model. */
export interface ModuleSite {
  readonly site: string;
  /** Of a row part of a layer: that layer, and all of its parts in the order of their rows. */
  readonly of?: { readonly site: string; readonly parts: readonly string[] };
}

/** Which site each module is, in any of a model's layouts and by any spelling. */
export function allModuleSites(root: SiteLike, layouts: Iterable<readonly NamedTensor[]>): Map<string, ModuleSite> {
  return new Map([...layouts].flatMap((layout) => [...moduleSites(root, layout)]));
}

/**
 * Which site each module of a checkpoint's layout is: `vit.encoder.layer.0.attention.attention.query` -> `base.blocks.0.attn.qkv.q`. The row
 * parts of a fused layer are matched in order: its n-th part is the layout's n-th range of rows.
 */
export function moduleSites(root: SiteLike, layout: readonly NamedTensor[]): Map<string, ModuleSite> {
  const byParam = new Map<string, NamedTensor[]>();
  for (const name of layout) {
    const list = byParam.get(name.param) ?? [];
    list.push(name);
    byParam.set(name.param, list);
  }
  const sites = new Map<string, ModuleSite>();
  const put = ({ tensor, also = [] }: NamedTensor, site: ModuleSite): void => {
    for (const name of [tensor, ...also]) sites.set(moduleOf(name), site);
  };
  const visit = (site: SiteLike): void => {
    for (const leaf of ['weight', 'bias']) {
      const names = byParam.get(`${site.path}.${leaf}`);
      if (!names) continue;
      const whole = names.find((n) => !n.rows);
      if (whole) put(whole, { site: site.path });
      const ranges = names.filter((n) => n.rows).sort((a, b) => a.rows![0] - b.rows![0]);
      const parts = site.children.filter((c) => c.kind === 'part').map((c) => c.path);
      if (ranges.length !== parts.length) continue;
      for (const [i, range] of ranges.entries()) put(range, { site: parts[i]!, of: { site: site.path, parts } });
    }
    for (const child of site.children) visit(child);
  };
  visit(root);
  return sites;
}

export const moduleOf = (tensor: string): string => tensor.slice(0, Math.max(0, tensor.lastIndexOf('.')));

/** A module of a layout and the rows of the site's weight that it holds. */
export interface ModulePlace {
  readonly module: string;
  /** The parameter that the rows are of. */
  readonly param: string;
  readonly rows: readonly [start: number, end: number];
  readonly stored?: NamedTensor['stored'];
}

/** The other way round: the modules of a layout that make up the weight of each layer, in the order of its rows, and of each row part. */
export function modulesOfSites(
  root: SiteLike,
  layout: readonly NamedTensor[],
  rowsOf: (param: string) => number,
): Map<string, ModulePlace[]> {
  const sites = new Map<string, ModulePlace[]>();
  const parts = moduleSites(root, layout);
  for (const { param, tensor, rows = [0, rowsOf(param)] as const, stored } of layout) {
    if (!param.endsWith('.weight')) continue;
    const module = moduleOf(tensor);
    const place = { module, param, rows, ...(stored ? { stored } : {}) };
    for (const site of new Set([moduleOf(param), parts.get(module)?.site ?? '']))
      sites.set(site, [...(sites.get(site) ?? []), place]);
  }
  for (const places of sites.values()) places.sort((a, b) => a.rows[0] - b.rows[0]);
  return sites;
}

/**
 * A PEFT folder as if it were our adapter file: pairs under the names of the adapters that the sources want at their sites, saved modules under
 * the names of their parameters. Where a pair of a layer is wanted that the folder's network has in parts, the parts' pairs are put together.
 * @param waivers Modules that the spec waives are left out.
 * @throws EspalierError ESP0514 when the folder adapts other modules that the model does not have, ESP0523 when parts are no pair of the layer; that
 * they read alike (A) is seen when the tensor is read
 */
export function peftAsStore(
  peft: PeftAdapter,
  sites: ReadonlyMap<string, ModuleSite>,
  sources: readonly SourceLike[],
  waivers?: Waivers,
): TensorStore {
  const wanted = new Map<string, [own: string, param: string][]>();
  for (const { site, params } of sources.flatMap((s) => s.adapters ?? [])) {
    wanted.set(site, [...(wanted.get(site) ?? []), ...Object.entries(params)]);
  }
  const strangers: string[] = [];
  const tensors = new Map<string, StoreEntry>();
  const put = (module: string, site: string, pair: LowRankPair): void => {
    const params = wanted.get(site) ?? [];
    for (const half of ['A', 'B', 'm'] as const) {
      const entry = pair[half];
      if (!entry) continue;
      const [, found] = params.find(([own]) => own === half || own.endsWith(`.${half}`)) ?? [];
      const param = found ?? `${site}@?.${half}`;
      if (tensors.has(param)) throw twice(peft.name, entry.original ?? `${module}.${half}`);
      const read = half === 'm' ? entry : padded(peft, pair, half);
      tensors.set(param, { ...read, original: entry.original ?? `${module}.${half}` });
    }
  };
  /** By layer, the pairs of its parts. */
  const inParts = new Map<string, { readonly parts: readonly string[]; readonly found: Map<string, PartPair> }>();
  for (const [module, pair] of peft.pairs) {
    const at = sites.get(module);
    if (at === undefined) {
      if (!waivers?.covers(module)) strangers.push(module);
    } else if (at.of && !wanted.has(at.site) && wanted.has(at.of.site)) {
      const { found } = inParts.get(at.of.site) ?? { found: new Map<string, PartPair>() };
      if (found.has(at.site)) throw twice(peft.name, `${module}.A`);
      inParts.set(at.of.site, { parts: at.of.parts, found: found.set(at.site, { module, pair }) });
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
      diagnostic('ESP0514', { file: peft.name, modules: strangers, nearest: [...sites.keys()].slice(0, 3) }),
    ]);
  }
  for (const [name, entry] of peft.saved) {
    const param = savedName(name, peft, sites, sources);
    if (tensors.has(param)) throw twice(peft.name, name);
    tensors.set(param, entry);
  }
  return { name: peft.name, tensors, metadata: peft.metadata };
}

/** `classifier.weight` -> `head.fc.weight`: by the layout, or because one module was saved and one is wanted. */
function savedName(
  name: string,
  peft: PeftAdapter,
  sites: ReadonlyMap<string, ModuleSite>,
  sources: readonly SourceLike[],
): string {
  const module = moduleOf(name);
  const leaf = name.slice(module.length + 1);
  const site = sites.get(module)?.site;
  if (site !== undefined) return `${site}.${leaf}`;
  const saved = new Set([...peft.saved.keys()].map(moduleOf));
  const tuned = new Set(sources.filter((s) => s.kind === 'tune').flatMap((s) => s.params.map(moduleOf)));
  if (saved.size === 1 && tuned.size === 1) return `${[...tuned][0]}.${leaf}`;
  return name;
}

/** One half at the adapter's common rank and scale: zeros add nothing, and B takes what its scale is more than the others'. */
function padded(peft: PeftAdapter, pair: LowRankPair, half: 'A' | 'B'): StoreEntry {
  const entry = pair[half];
  const factor = half === 'B' ? pair.scale / peft.scale : 1;
  if (pair.rank === peft.rank && factor === 1) return entry;
  const [rows, cols] = half === 'A' ? [peft.rank, entry.shape[1]!] : [entry.shape[0]!, peft.rank];
  return {
    dtype: entry.dtype,
    shape: [rows, cols],
    read: async () => {
      const { type, data } = await entry.read();
      const width = type.shape[1]!;
      const out = new Float32Array(rows * cols);
      for (let i = 0; i < data.length; i++) out[Math.floor(i / width) * cols + (i % width)] = data[i]! * factor;
      return { type: { dtype: 'f32', shape: [rows, cols] }, data: out };
    },
  };
}
