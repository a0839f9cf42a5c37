/** Adapters on sites: tracing through them, innermost first, and what `base` means inside of one. */

import { nearest } from '../../diagnostics/suggest.js';
import { affineOf, biasOf, isObstacle, weightOf } from '../../ir/affine.js';
import { build } from '../../ir/build.js';
import { input } from '../../ir/graph.js';
import type { TensorType, Value } from '../../ir/types.js';
import type { AdapterDecl, Expr, Span } from '../ast.js';
import { forwardOf, requireForward } from './block.js';
import type { ArgVal, Engine } from './engine.js';
import { bindTensors, callPlain, frameOf, matchShape, oneTensor, plainBias, plainWeight, runLayer } from './modules.js';
import { Stop } from './report.js';
import { Scope } from './scope.js';
import type { Graft, LayerSite, PartSite, Site } from './site.js';
import { wordsOfParams } from './types.js';
import { num, tensorVal, type Val } from './values.js';

const traced = new WeakMap<Site, Map<string, Val>>();

/** Traces a site with its first `level` adapters (all, if not said). Calling it again with the same tensors gives the same values. */
export function callSite(
  engine: Engine,
  site: Site,
  args: readonly ArgVal[],
  span: Span,
  level: number = site.grafts.length,
): Val {
  const key = `${level}|${args.map((a) => (a.value.kind === 'tensor' ? `${a.name ?? ''}:${a.value.value.id}` : '?')).join()}`;
  const memo = traced.get(site) ?? new Map<string, Val>();
  traced.set(site, memo);
  const known = memo.get(key);
  if (known && !key.includes('?')) return known;
  const outermost = level === site.grafts.length && site.kind === 'layer' && site.mask?.over === 'sum';
  const inner = level === 0 ? callPlain(engine, site, args, span) : adapted(engine, site, args, span, level);
  const v = outermost ? maskSum(engine, site, args, span, inner) : inner;
  memo.set(key, v);
  return v;
}

/** One adapter around what is below it. If the adapter fails, its error is known and tracing goes on without it. */
function adapted(engine: Engine, site: Site, args: readonly ArgVal[], span: Span, level: number): Val {
  const graft = site.grafts[level - 1]!;
  site.called = true;
  // What a layer is called with is checked once, not by each adapter on it.
  if (isLayer(site)) graft.input = oneTensor(engine, site, args, span).value.type;
  const v = engine.report.attempt(() =>
    engine.report.onBehalfOf(graft.span, `\`${graft.decl.name.name}\` is put on ${site.path} here`, () =>
      engine.within({ site: site.key, scope: graft.scope }, () => forward(engine, graft, args, span, level)),
    ),
  );
  return v ?? callSite(engine, site, args, span, level - 1);
}

function forward(engine: Engine, graft: Graft, args: readonly ArgVal[], span: Span, level: number): Val {
  const { decl } = graft;
  const f = requireForward(decl.body, () =>
    engine.report.stop('ESP0221', { of: decl.name.name }, { primary: { span: decl.name.span, text: 'this adapter' } }),
  );
  if (graft.body === undefined) {
    graft.body = 'failed';
    graft.body = makeBody(engine, graft, args, level);
  }
  if (graft.body === 'failed') throw new Stop();
  const inner = new Scope(graft.body);
  bindTensors(engine, decl.name.name, f.params, inner, args, span);
  const v = engine.runBlock(f.body.statements, inner);
  if (!v) {
    return engine.report.stop(
      'ESP0224',
      { what: `the forward of ${decl.name.name}` },
      { primary: { span: f.body.span, text: 'ends without a value' } },
    );
  }
  checkShape(engine, graft, args, span, level, v);
  return v;
}

/** An adapter replaces a site, so it may not change the result's shape. */
function checkShape(engine: Engine, graft: Graft, args: readonly ArgVal[], span: Span, level: number, v: Val): void {
  const plain = callSite(engine, graft.site, args, span, level - 1);
  if (plain.kind !== 'tensor') return;
  const found = engine.tensor(v, span).type.shape;
  const expected = plain.value.type.shape;
  if (found.join() === expected.join()) return;
  const f = forwardOf(graft.decl.body)!;
  engine.report.stop(
    'ESP0334',
    { adapter: graft.decl.name.name, expected, found, site: graft.site.path },
    {
      primary: { span: f.body.statements.at(-1)?.span ?? f.span, text: `this is [${found.join(', ')}]` },
      secondary: [{ span: graft.span, text: `put on ${graft.site.path} here` }],
    },
  );
}

