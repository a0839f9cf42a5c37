/** The adapters of a spec, and what it tunes, as a folder of the Python library `peft`. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { AppliedAdapter, Elaborated } from '../../dsl/elaborated.js';
import { type PeftLayer, peftFiles, type SavedModules } from '../../formats/adapters/peft-folder.js';
import { type ModulePlace, moduleOf, modulesOfSites } from '../../formats/adapters/sites.js';
import { sliceRows, toStored, unprefixed } from '../../formats/spellings.js';
import type { NamedTensor } from '../../formats/types.js';
import { topological } from '../../ir/graph.js';
import { sameShape } from '../../ir/ops/shapes.js';
import type { Tensor, Value } from '../../ir/types.js';
import { analyseModel, type Spec, type SpecOptions } from '../analyse.js';
import { sayDataErrors } from '../data-error.js';
import type { Progress } from '../host.js';
import { type BesideBase, besideBase } from '../merge.js';
import { baseRecord } from './base-weights.js';
import { warningOf } from './bypassed.js';
import { biasOf, type Candidate, measure } from './low-rank.js';

export interface ExportOptions extends SpecOptions {
  /** Modules are called as in the base's file, where the network in Python now calls them something else: for transformers 4. */
  readonly asStored?: boolean;
  readonly progress?: Progress;
}

export interface ExportedAdapters {
  /** The folder: contents by name. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** Modules with a pair of matrices. */
  readonly adapted: readonly string[];
  /** Modules that were trained as a whole. */
  readonly saved: readonly string[];
  readonly warnings: readonly Diagnostic[];
}

/**
 * Low rank pairs (LoRA) and those with magnitudes (DoRA), whatever the adapters are called, under the module names of the base.
 * @throws EspalierError ESP0522 with everything that such a folder cannot say, ESP0918 for a base without a checkpoint, and what `merge` throws
 */
export function exportAdapters(spec: Spec, options: ExportOptions): Promise<ExportedAdapters> {
  return sayDataErrors(() => exportSpec(spec, options));
}

async function exportSpec(spec: Spec, options: ExportOptions): Promise<ExportedAdapters> {
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  refuse(strangers(elaborated));
  const merged = await besideBase(analysis, options.progress);
  const names = spellingsOf(merged, options.asStored ?? false);
  const problems: string[] = [];
  const sites = modulesOfSites(elaborated.root, names, (p) => elaborated.module.params.get(p)!.type.shape[0]!);
  const places = new Map<Candidate, readonly ModulePlace[]>();
  for (const adapter of elaborated.adapters) {
    const { site, params } = adapter;
    const found = sites.get(site);
    if (!found || found.some((p) => p.stored && !isKernel(p.stored))) {
      problems.push(`${adapter.id}: the ${merged.layoutName} layout has no linear layer and no convolution there`);
      continue;
    }
    const { A, B, m, c } = params as { A: string; B: string; m?: string; c?: string };
    const rows = [found[0]!.rows[0], found.at(-1)!.rows[1]] as const;
    const weight = found[0]!.param;
    const candidate = { site, weight, rows, A, B, ...(m ? { m } : {}), ...(c ? { c } : {}) };
    if (!isPair(candidate, elaborated))
      problems.push(
        `${adapter.id}: its parameters are not [rank, in], [out, rank] and [out] of a linear layer, or of a convolution with A [rank, in, kh, kw]`,
      );
    else if (inGroups(weight, elaborated)) problems.push(`${adapter.id}: it is on a convolution in groups`);
    else places.set(candidate, found);
    if (c && !elaborated.module.params.has(biasOf(weight)))
      problems.push(`${adapter.id}: it shifts what its layer gives, and that has no bias`);
  }
  refuse(problems);
  const measured = measure(merged.module, merged.pairs, [...places.keys()]);
  const saved = savedModules(merged, names, problems);
  const layers = [...places].flatMap(([c, found]) =>
    layersOf(c, found, measured.scales.get(c) ?? 1, merged.loaded.get),
  );
  for (const { module } of layers) {
    if (saved.modules.some((s) => `${module}.`.startsWith(`${s}.`)))
      problems.push(`${module}: it is adapted, and trained as a whole`);
  }
  refuse([...measured.problems, ...problems]);
  const labels = saved.modules.length > 0 ? elaborated.labels : undefined;
  const on = analysis.trainedOn ?? baseRecord(elaborated, analysis.checkpoints, merged.loaded.ofBase);
  return {
    files: peftFiles(layers, saved, replacedBiases(merged, names, saved.modules), labels, on),
    adapted: layers.map((l) => l.module),
    saved: saved.modules,
    warnings: [
      ...analysis.warnings,
      ...merged.loaded.warnings.filter((w) => w.code !== 'ESP1287'),
      // Of what is written, which a folder that it was read from may be.
      ...warningOf(
        'what is exported',
        layers.map((l) => l.module),
        elaborated,
        analysis.checkpoints,
      ),
    ],
  };
}

