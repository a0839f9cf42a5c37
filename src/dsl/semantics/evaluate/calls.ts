/** Calls: of operators (with comprehensions), sites, an adapter's base, and of declarations, which makes modules. */
import type { Arg, CallExpr, FunctionDecl } from '../../ast.js';
import type { Named } from '../names/library.js';
import type { Signature } from '../names/signature.js';
import { undeclared } from '../names/undeclared.js';
import { Stop } from '../report.js';
import { MOST_ELEMENTS } from './budget.js';
import type { ArgVal, Call, Engine, Operator } from './engine.js';
import { turns } from './evaluate.js';
import { bindArguments, noGenerators } from './operator.js';
import { describe } from './show.js';
import { fillOptions } from './types.js';
import { num, POISON, Scope, type Spot, type Val } from './values.js';

export function callExpr(engine: Engine, expr: CallExpr, scope: Scope, spot?: Spot): Val {
  const callee = expr.callee;
  if (callee.kind !== 'name') return callValue(engine, engine.evaluate(callee, scope), expr, scope);
  const meaning = engine.meanings.of(callee);
  switch (meaning.kind) {
    case 'local': {
      const bound = scope.get(callee.name);
      if (bound === POISON) throw new Stop();
      if (bound) return callValue(engine, bound, expr, scope);
      break;
    }
    case 'operator':
      return callOperator(engine, engine.operators.get(callee.name)!, expr, scope);
    case 'layer':
      if (!spot) nameless(engine, `the layer \`${callee.name}\``, expr);
      noGenerators(engine.report, expr);
      return { kind: 'site', site: engine.makeLayer(callee.name, expr, scope, spot!) };
    case 'declaration':
      return callDeclared(engine, meaning.decl, expr, scope, spot);
    default:
  }
  return undeclared(engine.library, engine.report, {
    what: 'module or operator',
    name: callee.name,
    span: callee.span,
    candidates: [
      ...scope.names(),
      ...engine.operators.keys(),
      ...engine.layers.keys(),
      ...engine.library.makers(callee.span.file),
    ],
  });
}

function callDeclared(engine: Engine, decl: Named, expr: CallExpr, scope: Scope, spot: Spot | undefined): Val {
  if (decl.kind === 'function') return callFunction(engine, decl, expr, scope);
  if (decl.kind === 'module' || decl.kind === 'backbone') {
    if (!spot) nameless(engine, `the ${decl.kind} \`${decl.name.name}\``, expr);
    noGenerators(engine.report, expr);
    return { kind: 'site', site: engine.instantiate(decl, expr, scope, spot!) };
  }
  return engine.report.stop(
    'ESP0216',
    { what: `the ${decl.kind} \`${decl.name.name}\`` },
    { primary: { span: expr.callee.span, text: 'called here' } },
  );
}

/** Calls of functions inside of one another; also what protects the call stack. */
const MOST_CALLS = 50;

/**
 * What a function gives: its arguments are all that it sees, so it can neither make parameters nor be told apart from its value.
 * @param preset values of parameters that the call need not give
 */
export function callFunction(
  engine: Engine,
  decl: FunctionDecl,
  expr: CallExpr,
  scope: Scope,
  preset: ReadonlyMap<string, Val> = new Map(),
): Val {
  noGenerators(engine.report, expr);
  const name = decl.name.name;
  const open = engine.calling;
  if (open.includes(decl)) {
    engine.report.stop('ESP0225', { name }, { primary: { span: expr.span, text: 'called inside of itself' } });
  }
  if (open.length === MOST_CALLS) {
    const about = { what: 'the number of functions inside of one another', limit: MOST_CALLS, found: MOST_CALLS + 1 };
    engine.report.stop('ESP0310', about, { primary: { span: expr.span, text: 'this call' } });
  }
  const inner = new Scope();
  const args = fillOptions(engine, { of: name, params: decl.params, args: expr.args, scope, span: expr.span, preset });
  for (const [param, v] of args) inner.set(param, v);
  open.push(decl);
  try {
    return engine.report.along(expr.span, `\`${name}\` is called here`, () => engine.evaluate(decl.value, inner));
  } finally {
    open.pop();
  }
}