/** The adapter's own names at this site: options, the sizes that its pattern binds, its parameters. */
function makeBody(engine: Engine, graft: Graft, args: readonly ArgVal[], level: number): Scope {
  const { decl, site } = graft;
  const scope = new Scope(undefined, wordsOfParams(decl.params));
  for (const [name, v] of graft.args) scope.set(name, v);
  scope.set(decl.base.name, { kind: 'base', site, level: level - 1 });
  if (decl.target.kind === 'layer') {
    const sizes = layerSizes(site);
    if (sizes) {
      bindSize(engine, graft, decl.target.from, sizes.in, 'input', scope);
      bindSize(engine, graft, decl.target.to, sizes.out, 'output', scope);
    }
  } else {
    decl.target.params.forEach((p, i) => {
      const arg = args[i];
      if (!arg) {
        engine.report.stop(
          'ESP0331',
          { adapter: decl.name.name, wants: wants(decl), site: site.path, is: 'called with fewer tensors' },
          { primary: { span: graft.span, text: 'put on it here' } },
        );
      }
      if (!p.shape) return;
      matchShape(engine, decl.name.name, p, scope, arg!, (declared, found, place) =>
        engine.report.stop(
          'ESP0331',
          {
            adapter: decl.name.name,
            wants: `what is called with ${p.name.name}: ${declared}`,
            site: site.path,
            is: `called with [${found.join(', ')}]`,
          },
          place,
        ),
      );
    });
  }
  engine.runBlock(decl.body, scope, graft.owner);
  return scope;
}

function bindSize(engine: Engine, graft: Graft, e: Expr, size: number, which: string, scope: Scope): void {
  if (e.kind === 'name' && scope.get(e.name) === undefined) {
    scope.set(e.name, num(size));
    return;
  }
  const wanted = engine.whole(engine.evaluate(e, scope), `the ${which} size`, e.span);
  if (wanted === size) return;
  engine.report.stop(
    'ESP0331',
    {
      adapter: graft.decl.name.name,
      wants: `layers whose ${which} size is ${wanted}`,
      site: graft.site.path,
      is: `of ${which} size ${size}`,
    },
    { primary: { span: graft.span, text: 'put on it here' }, secondary: [{ span: e.span, text: 'asked for here' }] },
  );
}

export function layerSizes(site: Site): { in: number; out: number } | undefined {
  if (site.kind === 'layer') return { in: site.layer.in, out: site.layer.out };
  if (site.kind === 'part') return { in: site.whole.layer.in, out: site.rows[1] - site.rows[0] };
  return undefined;
}

/** What an adapter's pattern asks for, for messages. */
export function wants(decl: AdapterDecl): string {
  if (decl.target.kind === 'call') return 'anything that takes such a tensor';
  return decl.target.layer.name === 'Layer' ? 'a layer' : `a ${decl.target.layer.name}`;
}

/** Whether an adapter's pattern takes a site; shapes are seen when it is traced. */
export function suits(decl: AdapterDecl, site: Site): boolean {
  if (decl.target.kind === 'call') return true;
  const name = decl.target.layer.name;
  return (site.kind === 'layer' || site.kind === 'part') && (name === 'Layer' || name === site.type);
}

// ---- base ----------------------------------------------------------------------------------------------------------

const isLayer = (site: Site): site is LayerSite | PartSite => site.kind === 'layer' || site.kind === 'part';
const hasWeight = (site: Site): site is LayerSite | PartSite =>
  isLayer(site) && (site.kind === 'part' ? site.whole : site).params.has('weight');

/** `base(x)`, or `base(x, weight: V)`: the layer with another weight, keeping its stride, groups and bias. */
export function callBase(engine: Engine, site: Site, level: number, args: readonly ArgVal[], span: Span): Val {
  const replaced = args.filter((a) => a.name === 'weight' || a.name === 'bias');
  if (replaced.length === 0) return engine.within(frameOf(site), () => callSite(engine, site, args, span, level));
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

/** Works out the affine form of what is below an adapter, or says which operator is in the way. */
function mergeAt(engine: Engine, site: LayerSite | PartSite, level: number, span: Span): Merged {
  const memo = mergedAt(site);
  if (memo.has(level)) return memo.get(level) ?? stopSilently();
  memo.set(level, undefined);
  const type = inputType(engine, site, level, span);
  const x = input('x', type);
  const y = engine.within(frameOf(site), () =>
    engine.tensor(callSite(engine, site, [{ value: tensorVal(x), span }], span, level), span),
  );
  const found = affine(engine, site, y, x, span);
  memo.set(level, found);
  return found;
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
  const weight = weightOf(form);
  const bias = biasOf(form);
  const plain = plainWeight(engine, site)!;
  if (weight.type.shape.join() !== plain.type.shape.join()) {
    return refuse(`it would be [${weight.type.shape.join(', ')}]`, y);
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
    const below = level === 0 ? callPlain : adaptedAt(level);
    const traced = engine.tensor(below(engine, site, [{ value: tensorVal(probe), span }], span), span);
    found = affine(engine, site, traced, probe, span);
    memo.set(level, found);
  }
  const weight = build.mul(found.weight, site.mask!.slot.value, engine.origin(site.span));
  const frame = { ...frameOf(site), inside: scopesUpTo(site, level) };
  return engine.within(frame, () => tensorVal(runLayer(engine, site, x, weight, found.bias, span)));
}

const adaptedAt =
  (level: number) =>
  (engine: Engine, site: Site, args: readonly ArgVal[], span: Span): Val =>
    adapted(engine, site, args, span, level);
