/** What `base` means inside of an adapter, and a mask over a layer and its adapters: the weights that adapters below come to. */

import { nearest } from '../../../diagnostics/suggest.js';
import { affineOf, biasOf, isObstacle, weightOf } from '../../../ir/affine/affine.js';
import { build } from '../../../ir/build.js';
import { input } from '../../../ir/graph.js';
import type { TensorType, Value } from '../../../ir/types.js';
import type { AdapterDecl, Expr, Span } from '../../ast.js';
import { nodesOf } from '../../walk.js';
import type { ArgVal, Engine } from '../evaluate/engine.js';
import { num, showShape, tensorVal, type Val } from '../evaluate/values.js';
import { Stop } from '../report.js';
import { callBelow, isLayer, keyOf, layerSizes, remembered, trace } from './grafts.js';
import { frameOf, oneTensor, plainBias, plainWeight, runLayer } from './modules.js';
import type { LayerSite, PartSite, Site } from './site.js';

/** Traces a site with its first `level` adapters (all, if not said). Calling it again with the same tensors gives the same values. */
export function callSite(
  engine: Engine,
  site: Site,
  args: readonly ArgVal[],
  span: Span,
  level: number = site.grafts.length,
): Val {
  const masked = level === site.grafts.length && site.kind === 'layer' && site.mask?.over === 'sum';
  if (!masked) return trace(engine, site, args, span, level);
  return remembered(site, keyOf('masked', args), () =>
    maskSum(engine, site, args, span, trace(engine, site, args, span, level)),
  );
}

const hasWeight = (site: Site): site is LayerSite | PartSite =>
  isLayer(site) && (site.kind === 'part' ? site.whole : site).params.has('weight');

/** `base(x)`, or `base(x, weight: V)`: the layer with another weight, keeping its stride, groups and bias. */
export function callBase(engine: Engine, site: Site, level: number, args: readonly ArgVal[], span: Span): Val {
  const replaced = args.filter((a) => a.name === 'weight' || a.name === 'bias');
  if (replaced.length === 0) return callBelow(engine, site, level, args, span);
  if (!hasWeight(site)) {
    engine.report.stop(
      'ESP0333',
      { site: site.path, what: replaced[0]!.name! },
      { primary: { span: replaced[0]!.span, text: 'given here' } },
    );
  }
  const x = oneTensor(
    engine,
    site,
    args.filter((a) => !replaced.includes(a)),
    span,
  );
  const one = (name: string): Value | undefined => {
    const a = replaced.find((r) => r.name === name);
    return a && engine.tensor(a.value, a.span);
  };
  const weight = one('weight') ?? mergedWeight(engine, site, level, span);
  const bias = one('bias') ?? mergedBias(engine, site, level, span);
  site.called = true;
  // The caller is the adapter above this level.
  const frame = { ...frameOf(site), inside: scopesUpTo(site, level + 1) };
  return engine.within(frame, () => tensorVal(runLayer(engine, site, x, weight, bias, span)));
}

const MEMBERS = ['weight', 'bias', 'parts', 'in', 'out', 'axis'];

export function baseMember(engine: Engine, site: Site, level: number, member: string, span: Span): Val {
  if (!MEMBERS.includes(member)) {
    const near = nearest(member, MEMBERS);
    return engine.report.stop(
      'ESP0215',
      { member, of: "the adapter's base" },
      {
        primary: { span, text: 'no such member' },
        help: near === undefined ? [`It has: ${MEMBERS.join(', ')}.`] : [`Did you mean \`${near}\`?`],
      },
    );
  }
  if (!isLayer(site) || ((member === 'weight' || member === 'bias') && !hasWeight(site))) {
    return engine.report.stop(
      'ESP0333',
      { site: site.path, what: member },
      { primary: { span, text: 'asked for here' } },
    );
  }
  switch (member) {
    case 'weight':
      return tensorVal(mergedWeight(engine, site, level, span));
    case 'bias': {
      const bias = mergedBias(engine, site, level, span);
      // A missing bias is structurally zero: adding it adds nothing.
      return bias ? tensorVal(bias) : num(0);
    }
    case 'parts':
      return num(site.kind === 'layer' ? Math.max(1, site.parts.length) : 1);
    case 'axis':
      return num(site.kind === 'layer' ? site.layer.axis : -1);
    default:
      return num(layerSizes(site)![member as 'in' | 'out']);
  }
}

