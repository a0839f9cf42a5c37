/** Adapters on sites: tracing through them, innermost first, and what `base` means inside of one. */

import { sameShape, sameType, showType } from '../../../ir/ops/shapes.js';
import type { TensorType, Value } from '../../../ir/types.js';
import type { AdapterDecl, Expr, Span } from '../../ast.js';
import { forwardOf, requireForward } from '../evaluate/block.js';
import type { ArgVal, Engine } from '../evaluate/engine.js';
import { wordsOfParams } from '../evaluate/types.js';
import { num, showShape, type Val } from '../evaluate/values.js';
import { Scope } from '../names/scope.js';
import { Stop } from '../report.js';
import { collecting, filled, type Hole, holeFor } from './holes.js';
import { bindTensors, callPlain, frameOf, matchShape, oneTensor } from './modules.js';
import type { Graft, LayerSite, PartSite, Site } from './site.js';

const traced = new WeakMap<Site, Map<string, Val>>();

/** Tells calls apart by their tensors; undefined where something else is handed over. */
export function keyOf(level: number | string, args: readonly ArgVal[]): string | undefined {
  const names = args.map((a) => a.value.kind === 'tensor' && `${a.name ?? ''}:${a.value.value.id}`);
  return names.includes(false) ? undefined : `${level}|${names.join()}`;
}

/** `make`, once for each key and site. */
export function remembered(site: Site, key: string | undefined, make: () => Val): Val {
  const memo = traced.get(site) ?? new Map<string, Val>();
  traced.set(site, memo);
  const known = key === undefined ? undefined : memo.get(key);
  if (known) return known;
  const made = make();
  if (key !== undefined) memo.set(key, made);
  return made;
}

/** A call that is being traced: what it is worth over holes, and what fills them. */
interface Call {
  readonly level: number;
  readonly args: readonly ArgVal[];
  readonly span: Span;
  readonly fills: Hole | undefined;
  over?: { readonly value: Val; readonly holes: readonly Hole[] };
  readonly results: Map<Value, Value>;
}

/** One adapter after the other, outermost first, each over holes where it calls what is below; not within one another. */
export function trace(engine: Engine, site: Site, args: readonly ArgVal[], span: Span, level: number): Val {
  const stack: Call[] = [{ level, args, span, fills: undefined, results: new Map() }];
  for (;;) {
    const call = stack.at(-1)!;
    const key = keyOf(call.level, call.args);
    const known = key === undefined ? undefined : traced.get(site)?.get(key);
    if (!known) {
      call.over ??= engine.within(call.fills ? frameOf(site) : engine.frame, () => overHoles(engine, site, call));
      const next = call.over.holes.find((h) => !call.results.has(h.value));
      if (next) {
        stack.push({ ...next, fills: next, results: new Map() });
        continue;
      }
    }
    const value = remembered(site, key, () => filled(call.over!.value, call.results));
    stack.pop();
    const above = stack.at(-1);
    if (!above) return value;
    above.results.set(call.fills!.value, engine.tensor(value, call.span));
  }
}

/** The site alone, or its adapter `level`. If the adapter fails, its error is known and tracing goes on without it. */
function overHoles(engine: Engine, site: Site, { level, args, span }: Call): NonNullable<Call['over']> {
  if (level === 0) return { value: callPlain(engine, site, args, span), holes: [] };
  const adapted = collecting(site, level, () =>
    onGraft(engine, site.grafts[level - 1]!, args, span, (graft) => forward(engine, graft, args, span, level)),
  );
  if (adapted.value) return { value: adapted.value, holes: adapted.holes };
  return collecting(site, level, () => callBelow(engine, site, level - 1, args, span));
}

