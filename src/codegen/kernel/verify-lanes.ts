/** The verifier's rule `lanes`, as far as it needs no knowledge of values: sizes of subgroups, and lanes that are literals. */
import type { Expr, Kernel, Stmt } from './types.js';
import type { Report } from './verify-report.js';

const isPower = (n: number): boolean => n >= 1 && 2 ** Math.round(Math.log2(n)) === n;

export function checkLanes(kernel: Kernel, report: Report): void {
  report.enter('kernel');
  const { subgroup, workgroup } = kernel;
  const size = workgroup.reduce((a, b) => a * b, 1);
  if (workgroup.some((n) => !Number.isInteger(n) || n < 1))
    report.say('lanes', `a workgroup of ${workgroup.join(' by ')}`);
  if (subgroup !== undefined) {
    if (!isPower(subgroup) || subgroup < 4 || subgroup > 128) report.say('lanes', `no subgroup has ${subgroup} lanes`);
    else if (size % subgroup !== 0) report.say('lanes', `a workgroup of ${size} is no multiple of ${subgroup} lanes`);
  } else if (kernel.inputs.some((i) => i.builtin === 'subgroup_invocation_id')) {
    report.say('lanes', 'subgroup_invocation_id without a known number of lanes');
  }
  report.leave();
  const check = (fn: string, body: readonly Stmt[]): void => {
    report.enter(fn);
    for (const s of statements(body)) {
      report.at(s);
      for (const e of valuesOf(s).flatMap(nodes)) if (e.kind === 'collective') checkCollective(e, subgroup, report);
    }
    report.leave();
  };
  for (const f of kernel.functions) check(f.name, f.body);
  check('main', kernel.main);
}

function checkCollective(e: Extract<Expr, { kind: 'collective' }>, lanes: number | undefined, report: Report): void {
  if (lanes === undefined) {
    report.say('lanes', `${e.op} without a known number of lanes`);
    return;
  }
  if (e.lane?.kind !== 'literal') return;
  const { value } = e.lane;
  if (value >= lanes) report.say('lanes', `${e.op} of lane ${value}, of ${lanes}`);
  else if (e.op === 'shuffle_xor' && !isPower(value)) report.say('lanes', `shuffle_xor by ${value}, no power of two`);
}

/** The statements and those inside of them. */
function statements(body: readonly Stmt[]): Stmt[] {
  return body.flatMap((s): Stmt[] => {
    if (s.kind === 'for' || s.kind === 'block') return [s, ...statements(s.body)];
    if (s.kind === 'if') return [s, ...[...s.cases.map((c) => c.body), s.otherwise ?? []].flatMap(statements)];
    return [s];
  });
}

/** Expressions of the statement itself. */
function valuesOf(s: Stmt): readonly Expr[] {
  switch (s.kind) {
    case 'let':
    case 'assign':
    case 'store':
      return [s.value];
    case 'var':
    case 'return':
      return s.value ? [s.value] : [];
    case 'array':
      return s.values;
    case 'put':
    case 'write':
      return [s.at, s.value];
    case 'if':
      return s.cases.map((c) => c.when);
    case 'for':
      return [s.from, s.below];
    case 'do':
      return s.args;
    default:
      return [];
  }
}

/** The expression and those inside of it. */
function nodes(e: Expr): Expr[] {
  return [e, ...operands(e).flatMap(nodes)];
}

function operands(e: Expr): readonly Expr[] {
  switch (e.kind) {
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'splat':
      return [e.x];
    case 'binary':
      return [e.a, e.b];
    case 'builtin':
    case 'call':
      return e.args;
    case 'vector':
      return e.parts;
    case 'component':
      return typeof e.at === 'number' ? [e.x] : [e.x, e.at];
    case 'fetch':
    case 'item':
      return [e.at];
    case 'collective':
      return e.lane ? [e.x, e.lane] : [e.x];
    default:
      return [];
  }
}