function nameless(engine: Engine, what: string, expr: CallExpr): void {
  engine.report.stop('ESP0219', { what }, { primary: { span: expr.span, text: 'made without a name' } });
}

/** Positional and named arguments, worked out. All are tried, so that each reports its own errors. */
export function evaluateArgs(engine: Engine, args: readonly Arg[], scope: Scope): ArgVal[] {
  const out: ArgVal[] = [];
  let failed = false;
  for (const a of args) {
    const value = engine.report.attempt(() => engine.evaluate(a.value, scope));
    if (value === undefined) failed = true;
    else out.push({ value, span: a.value.span, ...(a.name ? { name: a.name.name, nameSpan: a.name.span } : {}) });
  }
  if (failed) throw new Stop();
  return out;
}

function callValue(engine: Engine, callee: Val, expr: CallExpr, scope: Scope): Val {
  if (callee.kind === 'operator') return callOperator(engine, engine.operators.get(callee.name)!, expr, scope);
  noGenerators(engine.report, expr);
  // A `repeat` that turns no times: the composition of no modules.
  if (callee.kind === 'list' && callee.items.length === 0 && expr.args.length === 1) {
    return evaluateArgs(engine, expr.args, scope)[0]!.value;
  }
  if (callee.kind === 'site') return engine.callSite(callee.site, evaluateArgs(engine, expr.args, scope), expr.span);
  if (callee.kind === 'base') {
    return engine.callBase(callee.site, callee.level, evaluateArgs(engine, expr.args, scope), expr.span);
  }
  return engine.report.stop(
    'ESP0216',
    { what: describe(callee) },
    { primary: { span: expr.callee.span, text: 'called here' } },
  );
}

function callOperator(engine: Engine, op: Operator, expr: CallExpr, scope: Scope): Val {
  return op.run(operatorCall(engine, op, expr, scope));
}

/** A call with its arguments worked out and put into the parameters; reports and stops if they do not fit. */
export function operatorCall(engine: Engine, op: Signature, expr: CallExpr, scope: Scope): Call {
  if (expr.generators.length > 0 && !op.comprehension) noGenerators(engine.report, expr);
  const given: ArgVal[] = [];
  let failed = false;
  for (const a of expr.generators.length > 0 ? expr.args.slice(1) : expr.args) {
    const value = engine.report.attempt(() => engine.evaluate(a.value, scope));
    if (value === undefined) failed = true;
    else given.push({ value, span: a.value.span, ...(a.name ? { name: a.name.name, nameSpan: a.name.span } : {}) });
  }
  if (failed) throw new Stop();
  const bound = bindArguments(engine, op, expr, given);
  const surplus = expr.generators.length > 0 ? bound.rest[0] : undefined;
  if (surplus) {
    engine.report.stop(
      'ESP0209',
      { of: op.name, most: 1, found: 1 + bound.rest.length },
      { primary: { span: surplus.span, text: 'one expression follows the `:`' } },
    );
  }
  const rest = expr.generators.length > 0 ? comprehend(engine, expr, scope) : bound.rest;
  return { engine, name: op.name, span: expr.span, expr, scope, args: bound.args, rest };
}

/** The body for every combination of the generators, the last one fastest. */
function comprehend(engine: Engine, expr: CallExpr, scope: Scope): ArgVal[] {
  const body = expr.args[0];
  if (!body) return [];
  const out: ArgVal[] = [];
  const counts = expr.generators.map((g) => turns(engine, engine.evaluate(g.limit, scope), g.limit));
  const total = counts.reduce((p, n) => p * n, 1);
  if (total > MOST_ELEMENTS) {
    engine.report.stop(
      'ESP0310',
      { what: 'a number of elements', limit: MOST_ELEMENTS, found: total },
      { primary: { span: expr.span, text: 'this comprehension' } },
    );
  }
  const inner = new Scope(scope);
  const visit = (axis: number): void => {
    const g = expr.generators[axis];
    if (!g) {
      out.push({ value: engine.evaluate(body.value, inner), span: body.value.span });
      return;
    }
    for (let i = 0; i < counts[axis]!; i++) {
      inner.set(g.name.name, num(i));
      visit(axis + 1);
    }
  };
  engine.budget.loop(total, expr.span, () => visit(0));
  return out;
}
