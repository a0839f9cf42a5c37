/** Which layer of a model each module of a checkpoint's layout is, and which parameter each of its tensors: what adapter folders name. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { NamedTensor, SiteLike, SourceLike } from '../types.js';

/** What a module of a checkpoint is in a model. */
export interface ModuleSite {
  readonly site: string;
  /** Of a row part of a layer: that layer, and all of its parts in the order of their rows. */
  readonly of?: { readonly site: string; readonly parts: readonly string[] };
  /** Of a layer that has row parts: these, in the order of their rows. */
  readonly parts?: readonly string[];
  /** Where its weight lies, if it has one. */
  readonly weight?: NamedTensor;
}

/** A model's modules and tensors by the names that they have in any of its layouts, by any spelling. */
export interface ModelNames {
  readonly modules: ReadonlyMap<string, ModuleSite>;
  readonly tensors: ReadonlyMap<string, NamedTensor>;
  /** Tensors that a checkpoint of the model may hold and that the model does not have; `*` stands for any characters. */
  readonly ignored: readonly string[];
}

/** By the layouts of all sources: a head that has a file of its own is in none of the backbone's. */
export function namesOfModel(root: SiteLike, sources: readonly SourceLike[]): ModelNames {
  const layouts = sources
    .filter((s) => s.kind === 'backbone' || s.kind === 'tune')
    .flatMap((s) => Object.values(s.layouts));
  const tensors = new Map<string, NamedTensor>();
  for (const name of layouts.flat())
    for (const spelling of [name.tensor, ...(name.also ?? [])]) if (!tensors.has(spelling)) tensors.set(spelling, name);
  const modules = new Map(layouts.flatMap((layout) => [...moduleSites(root, layout)]));
  return { modules, tensors, ignored: sources.flatMap((s) => (s.kind === 'backbone' ? (s.optional ?? []) : [])) };
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
  const put = (name: NamedTensor, leaf: string, site: ModuleSite): void => {
    for (const spelling of [name.tensor, ...(name.also ?? [])]) {
      const module = moduleOf(spelling);
      const weight = leaf === 'weight' ? { weight: name } : {};
      sites.set(module, { ...sites.get(module), ...site, ...weight });
    }
  };
  const visit = (site: SiteLike): void => {
    const parts = site.children.filter((c) => c.kind === 'part').map((c) => c.path);
    for (const leaf of ['weight', 'bias']) {
      const names = byParam.get(`${site.path}.${leaf}`);
      if (!names) continue;
      const whole = names.find((n) => !n.rows);
      if (whole) put(whole, leaf, { site: site.path, ...(parts.length > 0 ? { parts } : {}) });
      const ranges = names.filter((n) => n.rows).sort((a, b) => a.rows![0] - b.rows![0]);
      if (ranges.length !== parts.length) continue;
      for (const [i, range] of ranges.entries()) put(range, leaf, { site: parts[i]!, of: { site: site.path, parts } });
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

/** Two tensors for one place, as two adapters in one file have them. */
export function twice(file: string, name: string): EspalierError {
  const problem = 'is there twice, under other names: the file holds several adapters, and one is read';
  return new EspalierError([diagnostic('ESP0503', { file, tensor: name, problem })]);
}