/** A linear layer that the layout has as a convolution of one place. */
const isKernel = ({ shape, transposed }: NonNullable<ModulePlace['stored']>): boolean =>
  !transposed && shape.length > 2 && shape.slice(2).every((n) => n === 1);

function refuse(problems: readonly string[]): void {
  if (problems.length > 0) throw new EspalierError([diagnostic('ESP0522', { adapters: [...problems] })]);
}

/** What can be told before weights are read: other parameters than a pair's, shared ones, several on a site, masks. */
function strangers({ adapters, prune, name }: Elaborated): string[] {
  if (adapters.length === 0) return [`${name} has no adapters`];
  const problems: string[] = [];
  if (prune.length > 0) problems.push(`${name} has masks`);
  const owners = new Map<string, AppliedAdapter>();
  const sites = new Set<string>();
  for (const adapter of adapters) {
    const { id, site, params } = adapter;
    const own = Object.keys(params).sort().join(', ');
    if (own !== 'A, B' && own !== 'A, B, m' && own !== 'A, B, c')
      problems.push(`${id}: its parameters are ${own || 'none'}, not A and B, or A, B and m, or A, B and c`);
    for (const param of Object.values(params)) {
      if (owners.has(param)) problems.push(`${id}: it shares ${param} with ${owners.get(param)!.id}`);
      else owners.set(param, adapter);
    }
    if (sites.has(site)) problems.push(`${id}: it is the second adapter on ${site}`);
    sites.add(site);
  }
  for (const [own, what] of [
    ['m', 'magnitudes'],
    ['c', 'a bias'],
  ] as const) {
    const some = adapters.filter((a) => a.params[own] !== undefined);
    if (some.length > 0 && some.length < adapters.length)
      problems.push(
        `${some[0]!.id} has ${what}, and ${adapters.find((a) => a.params[own] === undefined)!.id} has none`,
      );
  }
  return problems;
}

function isPair({ weight, rows: [start, end], A, B, m, c }: Candidate, { module }: Elaborated): boolean {
  const shape = (param: string) => module.params.get(param)!.type.shape;
  const [rank = 0] = shape(A);
  return (
    sameShape(shape(A), [rank, ...shape(weight).slice(1)]) &&
    sameShape(shape(B), [end - start, rank]) &&
    [m, c].every((v) => v === undefined || sameShape(shape(v), [end - start]))
  );
}

/** Whether a weight is the kernel of a convolution in groups, of which a pair in peft has another meaning. */
function inGroups(weight: string, { module }: Elaborated): boolean {
  const reads = (v: Value): boolean => topological([v]).some((x) => x.op === 'param' && x.attrs.name === weight);
  const { results = [] } = module.funcs.get('infer') ?? {};
  return topological(results.map((r) => r.value)).some(
    (v) => v.op === 'conv2d' && v.attrs.groups > 1 && reads(v.inputs[1]!),
  );
}

/**
 * The layout with one spelling of each name: that of the network in Python, which a file without a head keeps without a prefix, and which may have in parts what the
 * file has as a whole. What a network has at its top is called so in its files too.
 */
function spellingsOf(merged: BesideBase, asStored: boolean): NamedTensor[] {
  const { names, layout, layoutName, analysis } = merged;
  // A prefix that all names of the layout can have is left out where the file leaves it out. A new head beside a bare encoder has none, and so the encoder has one.
  const bare = layout.every(({ tensor }, i) => unprefixed(names[i]!).includes(tensor));
  const spelled = (n: NamedTensor, file: string | undefined): NamedTensor => {
    const { tensor, also = [], ...rest } = n;
    if (file !== undefined && !asStored && !moduleOf(file).includes('.')) return { ...rest, tensor: file };
    const without = unprefixed(n);
    const all = [tensor, ...also];
    const fitting = all.filter((s) => without.includes(s) === bare);
    const list = fitting.length > 0 ? fitting : all;
    return { ...rest, tensor: asStored ? list[0]! : list.at(-1)! };
  };
  const inMemory = asStored ? undefined : newerOf(layoutName, names, analysis.elaborated);
  if (inMemory) return inMemory.map((n) => spelled(n, undefined));
  return names.map((n, i) => spelled(n, layout[i]!.tensor));
}

