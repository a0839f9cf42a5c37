/** The weight and the bias that a layer and the first of its adapters come to. */

import { type Affine, affineOf, biasOf, weightOf } from '../../../../ir/affine/affine.js';
import { isObstacle } from '../../../../ir/affine/form.js';
import { build } from '../../../../ir/build.js';
import { input } from '../../../../ir/graph.js';
import { showPath } from '../../../../ir/path.js';
import type { TensorType, Value } from '../../../../ir/types.js';
import type { AdapterDecl, Expr, Span } from '../../../ast.js';
import { nodesOf } from '../../../walk.js';
import { showShape } from '../../evaluate/show.js';
import { type LayerSite, type PartSite, type Site, tensorVal } from '../../evaluate/values.js';
import { Stop } from '../../report.js';
import type { Merged, Tracer } from '../memo.js';
import { frameOf } from '../modules/call.js';
import { plainBias, plainWeight } from '../modules/layer.js';
import { trace } from './call.js';

export const stopSilently = (): never => {
  throw new Stop();
};

export const untouched = (site: LayerSite | PartSite, level: number): boolean =>
  level === 0 && !(site.kind === 'layer' && site.parts.some((p) => p.grafts.length > 0));

/** The first `level` adapters on a layer, and those on its parts. */
export const adaptersUpTo = (site: LayerSite | PartSite, level: number): readonly string[] =>
  [...(site.kind === 'layer' ? site.parts.flatMap((p) => p.grafts) : []), ...site.grafts.slice(0, level)].map(
    (g) => g.id,
  );

/** The weight of a layer with its first `level` adapters merged into it. */
export function mergedWeight(engine: Tracer, site: LayerSite | PartSite, level: number, span: Span): Value {
  if (untouched(site, level)) return plainWeight(engine, site)!;
  return mergeAt(engine, site, level, span).weight;
}

export function mergedBias(engine: Tracer, site: LayerSite | PartSite, level: number, span: Span): Value | undefined {
  return untouched(site, level) ? plainBias(site) : mergeAt(engine, site, level, span).bias;
}

/**
 * Works out the affine form of what is below an adapter, or says which operator is in the way. Adapters further down may ask the same of
 * what is below them: they are answered first, from below, not by each within the next.
 */
function mergeAt(engine: Tracer, site: LayerSite | PartSite, level: number, span: Span): Merged {
  const memo = engine.memo.of(site).merged;
  if (memo.has(level)) return memo.get(level) ?? stopSilently();
  for (let below = 1; below < level; below++) {
    if (memo.has(below) || !asksForWeights(site.grafts[below]!.decl)) continue;
    // Whether it does ask is not known yet, so what is in the way is not said yet.
    const found = engine.report.attempt(() => mergeOne(engine, site, below, span, (work) => engine.report.muted(work)));
    if (found) memo.set(below, found);
  }
  memo.set(level, undefined);
  const found = mergeOne(engine, site, level, span, (work) => work());
  memo.set(level, found);
  return found;
}

function mergeOne(
  engine: Tracer,
  site: LayerSite | PartSite,
  level: number,
  span: Span,
  how: (work: () => Merged) => Merged,
): Merged {
  const type = inputType(engine, site, level, span);
  const x = engine.trace('the input of the layer', span, [], () => input('x', type));
  const y = engine.within(frameOf(site), () =>
    engine.tensor(trace(engine, site, [{ value: tensorVal(x), span }], span, level), span),
  );
  return how(() => mergedOf(engine, site, y, x, span));
}

/** Whether an adapter reads its base's weight or bias, or replaces one of them and keeps the other. */
function asksForWeights(decl: AdapterDecl): boolean {
  const isBase = (e: Expr): boolean => e.kind === 'name' && e.name === decl.base.name;
  for (const node of nodesOf(decl.body)) {
    const e = node as Expr;
    if (e.kind === 'member' && isBase(e.object)) return true;
    if (e.kind === 'call' && isBase(e.callee) && e.args.some((a) => a.name)) return true;
  }
  return false;
}

function inputType(engine: Tracer, site: LayerSite | PartSite, level: number, span: Span): TensorType {
  const type = site.grafts[level]?.input ?? site.grafts.at(-1)?.input;
  return (
    type ??
    engine.report.stop(
      'ESP0229',
      { of: showPath(site.path), what: 'a tensor' },
      { primary: { span, text: 'called with nothing' } },
    )
  );
}

/** What y is of x, as a weight and a bias of this layer; reports and stops where it is none. */
export function mergedOf(engine: Tracer, site: LayerSite | PartSite, y: Value, x: Value, span: Span): Merged {
  const form = formOf(engine, site, y, x, span);
  const bias = biasOf(form);
  if (bias && bias.type.shape.length !== 1) {
    refuse(engine, site, span, 'what is added does not depend on the channel alone', bias);
  }
  return { weight: weightIn(engine, site, form, span), bias };
}

/** The weight alone: what does not depend on x may be anything. */
export const linearPart = (engine: Tracer, site: LayerSite | PartSite, y: Value, x: Value, span: Span): Value =>
  weightIn(engine, site, formOf(engine, site, y, x, span), span);

function formOf(engine: Tracer, site: LayerSite | PartSite, y: Value, x: Value, span: Span): Affine {
  const { axis } = (site.kind === 'part' ? site.whole : site).layer;
  const form = affineOf(y, x, axis < 0 ? y.type.shape.length + axis : axis);
  if (isObstacle(form)) return refuse(engine, site, span, `${form.op}: ${form.reason}`, form.value);
  if (form.x !== x) return refuse(engine, site, span, 'the adapter below rearranges its input', y);
  return form;
}

function weightIn(engine: Tracer, site: LayerSite | PartSite, form: Affine, span: Span): Value {
  const { shape } = plainWeight(engine, site)!.type;
  const weight = weightOf(form);
  // A convolution of single pixels is a matrix, and its weight is written with a kernel of one pixel.
  if ([...weight.type.shape, 1, 1].join() === shape.join()) return build.reshape(weight, shape);
  if (weight.type.shape.join() !== shape.join()) {
    refuse(engine, site, span, `it would be ${showShape(weight.type.shape)}`, form.y);
  }
  return weight;
}

function refuse(engine: Tracer, site: Site, span: Span, why: string, at: Value): never {
  const made = at.about?.at;
  return engine.report.stop(
    'ESP0332',
    { site: showPath(site.path), why },
    {
      primary: { span, text: 'needed here' },
      secondary: made ? [{ span: made, text: `\`${at.op}\` is in the way` }] : [],
    },
  );
}