interface Merged {
  readonly weight: Value;
  readonly bias: Value | undefined;
}
/** By site and level; undefined where there is none, which was said. */
const merged = new WeakMap<Site, Map<number, Merged | undefined>>();

function mergedAt(site: Site): Map<number, Merged | undefined> {
  const memo = merged.get(site) ?? new Map<number, Merged | undefined>();
  merged.set(site, memo);
  return memo;
}

const stopSilently = (): never => {
  throw new Stop();
};

const untouched = (site: LayerSite | PartSite, level: number): boolean =>
  level === 0 && !(site.kind === 'layer' && site.parts.some((p) => p.grafts.length > 0));

/** The first `level` adapters on a layer, and those on its parts. */
const scopesUpTo = (site: LayerSite | PartSite, level: number): readonly string[] =>
  [...(site.kind === 'layer' ? site.parts.flatMap((p) => p.grafts) : []), ...site.grafts.slice(0, level)].map(
    (g) => g.scope,
  );

/** The weight of a layer with its first `level` adapters merged into it. */
export function mergedWeight(engine: Engine, site: LayerSite | PartSite, level: number, span: Span): Value {
  if (untouched(site, level)) return plainWeight(engine, site)!;
  return mergeAt(engine, site, level, span).weight;
}

function mergedBias(engine: Engine, site: LayerSite | PartSite, level: number, span: Span): Value | undefined {
  return untouched(site, level) ? plainBias(site) : mergeAt(engine, site, level, span).bias;
}

/**
 * Works out the affine form of what is below an adapter, or says which operator is in the way. Adapters further down may ask the same of
 * what is below them: they are answered first, from below, not by each within the next.
 */
function mergeAt(engine: Engine, site: LayerSite | PartSite, level: number, span: Span): Merged {
  const memo = mergedAt(site);
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
  engine: Engine,
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

function inputType(engine: Engine, site: LayerSite | PartSite, level: number, span: Span): TensorType {
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

function affine(engine: Engine, site: LayerSite | PartSite, y: Value, x: Value, span: Span): Merged {
  const layer = (site.kind === 'part' ? site.whole : site).layer;
  const rank = y.type.shape.length;
  const form = affineOf(y, x, layer.axis < 0 ? rank + layer.axis : layer.axis);
  const refuse = (why: string, at?: Value): never => {
    const o = at?.origin;
    return engine.report.stop(
      'ESP0332',
      { site: site.path, why },
      {
        primary: { span, text: 'needed here' },
        secondary:
          o?.file !== undefined && o.start !== undefined && o.end !== undefined
            ? [{ span: { file: o.file, start: o.start, end: o.end }, text: `\`${at!.op}\` is in the way` }]
            : [],
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

/** `over: sum`: the mask covers the sum of the frozen weight and all adapters on it. */
function maskSum(engine: Engine, site: LayerSite, args: readonly ArgVal[], span: Span, y: Val): Val {
  const level = site.grafts.length;
  if (untouched(site, level)) return y;
  const x = oneTensor(engine, site, args, span);
  const first = args[0]!.value;
  const memo = mergedAt(site);
  let found = memo.get(level);
  if (!found) {
    if (memo.has(level)) stopSilently();
    memo.set(level, undefined);
    const type = first.kind === 'tensor' ? first.value.type : engine.tensor(first, span).type;
    const probe = input('x', type);
    const unmasked = trace(engine, site, [{ value: tensorVal(probe), span }], span, level);
    found = affine(engine, site, engine.tensor(unmasked, span), probe, span);
    memo.set(level, found);
  }
  const weight = build.mul(found.weight, site.mask!.slot.value, engine.origin(site.span));
  const frame = { ...frameOf(site), inside: scopesUpTo(site, level) };
  return engine.within(frame, () => tensorVal(runLayer(engine, site, x, weight, found.bias, span)));
}
