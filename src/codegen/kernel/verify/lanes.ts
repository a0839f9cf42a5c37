/** The verifier's rule `lanes`, as far as it needs no knowledge of values: sizes of subgroups, and lanes that are literals. */
import type { Expr, Kernel, Stmt } from '../types.js';
import { exprsOf } from '../walk.js';
import type { Report } from './report.js';
import { nodes, statements } from './walk.js';

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
      for (const e of exprsOf(s).flatMap(nodes)) if (e.kind === 'collective') checkCollective(e, subgroup, report);
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