/** Runs `work` for one adapter; undefined if it fails. */
function onGraft<T>(
  engine: Engine,
  graft: Graft,
  args: readonly ArgVal[],
  span: Span,
  work: (graft: Graft) => T,
): T | undefined {
  const { site } = graft;
  site.called = true;
  // What a layer is called with is checked once, not by each adapter on it.
  if (isLayer(site)) graft.input = oneTensor(engine, site, args, span).value.type;
  return engine.report.attempt(() =>
    engine.report.onBehalfOf(graft.span, `\`${graft.decl.name.name}\` is put on ${site.path} here`, () =>
      engine.within({ site: site.key, scope: graft.scope }, () => work(graft)),
    ),
  );
}

/** What an adapter calls: the site with the adapters below it. */
export function callBelow(engine: Engine, site: Site, level: number, args: readonly ArgVal[], span: Span): Val {
  return engine.within(frameOf(site), () => {
    const hole = holeFor(site, level, args, span, () => plainType(engine, site, args, span));
    return hole ?? trace(engine, site, args, span, level);
  });
}

const types = new WeakMap<Site, Map<string, TensorType | undefined>>();

/** The type of a site's result, which no adapter may change; undefined where it is no tensor. */
function plainType(engine: Engine, site: Site, args: readonly ArgVal[], span: Span): TensorType | undefined {
  const memo = types.get(site) ?? new Map<string, TensorType | undefined>();
  types.set(site, memo);
  const names = args.map((a) => a.value.kind === 'tensor' && `${a.name ?? ''}:${showType(a.value.value.type)}`);
  const key = names.includes(false) ? undefined : names.join();
  if (key !== undefined && memo.has(key)) return memo.get(key);
  const plain = trace(engine, site, args, span, 0);
  const type = plain.kind === 'tensor' ? plain.value.type : undefined;
  if (key !== undefined) memo.set(key, type);
  return type;
}

function forward(engine: Engine, graft: Graft, args: readonly ArgVal[], span: Span, level: number): Val {
  const { decl } = graft;
  const f = requireForward(decl.body, () =>
    engine.report.stop('ESP0221', { of: decl.name.name }, { primary: { span: decl.name.span, text: 'this adapter' } }),
  );
  const inner = new Scope(bodyOf(engine, graft, args, level));
  bindTensors(engine, decl.name.name, f.params, inner, args, span);
  const v = engine.runBlock(f.body.statements, inner);
  if (!v) {
    return engine.report.stop(
      'ESP0224',
      { what: `the forward of ${decl.name.name}` },
      { primary: { span: f.body.span, text: 'ends without a value' } },
    );
  }
  checkType(engine, graft, args, span, v);
  return v;
}

/** An adapter replaces a site, so it may not change the result's type. */
function checkType(engine: Engine, graft: Graft, args: readonly ArgVal[], span: Span, v: Val): void {
  const expected = plainType(engine, graft.site, args, span);
  if (!expected) return;
  const found = engine.tensor(v, span).type;
  if (sameType(found, expected)) return;
  const [was, is] = sameShape(found.shape, expected.shape)
    ? [showType(expected), showType(found)]
    : [showShape(expected.shape), showShape(found.shape)];
  const f = forwardOf(graft.decl.body)!;
  engine.report.stop(
    'ESP0334',
    { adapter: graft.decl.name.name, expected: was, found: is, site: graft.site.path },
    {
      primary: { span: f.body.statements.at(-1)?.span ?? f.span, text: `this is ${is}` },
      secondary: [{ span: graft.span, text: `put on ${graft.site.path} here` }],
    },
  );
}

function bodyOf(engine: Engine, graft: Graft, args: readonly ArgVal[], level: number): Scope {
  if (graft.body === undefined) {
    graft.body = 'failed';
    graft.body = makeBody(engine, graft, args, level);
  }
  if (graft.body === 'failed') throw new Stop();
  return graft.body;
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
            is: `called with ${showShape(found)}`,
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

export const isLayer = (site: Site): site is LayerSite | PartSite => site.kind === 'layer' || site.kind === 'part';
