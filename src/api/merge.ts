/**
 * A merged checkpoint in the layout of the base.
 *
 * The merged program and the plain backbone's are walked side by side: they are the same graph over other parameters, and what
 * stands where the plain one reads `blocks.3.attn.qkv.weight` is the merged value of that tensor. Where they are not the same, an
 * adapter could not be merged into this layout, and the first place that differs says which.
 */

import type { Zeros } from '../../runtime/program/program.js';
import { diagnostic, type Place } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { Elaborated, Source } from '../dsl/elaborated.js';
import { chooseLayout, type OpenCheckpoint } from '../formats/checkpoint.js';
import { exportCheckpoint } from '../formats/export.js';
import { MERGED, type MergedRecord, mergedEntry, mergedIn } from '../formats/merged.js';
import { spelled } from '../formats/spellings.js';
import type { RoundingFigures } from '../formats/tensors/rounding.js';
import type { NamedTensor } from '../formats/types.js';
import { isAdapters } from '../ir/about.js';
import { attrsKey } from '../ir/intern.js';
import { sizeOf } from '../ir/ops/shapes.js';
import { showPath } from '../ir/path.js';
import type { Module, Tensor, Value } from '../ir/types.js';
import { type MergeReport, optimize } from '../passes/index.js';
import { isStep } from '../passes/values.js';
import { mergeRecords, WrittenRounding } from './adapters/written.js';
import { type Analysis, analyseModel, type Spec, type SpecOptions } from './analyse.js';
import { sayDataErrors } from './data-error.js';
import type { Progress } from './host.js';
import { type Loaded, loadParameters } from './parameters.js';
import { prepareParameters } from './prepare.js';
import { ZeroCounter } from './zeros.js';

export interface MergeOptions extends SpecOptions {
  readonly progress?: Progress;
}

export interface Merged {
  /** The folder: contents by name. */
  readonly files: ReadonlyMap<string, string | Uint8Array | Uint8Array[]>;
  readonly layout: string;
  /** Tensors of the checkpoint. */
  readonly tensors: number;
  /** Names of those that differ from the base's. */
  readonly changed: readonly string[];
  /** Of weights that a mask covers or that arrived sparse; absent where there is none. */
  readonly zeros?: Zeros;
  /** What writing did to the numbers that were merged, for each type that the base stores them in. */
  readonly rounding: readonly RoundingFigures[];
  /** What the file says of this merge, and of those before it. */
  readonly merged: readonly MergedRecord[];
  readonly warnings: readonly Diagnostic[];
}

interface Difference {
  readonly at: string;
  readonly why: string;
  /** The operator that it is about, where the spec or the library has it. */
  readonly place: Place;
}

function difference(where: string, why: string, about?: Value): Difference {
  const at = about?.about?.at;
  return { at: where, why, place: at ? { primary: { span: at, text: 'this operator' } } : {} };
}

/** `base.blocks[3].mlp.fc1`: the site of one of two values that should correspond, of the base's if it has one. */
const siteOf = (p: Value, m: Value): string => showPath(p.about?.site ?? m.about?.site ?? '') || 'the model';

function otherOperator(p: Value, m: Value): Difference {
  if (!isAdapters(m) && isStep(p)) {
    const why = `the adapter merges only together with the ${p.op} of the base, which the layout keeps apart`;
    return difference(siteOf(p, m), why, p);
  }
  return difference(siteOf(p, m), `the adapter leaves a ${m.op} where the base has a ${p.op}`, m);
}

/** The parameter that a value is, seen through changes of shape: its elements in their order. */
function elementsOf(v: Value): Value {
  let x = v;
  while (x.op === 'reshape') x = x.inputs[0]!;
  return x.op === 'param' ? x : v;
}

/** Pairs every parameter that the plain function reads with what the merged one reads in its place, the same number of elements. */
export function correspond(plain: Module, merged: Module): ReadonlyMap<string, string> | Difference {
  const pairs = new Map<string, string>();
  const results = plain.funcs.get('infer')!.results;
  const others = new Map(merged.funcs.get('infer')!.results.map((r) => [r.name, r.value]));
  const stack: [Value, Value][] = results.map((r) => [r.value, others.get(r.name)!]);
  const seen = new Map<Value, Value>();
  while (stack.length > 0) {
    const [p, m] = stack.pop()!;
    if (seen.get(p) === m) continue;
    seen.set(p, m);
    const [own, other] = [elementsOf(p), elementsOf(m)];
    if (own.op === 'param' && (p.op === 'param' || other.op === 'param')) {
      const { name } = own.attrs;
      if (other.op !== 'param') return difference(siteOf(p, m), `a ${m.op} stands where ${name} is read`, m);
      const known = pairs.get(name);
      if (known !== undefined && known !== other.attrs.name)
        return difference(name, 'it is read in two places, and the adapter changes one of them');
      if (sizeOf(own.type.shape) !== sizeOf(other.type.shape))
        return difference(name, `its shape becomes [${other.type.shape.join(', ')}]`);
      if (plain.params.get(name)?.role === 'constant' && name !== other.attrs.name)
        return difference(name, 'it is a table of the spec, which no checkpoint holds, and the adapter changes it', p);
      pairs.set(name, other.attrs.name);
      continue;
    }
    if (p.op !== m.op) return otherOperator(p, m);
    if (p.op !== 'input' && attrsKey(p.attrs) !== attrsKey(m.attrs))
      return difference(siteOf(p, m), `the adapter changes the attributes of a ${p.op}`, p);
    if (p.inputs.length < m.inputs.length)
      return difference(siteOf(p, m), 'a shift or a bias is added there, for which the base has no tensor', p);
    if (p.inputs.length > m.inputs.length) return difference(siteOf(p, m), `a ${p.op} lost an operand`, p);
    p.inputs.forEach((x, i) => {
      stack.push([x, m.inputs[i]!]);
    });
  }
  return pairs;
}

