/** Making modules from their declarations, and tracing what they compute: the forward, labelled stretches, lists, layers and parts. */

import type { Place } from '../../../diagnostics/catalogue.js';
import { showSize } from '../../../ir/batch.js';
import { build } from '../../../ir/build.js';
import type { Value } from '../../../ir/types.js';
import type { BlockExpr, CallExpr, Expr, ModuleDecl, Span, TensorParam } from '../../ast.js';
import { requireForward } from '../evaluate/block.js';
import type { ArgVal, Engine, Operand } from '../evaluate/engine.js';
import { type Facts, fillOptions, wordsOfParams } from '../evaluate/types.js';
import { describe, isTensorLike, num, showShape, tensorVal, type Val } from '../evaluate/values.js';
import { Scope } from '../names/scope.js';
import type { LayerSite, ModuleSite, PartSite, Site, Spot } from './site.js';

/** Declarations being instantiated, outermost first: a module that contains itself shows here. */
const open = new WeakMap<Engine, ModuleDecl[]>();

export function instantiate(
  engine: Engine,
  decl: ModuleDecl,
  expr: CallExpr,
  scope: Scope,
  spot: Spot,
  facts?: Facts,
  preset?: ReadonlyMap<string, Val>,
): ModuleSite {
  engine.budget.spend('modules and parameters', expr.span);
  const stack = open.get(engine) ?? [];
  open.set(engine, stack);
  const name = decl.name.name;
  if (stack.includes(decl)) {
    engine.report.stop('ESP0225', { name }, { primary: { span: expr.span, text: `inside of \`${name}\` itself` } });
  }
  const options = fillOptions(engine, {
    of: name,
    params: decl.params,
    args: expr.args,
    scope,
    span: expr.span,
    facts,
    ...(preset ? { preset } : {}),
  });
  const body = new Scope(undefined, wordsOfParams(decl.params));
  for (const [k, v] of options) body.set(k, v);
  const site: ModuleSite = {
    kind: 'module',
    key: spot.key,
    path: spot.path,
    type: name,
    span: expr.span,
    role: spot.owner.role,
    children: new Map(),
    params: new Map(),
    grafts: [],
    called: false,
    decl,
    scope: body,
    detail: [...options]
      .filter(([, v]) => v.kind !== 'site' && v.kind !== 'list')
      .map(([k, v]) => `${k}: ${describe(v).replaceAll('`', '')}`)
      .join(', '),
  };
  stack.push(decl);
  try {
    const make = () => engine.runBlock(decl.body, body, site);
    // With defaults where an unreadable file would have spoken, the body is only good for finding names in it.
    if (facts?.unreadable) engine.report.muted(make);
    else engine.report.along(expr.span, `\`${name}\` is made here`, make);
  } finally {
    stack.pop();
  }
  return site;
}

/** What is being traced inside of a site; the layers that an adapter owns belong to its scope. */
export function frameOf(site: Site): { readonly site: string; readonly scope?: string } {
  const at = site.key.indexOf('@');
  if (at < 0) return { site: site.key };
  const end = site.key.indexOf('.', at);
  return { site: site.key, scope: end < 0 ? site.key : site.key.slice(0, end) };
}

/** What a site computes without the adapters on it. */
export function callPlain(engine: Engine, site: Site, args: readonly ArgVal[], span: Span): Val {
  site.called = true;
  return engine.within(frameOf(site), () => {
    switch (site.kind) {
      case 'module': {
        const forward = requireForward(site.decl.body, () =>
          engine.report.stop(
            'ESP0221',
            { of: site.type },
            {
              primary: { span, text: 'called here' },
              secondary: [{ span: site.decl.name.span, text: 'declared here' }],
            },
          ),
        );
        return engine.report.along(span, `\`${site.path}\` is called here`, () =>
          callForward(engine, site.path, forward.params, forward.body, site.scope, args, span),
        );
      }
      case 'label': {
        return once(engine, site, span, () => {
          const { stmt, owner } = site;
          const inner = new Scope(owner.scope);
          bindTensors(engine, site.path, stmt.params, inner, args, span);
          return engine.evaluate(stmt.value, inner);
        });
      }
      case 'list': {
        let x = args;
        let out: Val | undefined;
        for (const item of site.items) {
          out = engine.callSite(item, x, span);
          x = [{ value: out, span }];
        }
        return out ?? args[0]!.value;
      }
      case 'layer':
      case 'part':
        return tensorVal(callLayer(engine, site, oneTensor(engine, site, args, span), span));
    }
  });
}

/** Labelled stretches being traced: one that calls itself has no end. */
const running = new WeakMap<Engine, Set<Site>>();

function once(engine: Engine, site: Site, span: Span, work: () => Val): Val {
  const active = running.get(engine) ?? new Set();
  running.set(engine, active);
  if (active.has(site)) {
    engine.report.stop('ESP0225', { name: site.path }, { primary: { span, text: 'called inside of itself' } });
  }
  active.add(site);
  try {
    return work();
  } finally {
    active.delete(site);
  }
}

/** The only argument of a layer. */
export function oneTensor(engine: Engine, site: Site, args: readonly ArgVal[], span: Span): Operand {
  const [first, second] = args;
  if (!first)
    engine.report.stop(
      'ESP0229',
      { of: site.path, what: 'a tensor' },
      { primary: { span, text: 'called with nothing' } },
    );
  const extra = second ?? (first?.name === undefined ? undefined : first);
  if (extra) {
    if (extra.name !== undefined) {
      engine.report.stop(
        'ESP0203',
        { option: extra.name, of: site.path },
        { primary: { span: extra.span, text: 'a layer takes a tensor and nothing else' } },
      );
    }
    engine.report.stop(
      'ESP0209',
      { of: site.path, most: 1, found: args.length },
      { primary: { span: extra.span, text: 'one too many' } },
    );
  }
  return { value: engine.tensor(first!.value, first!.span), span: first!.span };
}

/** The frozen weight of a layer or of the rows of a part, masked if it is pruned. */
export function plainWeight(engine: Engine, site: LayerSite | PartSite): Value | undefined {
  const whole = site.kind === 'part' ? site.whole : site;
  const slot = whole.params.get('weight');
  if (!slot) return undefined;
  const masked = whole.mask ? build.mul(slot.value, whole.mask.slot.value, engine.origin(whole.span)) : slot.value;
  return site.kind === 'part' ? rowsOf(masked, site) : masked;
}

export function plainBias(site: LayerSite | PartSite): Value | undefined {
  const bias = (site.kind === 'part' ? site.whole : site).params.get('bias')?.value;
  return bias && site.kind === 'part' ? rowsOf(bias, site) : bias;
}

const rowsOf = (v: Value, part: PartSite): Value => build.sliceAxis(v, 0, part.rows[0], part.rows[1]);

/** A layer with its own weights; a fused one with adapters on parts is put together from its parts. */
function callLayer(engine: Engine, site: LayerSite | PartSite, x: Operand, span: Span): Value {
  if (site.kind === 'layer' && site.parts.some((p) => p.grafts.length > 0)) {
    const ys = site.parts.map((p) => {
      const y = engine.callSite(p, [{ value: tensorVal(x.value), span: x.span }], span);
      return { value: engine.tensor(y, span), span };
    });
    return engine.trace(site.type, span, ys, (b, o) =>
      b.concat(
        ys.map((y) => y.value),
        -1,
        o,
      ),
    );
  }
  return runLayer(engine, site, x, plainWeight(engine, site), plainBias(site), span);
}

/** The layer's operator with the given weights; its stride, groups and the like stay. */
export function runLayer(
  engine: Engine,
  site: LayerSite | PartSite,
  x: Operand,
  weight: Value | undefined,
  bias: Value | undefined,
  span: Span,
): Value {
  const whole = site.kind === 'part' ? site.whole : site;
  const rest = [...whole.params].filter(([n]) => n !== 'weight' && n !== 'bias').map(([, p]) => p.value);
  const weights = [weight, bias].flatMap((value) => (value ? [{ value, span: whole.span }] : []));
  const y = engine.trace(`${whole.type} ${site.path}`, span, [x, ...weights], () =>
    whole.layer.run(x.value, weight, bias, rest),
  );
  // Layers are made without an origin, since their operator's attributes and their place are known in different files.
  return Object.assign(y, { origin: engine.origin(span) });
}

function callForward(
  engine: Engine,
  of: string,
  params: readonly TensorParam[],
  body: BlockExpr,
  scope: Scope,
  args: readonly ArgVal[],
  span: Span,
): Val {
  const inner = new Scope(scope);
  bindTensors(engine, of, params, inner, args, span);
  const v = engine.runBlock(body.statements, inner);
  return (
    v ??
    engine.report.stop(
      'ESP0224',
      { what: `the forward of ${of}` },
      { primary: { span: body.span, text: 'ends without a value' } },
    )
  );
}

/** Binds arguments to the parameters of a forward, a labelled stretch or an adapter, and their open dimensions to sizes. */
export function bindTensors(
  engine: Engine,
  of: string,
  params: readonly TensorParam[],
  scope: Scope,
  args: readonly ArgVal[],
  span: Span,
): void {
  const slots = new Map<string, ArgVal>();
  let at = 0;
  for (const a of args) {
    const name = a.name ?? params[at++]?.name.name;
    if (name === undefined) {
      engine.report.stop(
        'ESP0209',
        { of, most: params.length, found: args.length },
        { primary: { span: a.span, text: 'one too many' } },
      );
    }
    if (!params.some((p) => p.name.name === name)) {
      engine.report.stop('ESP0203', { option: name, of }, { primary: { span: a.span, text: 'no such argument' } });
    }
    slots.set(name, a);
  }
  for (const p of params) {
    const name = p.name.name;
    const arg = slots.get(name);
    if (!arg) {
      engine.report.stop(
        'ESP0229',
        { of, what: `the argument \`${name}\`` },
        { primary: { span, text: 'called here' }, secondary: [{ span: p.span, text: 'declared here' }] },
      );
    }
    if (p.shape) matchShape(engine, of, p, scope, arg);
    scope.set(name, arg.value);
  }
}

/**
 * Binds the open dimensions of a declared shape to an argument's sizes.
 * @param misfit says that the sizes differ, instead of the usual message
 */
export function matchShape(
  engine: Engine,
  of: string,
  p: TensorParam,
  scope: Scope,
  arg: ArgVal,
  misfit?: (declared: string, found: readonly number[], place: Place) => never,
): void {
  const declared = p.shape!;
  const open = new Set<Expr>();
  if (!isTensorLike(arg.value)) {
    engine.report.stop(
      'ESP0205',
      { what: `\`${p.name.name}\` of ${of}`, expected: 'a tensor', found: describe(arg.value) },
      { primary: { span: arg.span, text: `this is ${describe(arg.value)}` } },
    );
  }
  const value = engine.tensor(arg.value, arg.span);
  const found = value.type.shape;
  const sizes = declared.map((d, i) => {
    if (d.kind === 'name' && scope.get(d.name) === undefined) {
      if (found[i] !== undefined) scope.set(d.name, num(found[i]));
      open.add(d);
      return found[i];
    }
    return engine.whole(engine.evaluate(d, scope), 'a dimension', d.span);
  });
  if (sizes.length === found.length && sizes.every((s, i) => s === found[i])) return;
  const text = `[${declared.map((d, i) => dimensionText(engine, d, open.has(d) ? undefined : sizes[i])).join(', ')}]`;
  const made = value.origin;
  const place: Place = {
    primary: { span: arg.span, text: `this is ${showShape(found)}` },
    secondary: [
      { span: p.span, text: `declared as ${text}` },
      ...(made?.file !== undefined &&
      made.start !== undefined &&
      made.end !== undefined &&
      !(made.start === arg.span.start && made.file === arg.span.file)
        ? [{ span: { file: made.file, start: made.start, end: made.end }, text: `made here: ${showShape(found)}` }]
        : []),
    ],
  };
  misfit?.(text, found, place);
  engine.report.stop('ESP0302', { of, param: p.name.name, declared: text, found: showShape(found) }, place);
}

/** A dimension as it is written, with its number where the two differ. */
function dimensionText(engine: Engine, d: import('../../ast.js').Expr, size: number | undefined): string {
  const written = engine.library.textOf(d.span);
  if (written === undefined) return size === undefined ? '?' : showSize(size);
  return size === undefined || written === showSize(size) ? written : `${written} = ${showSize(size)}`;
}