/** Of the variant's layouts the last that has most of the names of this one, stored alike: as the network has them now, where its files are as they were. */
function newerOf(
  layoutName: string,
  names: readonly NamedTensor[],
  { sources, module }: Elaborated,
): NamedTensor[] | undefined {
  const bySpelling = new Map(names.flatMap((n) => [n.tensor, ...(n.also ?? [])].map((s) => [s, n] as const)));
  const layouts = new Set(sources.flatMap((s) => Object.keys(s.layouts)));
  for (const other of [...layouts].toReversed()) {
    if (other === layoutName) return undefined;
    const list = sources
      .flatMap((s) => s.layouts[other] ?? [])
      .filter((n) => !module.params.get(n.param)?.about?.owner);
    const common = list.flatMap((n) => {
      const same = bySpelling.get(n.tensor);
      return same ? [[n, same] as const] : [];
    });
    const alike = common.every(
      ([a, b]) => a.param === b.param && sameShape(a.stored?.shape ?? [], b.stored?.shape ?? []),
    );
    const params = new Set(list.map((n) => n.param));
    // Where none of its names is another spelling here, it is that of another file.
    const renamed = common.some(([a, b]) => a.tensor !== b.tensor);
    if (alike && renamed && 2 * common.length > list.length && names.every((n) => params.has(n.param))) return list;
  }
  return undefined;
}

function layersOf(
  { rows: [start], A, B, m, c }: Candidate,
  places: readonly ModulePlace[],
  scale: number,
  get: (name: string) => Tensor,
): PeftLayer[] {
  return places.map(({ module, rows, stored }) => {
    const own = [rows[0] - start, rows[1] - start] as const;
    const magnitude = m === undefined ? {} : { m: sliceRows(get(m), own) };
    const shift = c === undefined ? {} : { c: sliceRows(get(c), own) };
    return {
      module,
      A: get(A),
      B: sliceRows(get(B), own),
      ...magnitude,
      ...shift,
      scale,
      units: (stored?.shape ?? get(A).type.shape).length - 2,
    };
  });
}

/** Biases of the base that came with the adapter (`Loaded.replaced`) and differ from its own, by name, but for those of modules that are saved as a whole. */
function replacedBiases(
  { loaded }: BesideBase,
  names: readonly NamedTensor[],
  saved: readonly string[],
): Map<string, Tensor> {
  const biases = new Map<string, Tensor>();
  for (const n of names) {
    if (!loaded.replaced.has(n.param) || saved.some((m) => n.tensor.startsWith(`${m}.`))) continue;
    const own = (whole: Tensor): Tensor => toStored(n, n.rows ? sliceRows(whole, n.rows) : whole);
    const value = own(loaded.get(n.param));
    const before = loaded.replaced.get(n.param);
    if (!before || own(before).data.some((x: number, i: number) => x !== value.data[i])) biases.set(n.tensor, value);
  }
  return biases;
}

/** Trained parameters that are no adapter's, by whole modules; `problems` gets those that are less. */
function savedModules(
  { analysis, layoutName, loaded }: BesideBase,
  names: readonly NamedTensor[],
  problems: string[],
): SavedModules {
  const trained = new Set<string>();
  for (const [name, p] of analysis.elaborated.module.params)
    if ((p.role === 'trainable' || p.role === 'statistic') && !p.about?.owner) trained.add(name);
  const placed = names.filter((n) => trained.has(n.param));
  const homes = new Set(placed.map((n) => n.param));
  for (const name of trained)
    if (!homes.has(name)) problems.push(`${name}: it is trained, and the ${layoutName} layout has no place for it`);
  const all = [...new Set(placed.map((n) => moduleOf(n.tensor)))];
  const modules = all.filter((m) => !all.some((o) => o !== m && m.startsWith(`${o}.`)));
  for (const module of modules) {
    const still = names.find((n) => n.tensor.startsWith(`${module}.`) && !trained.has(n.param));
    if (module === '')
      problems.push(`${placed.find((n) => moduleOf(n.tensor) === '')!.param}: it is trained, and is of no module`);
    else if (still) problems.push(`${module}: only a part of it is trained, ${still.param} is not`);
  }
  const tensors = new Map<string, Tensor>();
  for (const n of placed) {
    const value = loaded.get(n.param);
    tensors.set(n.tensor, toStored(n, n.rows ? sliceRows(value, n.rows) : value));
  }
  return { modules, tensors };
}
