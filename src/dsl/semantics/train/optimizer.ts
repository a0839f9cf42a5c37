/** An `optimizer` of the library or of a user, as graph code: its options worked out, its `forward` traced for a weight. */
import { sameType, showType } from '../../../ir/ops/shapes.js';
import type { Optimizer } from '../../../ir/optimizer.js';
import type { Value } from '../../../ir/types.js';
import type { CallExpr, Expr, ForwardStmt, OptimizerDecl, Span, Stmt } from '../../ast.js';
import { requireForward } from '../evaluate/block.js';
import type { Engine } from '../evaluate/engine.js';
import { noGenerators } from '../evaluate/operator.js';
import { describe } from '../evaluate/show.js';
import { fillOptions } from '../evaluate/types.js';
import { Scope, tensorVal, type Val } from '../evaluate/values.js';
import { undeclared } from '../names/undeclared.js';

/** What `forward` may ask for, by name. */
const ARGUMENTS = ['weight', 'gradient', 'rate', 'count'] as const;

/** An optimiser with its options. */
export interface MadeOptimizer {
  readonly name: string;
  /** Its option of that name. */
  readonly lr: number;
  readonly optimizer: Optimizer;
}

/** The declaration that an expression names, with or without arguments. */
export function optimizerOf(engine: Engine, e: Expr): { readonly decl: OptimizerDecl; readonly call: CallExpr } {
  const call: CallExpr = e.kind === 'call' ? e : { kind: 'call', callee: e, generators: [], args: [], span: e.span };
  noGenerators(engine.report, call);
  const { callee } = call;
  const decl = callee.kind === 'name' ? engine.meanings.declared(callee) : undefined;
  if (decl?.kind === 'optimizer') return { decl, call };
  return undeclared(engine.library, engine.report, {
    what: 'optimizer',
    name: callee.kind === 'name' ? callee.name : (engine.library.textOf(callee.span) ?? '?'),
    span: callee.span,
    found: decl,
    candidates: engine.library.makers(callee.span.file, ['optimizer']),
  });
}

/** @param also arguments that win over those of the call */
export function makeOptimizer(
  engine: Engine,
  { decl, call }: ReturnType<typeof optimizerOf>,
  scope: Scope,
  also: CallExpr['args'] = [],
): MadeOptimizer {
  const { report } = engine;
  const name = decl.name.name;
  const over = new Set(also.flatMap((a) => a.name?.name ?? []));
  const args = [...call.args.filter((a) => !a.name || !over.has(a.name.name)), ...also];
  const options = fillOptions(engine, { of: name, params: decl.params, args, scope, span: call.span });
  const lr = options.get('lr');
  if (lr?.kind !== 'num') {
    return report.stop('ESP0260', { optimizer: name }, { primary: { span: decl.name.span, text: 'has no `lr`' } });
  }
  if (!(lr.value > 0)) {
    const span = args.find((a) => a.name?.name === 'lr')?.span ?? call.span;
    const about = { setting: `lr of ${name}`, expected: 'a number larger than 0', found: describe(lr) };
    report.stop('ESP0251', about, { primary: { span, text: 'this value' } });
  }
  const body = new Scope();
  for (const [option, v] of options) body.set(option, v);
  const states = new Map<string, number>();
  report.along(call.span, `\`${name}\` is asked for here`, () => declare(engine, decl.body, body, states));
  const forward = requireForward(decl.body, () =>
    report.stop('ESP0221', { of: name }, { primary: { span: decl.name.span, text: 'this optimizer' } }),
  );
  return {
    name,
    lr: lr.value,
    optimizer: {
      states,
      step: (at) =>
        report.along(call.span, `\`${name}\` is asked for here`, () =>
          traced(engine, name, forward, body, { ...at, states: at.states }),
        ),
    },
  };
}

/** Runs the body: `x = state ...` makes a state, everything else is worked out once for all weights. */
function declare(engine: Engine, statements: readonly Stmt[], scope: Scope, states: Map<string, number>): void {
  for (const s of statements) {
    if (s.kind === 'bind' && s.value.kind === 'state') {
      const [name, second] = s.names;
      if (second)
        engine.report.stop(
          'ESP0222',
          { names: s.names.length, values: 1 },
          { primary: { span: s.span, text: 'one state' } },
        );
      states.set(name!.name, startOf(engine, engine.evaluate(s.value.init, scope), s.value.init.span));
    } else if (s.kind === 'if_stmt') {
      const holds = engine.truth(engine.evaluate(s.condition, scope), 'a condition', s.condition.span);
      declare(engine, (holds ? s.then : s.otherwise) ?? [], scope, states);
    } else if (s.kind !== 'forward') engine.runBlock([s], scope);
  }
}

function startOf(engine: Engine, v: Val, span: Span): number {
  if (v.kind === 'num') return v.value;
  if (v.kind === 'init' && v.init.kind === 'zeros') return 0;
  if (v.kind === 'init' && v.init.kind === 'ones') return 1;
  const about = { what: 'the start of a state', expected: 'zeros, ones or a number', found: describe(v) };
  return engine.report.stop('ESP0205', about, { primary: { span, text: 'this one' } });
}

type Step = Optimizer['step'];

function traced(
  engine: Engine,
  name: string,
  forward: ForwardStmt,
  body: Scope,
  at: Parameters<Step>[0],
): ReturnType<Step> {
  const inner = new Scope(body);
  for (const [state, v] of at.states) inner.set(state, tensorVal(v));
  for (const p of forward.params) {
    const argument = ARGUMENTS.find((a) => a === p.name.name);
    if (!argument) {
      const help = [`It may ask for ${ARGUMENTS.join(', ')}.`];
      engine.report.stop(
        'ESP0261',
        { name: p.name.name, optimizer: name },
        { primary: { span: p.span, text: 'nothing gives this' }, help },
      );
    }
    inner.set(argument, tensorVal(at[argument]));
  }
  const v = engine.runBlock(forward.body.statements, inner);
  if (!v) {
    const what = `the forward of ${name}`;
    engine.report.stop('ESP0224', { what }, { primary: { span: forward.body.span, text: 'ends without a value' } });
  }
  const last = forward.body.statements.at(-1)?.span ?? forward.body.span;
  const fitting = (found: Val, what: string, span: Span): Value => {
    const value = engine.tensor(found, span);
    if (sameType(value.type, at.weight.type)) return value;
    return engine.report.stop(
      'ESP0262',
      { what, expected: showType(at.weight.type), found: showType(value.type) },
      { primary: { span, text: `this is ${describe(found)}` } },
    );
  };
  const weight = fitting(v, 'what the weight becomes', last);
  const states = new Map<string, Value>();
  for (const [state, before] of at.states) {
    const after = inner.own(state)!;
    if (after.kind === 'tensor' && after.value === before) {
      engine.report.stop(
        'ESP0266',
        { state, optimizer: name },
        { primary: { span: forward.span, text: 'leaves it as it is' } },
      );
    }
    states.set(state, fitting(after, `what \`${state}\` becomes`, placeOf(forward, state)));
  }
  return { weight, states };
}

/** Where a name was bound last in a forward. */
function placeOf(forward: ForwardStmt, name: string): Span {
  const bound = forward.body.statements.filter((s) => s.kind === 'bind' && s.names.some((n) => n.name === name));
  return bound.at(-1)?.span ?? forward.span;
}
