/** Tracing through the adapters on a site, innermost first. */

import { sameShape, sameType, showType } from '../../../../ir/ops/shapes.js';
import { showPath } from '../../../../ir/path.js';
import type { TensorType, Value } from '../../../../ir/types.js';
import type { Span } from '../../../ast.js';
import { forwardOf, requireForward } from '../../evaluate/block.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { showShape } from '../../evaluate/show.js';
import { type Graft, Scope, type Site, type Val } from '../../evaluate/values.js';
import type { Hole, Traced, Tracer } from '../memo.js';
import { bindTensors } from '../modules/arguments.js';
import { callPlain, frameIn, frameOf } from '../modules/call.js';
import { oneTensor } from '../modules/layer.js';
import { isLayer } from '../walk.js';
import { bodyOf } from './body.js';
import { collecting, filled, holeFor } from './holes.js';

/** Tells calls apart by their tensors; undefined where something else is handed over. */
export function keyOf(level: number | string, args: readonly ArgVal[]): string | undefined {
  const names = args.map((a) => a.value.kind === 'tensor' && `${a.name ?? ''}:${a.value.value.id}`);
  return names.includes(false) ? undefined : `${level}|${names.join()}`;
}

/** `make`, once for each key and site; the calls that it makes are made each time. */
export function remembered(engine: Tracer, site: Site, key: string | undefined, make: () => Val): Val {
  const memo = engine.memo.of(site).results;
  const known = key === undefined ? undefined : memo.get(key);
  const { value, inside } = known ?? engine.memo.noting(make);
  engine.memo.note(inside);
  if (key !== undefined) memo.set(key, { value, inside });
  return value;
}

/** A call that is being traced: what it is worth over holes, and what fills them. */
interface Call {
  readonly level: number;
  readonly args: readonly ArgVal[];
  readonly span: Span;
  readonly fills: Hole | undefined;
  over?: { readonly value: Val; readonly holes: readonly Hole[] };
  readonly results: Map<Value, Value>;
  /** Calls made for it. */
  readonly inside: Traced[];
}

/** One adapter after the other, outermost first, each over holes where it calls what is below; not within one another. */
export function trace(engine: Tracer, site: Site, args: readonly ArgVal[], span: Span, level: number): Val {
  const stack: Call[] = [{ level, args, span, fills: undefined, results: new Map(), inside: [] }];
  for (;;) {
    const call = stack.at(-1)!;
    const key = keyOf(call.level, call.args);
    const known = key === undefined ? undefined : engine.memo.of(site).results.get(key);
    if (!known) {
      if (!call.over) {
        const over = () =>
          engine.within(call.fills ? frameOf(site) : engine.frame, () => overHoles(engine, site, call));
        const made = engine.memo.noting(over);
        call.over = made.value;
        call.inside.push(...made.inside);
      }
      const next = call.over.holes.find((h) => !call.results.has(h.value));
      if (next) {
        stack.push({ ...next, fills: next, results: new Map(), inside: [] });
        continue;
      }
    }
    const { value, inside } = engine.memo.noting(() =>
      remembered(engine, site, key, () => {
        engine.memo.note(call.inside);
        return filled(call.over!.value, call.results);
      }),
    );
    stack.pop();
    const above = stack.at(-1);
    if (!above) {
      engine.memo.note(inside);
      return value;
    }
    above.inside.push(...inside);
    above.results.set(call.fills!.value, engine.tensor(value, call.span));
  }
}

/** The site alone, or its adapter `level`. If the adapter fails, its error is known and tracing goes on without it. */
function overHoles(engine: Tracer, site: Site, { level, args, span }: Call): NonNullable<Call['over']> {
  if (level === 0) return { value: callPlain(engine, site, args, span), holes: [] };
  const adapted = collecting(engine, site, level, () =>
    onGraft(engine, site.grafts[level - 1]!, args, span, (graft) => forward(engine, graft, args, span, level)),
  );
  if (adapted.value) return { value: adapted.value, holes: adapted.holes };
  return collecting(engine, site, level, () => callBelow(engine, site, level - 1, args, span));
}

/** Runs `work` for one adapter; undefined if it fails. */
function onGraft<T>(
  engine: Tracer,
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
    engine.report.onBehalfOf(graft.span, `\`${graft.decl.name.name}\` is put on ${showPath(site.path)} here`, () =>
      engine.within(frameIn(site, graft.id), () => work(graft)),
    ),
  );
}

/** What an adapter calls: the site with the adapters below it. */
export function callBelow(engine: Tracer, site: Site, level: number, args: readonly ArgVal[], span: Span): Val {
  return engine.within(frameOf(site), () => {
    const hole = holeFor(engine, site, level, args, span, () => plainType(engine, site, args, span));
    return hole ?? trace(engine, site, args, span, level);
  });
}

/** The type of a site's result, which no adapter may change; undefined where it is no tensor. */
function plainType(engine: Tracer, site: Site, args: readonly ArgVal[], span: Span): TensorType | undefined {
  const memo = engine.memo.of(site).types;
  const names = args.map((a) => a.value.kind === 'tensor' && `${a.name ?? ''}:${showType(a.value.value.type)}`);
  const key = names.includes(false) ? undefined : names.join();
  if (key !== undefined && memo.has(key)) return memo.get(key);
  // For its type alone: it is no call of the model's.
  const plain = engine.memo.noting(() => trace(engine, site, args, span, 0)).value;
  const type = plain.kind === 'tensor' ? plain.value.type : undefined;
  if (key !== undefined) memo.set(key, type);
  return type;
}

function forward(engine: Tracer, graft: Graft, args: readonly ArgVal[], span: Span, level: number): Val {
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
function checkType(engine: Tracer, graft: Graft, args: readonly ArgVal[], span: Span, v: Val): void {
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
    { adapter: graft.decl.name.name, expected: was, found: is, site: showPath(graft.site.path) },
    {
      primary: { span: f.body.statements.at(-1)?.span ?? f.span, text: `this is ${is}` },
      secondary: [{ span: graft.span, text: `put on ${showPath(graft.site.path)} here` }],
    },
  );
}
