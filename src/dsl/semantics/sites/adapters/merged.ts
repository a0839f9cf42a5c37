import { affineOf, biasOf, weightOf } from '../../../../ir/affine/affine.js';
import { isObstacle } from '../../../../ir/affine/form.js';
import { build } from '../../../../ir/build.js';
import { input } from '../../../../ir/graph.js';
import type { TensorType, Value } from '../../../../ir/types.js';
import type { AdapterDecl, Expr, Span } from '../../../ast.js';
import { nodesOf } from '../../../walk.js';
import { showShape } from '../../evaluate/show.js';
import { type LayerSite, type PartSite, tensorVal } from '../../evaluate/values.js';
import { Stop } from '../../report.js';
import type { Merged, Tracer } from '../memo.js';
import { frameOf } from '../modules/call.js';
import { plainBias, plainWeight } from '../modules/layer.js';
import { trace } from './call.js';

/** The weight and the bias that a layer and the first of its adapters come to. */

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
  return how(() => affine(engine, site, y, x, span));
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
      { of: site.path, what: 'a tensor' },
      { primary: { span, text: 'called with nothing' } },
    )
  );
}

export function affine(engine: Tracer, site: LayerSite | PartSite, y: Value, x: Value, span: Span): Merged {
  const layer = (site.kind === 'part' ? site.whole : site).layer;
  const rank = y.type.shape.length;
  const form = affineOf(y, x, layer.axis < 0 ? rank + layer.axis : layer.axis);
  const refuse = (why: string, at?: Value): never => {
    const made = at?.about?.at;
    return engine.report.stop(
      'ESP0332',
      { site: site.path, why },
      {
        primary: { span, text: 'needed here' },
        secondary: made ? [{ span: made, text: `\`${at.op}\` is in the way` }] : [],
      },
    );
  };
  if (isObstacle(form)) return refuse(`${form.op}: ${form.reason}`, form.value);
  if (form.x !== x) return refuse('the adapter below rearranges its input', y);
  const plain = plainWeight(engine, site)!;
  const merged = weightOf(form);
  // A convolution of single pixels is a matrix, and its weight is written with a kernel of one pixel.
  const pixels = [...merged.type.shape, 1, 1].join() === plain.type.shape.join();
  const weight = pixels ? build.reshape(merged, plain.type.shape) : merged;
  const bias = biasOf(form);
  if (weight.type.shape.join() !== plain.type.shape.join()) {
    return refuse(`it would be ${showShape(weight.type.shape)}`, y);
  }
  if (bias && bias.type.shape.length !== 1) return refuse('what is added does not depend on the channel alone', bias);
  return { weight, bias };
}