/** @throws EspalierError when the spec, the weights or the layout stand in the way; nothing is written either way. */
export function merge(spec: Spec, options: MergeOptions): Promise<Merged> {
  return sayDataErrors(() => mergeSpec(spec, options));
}

/** A model merged, and beside it the same without what is grafted, of which a checkpoint holds the parameters. */
export interface BesideBase {
  readonly analysis: Analysis & { readonly elaborated: Elaborated };
  readonly backbone: Source;
  readonly base: OpenCheckpoint;
  readonly layoutName: string;
  /** The layout of the base, with all spellings, and in the same order as the base spells it. */
  readonly names: readonly NamedTensor[];
  readonly layout: readonly NamedTensor[];
  readonly loaded: Loaded;
  readonly plain: Module;
  readonly module: Module;
  readonly report: MergeReport;
  /** What the merged model reads where the plain one reads a parameter. */
  readonly pairs: ReadonlyMap<string, string>;
}

/** @throws EspalierError for a base without a checkpoint, weights that do not fit, and adapters that do not merge into the layout */
export async function besideBase(
  analysis: Analysis & { readonly elaborated: Elaborated },
  progress?: Progress,
): Promise<BesideBase> {
  const { elaborated } = analysis;
  const backbone = elaborated.sources.find((s) => s.kind === 'backbone');
  const base = backbone && analysis.checkpoints.get(backbone.location);
  if (!backbone || !base) throw new EspalierError([diagnostic('ESP0918', { model: elaborated.name })]);

  // The head is tuned on its own and has its place in the base's layout too.
  const { name: layoutName } = chooseLayout(backbone, base.store);
  const names = elaborated.sources
    .flatMap((s) => s.layouts[layoutName] ?? [])
    .filter((n) => !elaborated.module.params.get(n.param)?.about?.owner);
  const layout = spelled(names, base.store);
  progress?.('merging');
  const loaded = await loadParameters(analysis, progress);
  const { module, report } = optimize(elaborated.module, { adapters: 'merged' });
  const plain = optimize(analysis.plain().module, { adapters: 'merged' }).module;
  const kept = report.diagnostics.filter((d) => d.severity === 'error');
  if (kept.length > 0) throw new EspalierError(kept);
  const pairs = correspond(plain, module);
  if (!(pairs instanceof Map)) {
    const { at, why, place } = pairs as Difference;
    throw new EspalierError([
      ...report.diagnostics,
      diagnostic('ESP0911', { layout: layoutName, tensor: at, why }, place),
    ]);
  }
  return { analysis, backbone, base, layoutName, names, layout, loaded, plain, module, report, pairs };
}

async function mergeSpec(spec: Spec, options: MergeOptions): Promise<Merged> {
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  const graph = elaborated.sources.find((s) => s.kind === 'backbone' && analysis.checkpoints.get(s.location)?.onnx);
  if (graph) {
    const at = { primary: { span: graph.span, text: 'the base' } };
    throw new EspalierError([diagnostic('ESP1235', { file: analysis.checkpoints.get(graph.location)!.name }, at)]);
  }
  const merged = await besideBase(analysis, options.progress);
  const { backbone, base, layoutName, layout, loaded, plain, module, report, pairs } = merged;
  const prepared = new Map<string, Tensor>();
  const rounding = new WrittenRounding(merged);
  prepareParameters({
    module,
    regions: report.regions,
    params: loaded.get,
    take: (name, tensor, exact) => {
      prepared.set(name, tensor);
      rounding.prepared(name, tensor, exact);
    },
    progress: options.progress,
  });

  const values = new Map<string, Tensor>();
  for (const [ours, theirs] of pairs) {
    // What the plain model prepares has no tensor, and tables are part of the spec.
    const { type, role } = plain.params.get(ours)!;
    if (role === 'prepared' || role === 'constant') continue;
    const { data } = prepared.get(theirs) ?? loaded.get(theirs);
    values.set(ours, { type, data });
  }
  // What inference does not read (an unused pooler, say) keeps its value.
  for (const name of backbone.params) if (!values.has(name)) values.set(name, loaded.get(name));
  const zeros = new ZeroCounter(elaborated, module, loaded.get);
  for (const [name, tensor] of values) {
    const stored = base.store.tensors.get(layout.find((n) => n.param === name)?.tensor ?? '')?.dtype;
    zeros.take(name, tensor, stored === 'F16' ? 'f16' : 'f32');
  }
  const counted = zeros.result();
  const warnings = [...analysis.warnings, ...loaded.warnings, ...report.diagnostics];
  const before = mergedIn(base.store.metadata);
  if (!before) {
    const place = { primary: { span: backbone.span, text: 'loaded here' } };
    warnings.push(diagnostic('ESP1305', { file: base.name, text: base.store.metadata[MERGED]! }, place));
  }
  const records = [...(before ?? []), ...(await mergeRecords(analysis, options.labels))];
  const exported = await exportCheckpoint({
    params: values,
    layoutName,
    layout,
    base,
    metadata: mergedEntry(records),
    see: (part) => rounding.written(part),
    ...(elaborated.labels ? { labels: elaborated.labels } : {}),
    ...(backbone.exports ? { fields: backbone.exports } : {}),
  });
  return {
    ...exported,
    layout: layoutName,
    ...(counted ? { zeros: counted } : {}),
    rounding: rounding.figures(),
    merged: records,
    warnings,
  };
}
