/**
 * A merged checkpoint in the layout of the base.
 *
 * The merged program and the plain backbone's are walked side by side: they are the same graph over other parameters, and what
 * stands where the plain one reads `blocks.3.attn.qkv.weight` is the merged value of that tensor. Where they are not the same, an
 * adapter could not be merged into this layout, and the first place that differs says which.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import { chooseLayout } from '../formats/checkpoint.js';
import { exportCheckpoint } from '../formats/export.js';
import type { Module, Tensor, Value } from '../ir/types.js';
import { optimize } from '../passes/index.js';
import { analyseModel, type Spec, type SpecOptions } from './analyse.js';
import { requireEqualRegions } from './check.js';
import { loadParameters, type Progress } from './parameters.js';
import { prepareParameters } from './prepare.js';

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
  readonly warnings: readonly Diagnostic[];
}

interface Difference {
  readonly at: string;
  readonly why: string;
}

const siteOf = (v: Value) => v.origin?.site ?? v.op;

/** Pairs every parameter that the plain function reads with what the merged one reads in its place. */
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
    if (p.op === 'param') {
      if (m.op !== 'param') return { at: siteOf(m), why: `a ${m.op} stands where ${p.attrs.name} is read` };
      const known = pairs.get(p.attrs.name);
      if (known !== undefined && known !== m.attrs.name) {
        return { at: p.attrs.name, why: 'it is read in two places, and the adapter changes one of them' };
      }
      if (p.type.shape.join() !== m.type.shape.join())
        return { at: p.attrs.name, why: `its shape becomes [${m.type.shape.join(', ')}]` };
      pairs.set(p.attrs.name, m.attrs.name);
      continue;
    }
    if (p.op !== m.op) return { at: siteOf(m), why: `the adapter leaves a ${m.op} where the base has a ${p.op}` };
    if (p.op !== 'input' && JSON.stringify(p.attrs) !== JSON.stringify(m.attrs)) {
      return { at: siteOf(m), why: `the adapter changes the attributes of a ${p.op}` };
    }
    if (p.inputs.length < m.inputs.length)
      return { at: siteOf(m), why: 'a shift needs a bias there and the base has none' };
    if (p.inputs.length > m.inputs.length) return { at: siteOf(m), why: `a ${p.op} lost an operand` };
    p.inputs.forEach((x, i) => {
      stack.push([x, m.inputs[i]!]);
    });
  }
  return pairs;
}

/** @throws EspalierError when the spec, the weights or the layout stand in the way; nothing is written either way. */
export async function merge(spec: Spec, options: MergeOptions): Promise<Merged> {
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  const backbone = elaborated.sources.find((s) => s.kind === 'backbone');
  const base = backbone && analysis.checkpoints.get(backbone.location);
  if (!backbone || !base) throw new EspalierError([diagnostic('ESP0918', { model: elaborated.name })]);

  // The head is tuned on its own and has its place in the base's layout too.
  const { name: layoutName } = chooseLayout(backbone, base.store);
  const layout = elaborated.sources.flatMap((s) => s.layouts[layoutName] ?? []).filter((n) => !n.param.includes('@'));
  options.progress?.('merging');
  const loaded = await loadParameters(analysis, options.progress);
  const { module, report } = optimize(elaborated.module, { adapters: 'merged' });
  const plain = optimize(analysis.again({ plain: true }).module, { adapters: 'merged' }).module;
  const kept = report.diagnostics.filter((d) => d.severity === 'error');
  if (kept.length > 0) throw new EspalierError(kept);
  const pairs = correspond(plain, module);
  if (!(pairs instanceof Map)) {
    const { at, why } = pairs as Difference;
    throw new EspalierError([...report.diagnostics, diagnostic('ESP0911', { layout: layoutName, tensor: at, why })]);
  }
  requireEqualRegions(report, loaded.get, options.progress);
  const prepared = prepareParameters(module, loaded.get);

  const values = new Map<string, Tensor>();
  for (const [ours, theirs] of pairs) {
    if (plain.params.get(ours)?.role === 'prepared') continue;
    values.set(ours, prepared.get(theirs) ?? loaded.get(theirs));
  }
  // What inference does not read (an unused pooler, say) keeps its value.
  for (const name of backbone.params) if (!values.has(name)) values.set(name, loaded.get(name));
  const exported = await exportCheckpoint({
    params: values,
    layoutName,
    layout,
    base,
    ...(elaborated.labels ? { labels: elaborated.labels } : {}),
  });
  return {
    ...exported,
    layout: layoutName,
    warnings: [...analysis.warnings, ...loaded.warnings, ...report.diagnostics],
  };
}
