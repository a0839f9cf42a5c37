/** All built-in operators by name, with those that exist only while compiling: starts of parameters, tables, requirements. */
import type { Init } from '../../../ir/types.js';
import type { Operator } from '../evaluate/engine.js';
import { known } from '../evaluate/numbers.js';
import { describe, showNumber } from '../evaluate/show.js';
import type { TableVal } from '../evaluate/values.js';
import { Refused } from '../report.js';
import { numberArg, outOfRange, spanOf, wrongType } from './arguments.js';
import { LAYOUT } from './layout.js';
import { MATH } from './math.js';
import { NETWORKS } from './nn.js';
import { REDUCTIONS } from './reduce.js';
import { TABLE } from './table.js';

/** A way for a parameter to start when no file has it. */
function start(
  name: string,
  doc: string,
  params: readonly string[],
  init: (n: (p: string, d: number) => number) => Init,
): Operator {
  const op: Operator = {
    name,
    doc,
    params,
    run: (call) => {
      for (const p of ['std', 'bound', 'gain']) {
        const v = numberArg(call, p, 0);
        if (v < 0) outOfRange(call, p, showNumber(v), 'at least 0');
      }
      return { kind: 'init', init: init((p, d) => numberArg(call, p, d)) };
    },
  };
  if (!params.every((p) => p.endsWith('?'))) return op;
  return { ...op, bare: () => ({ kind: 'init', init: init((_, d) => d) }) };
}

const STARTS: readonly Operator[] = [
  start('zeros', 'Starts at 0.', [], () => ({ kind: 'zeros' })),
  start('ones', 'Starts at 1.', [], () => ({ kind: 'ones' })),
  start('eye', 'Starts as the identity matrix.', [], () => ({ kind: 'eye' })),
  start('default', 'Starts as PyTorch starts a linear layer: kaiming_uniform(sqrt(5)).', [], () => ({
    kind: 'kaiming_uniform',
    a: Math.sqrt(5),
  })),
  start('normal', 'Starts normally distributed.', ['std', 'mean?'], (n) => ({
    kind: 'normal',
    std: n('std', 1),
    mean: n('mean', 0),
  })),
  start('uniform', 'Starts uniformly distributed in -bound to bound.', ['bound'], (n) => ({
    kind: 'uniform',
    bound: n('bound', 1),
  })),
  start('kaiming_uniform', 'Starts uniformly distributed by fan-in; a is the slope, as in PyTorch.', ['a?'], (n) => ({
    kind: 'kaiming_uniform',
    a: n('a', 0),
  })),
  start('xavier_uniform', 'Starts uniformly distributed by fan-in and fan-out.', ['gain?'], (n) => ({
    kind: 'xavier_uniform',
    gain: n('gain', 1),
  })),
];

const table: Operator = {
  name: 'table',
  doc: 'A constant tensor: table(i < n, j < m: expression).',
  params: ['...elements'],
  comprehension: true,
  run: (call) => {
    const { engine, expr, scope } = call;
    if (expr.generators.length === 0) wrongType(call, 'elements', 'a comprehension: table(i < n: expression)');
    const shape = expr.generators.map((g) =>
      engine.dimension(
        known(engine, engine.evaluate(g.limit, scope), g.limit.span),
        `the limit of \`${g.name.name}\``,
        g.limit.span,
      ),
    );
    const size = shape.reduce((p, d) => p * d, 1);
    const first = call.rest[0]!.value;
    const dtype: TableVal['dtype'] =
      first.kind === 'bool' ? 'bool' : call.rest.some((a) => a.value.kind === 'num' && !a.value.whole) ? 'f32' : 'i32';
    const data = new Float64Array(size);
    call.rest.forEach((a, i) => {
      const v = a.value;
      if (v.kind === 'num' && first.kind === 'num') data[i] = known(engine, v, a.span).value;
      else if (v.kind === 'bool' && first.kind === 'bool') data[i] = v.value ? 1 : 0;
      else engine.report.stop('ESP0312', { found: describe(v) }, { primary: { span: a.span, text: 'this element' } });
    });
    if (size !== call.rest.length) throw new Error(`table of ${size} elements got ${call.rest.length}`);
    return { kind: 'table', shape, data, dtype };
  },
};

const require: Operator = {
  name: 'require',
  doc: 'States what options must satisfy: require(rank >= 1, "rank must be at least 1").',
  params: ['condition', 'message'],
  run: (call) => {
    const { engine } = call;
    const holds = engine.truth(call.args.get('condition')!.value, 'a requirement', spanOf(call, 'condition'));
    const text = call.args.get('message')!.value;
    if (text.kind !== 'str') wrongType(call, 'message', 'a string');
    if (!holds) {
      const { value } = text as { value: string };
      engine.report.add('ESP0223', { text: value }, { primary: { span: call.span, text: 'required here' } });
      throw new Refused();
    }
    return { kind: 'bool', value: true };
  },
};

const tapped: Operator = {
  name: 'tapped',
  doc: 'What sites inside of a module give when it is called with x: tapped(base, x, [base.blocks[2], base.blocks[5]]), a list.',
  params: ['module', 'x', 'sites'],
  run: (call) => {
    const { engine, args, span } = call;
    const module = args.get('module')!.value;
    const sites = args.get('sites')!;
    if (module.kind !== 'site') return wrongType(call, 'module', 'a module');
    if (sites.value.kind !== 'list') return wrongType(call, 'sites', 'a list of sites');
    const taps = sites.value.items.map((v) =>
      v.kind === 'site' ? { site: v.site, span: sites.span } : wrongType(call, 'sites', 'a list of sites'),
    );
    const x = { value: args.get('x')!.value, span: args.get('x')!.span };
    return { kind: 'list', items: engine.tapped(module.site, [x], taps, span) };
  },
};

export const OPERATORS: ReadonlyMap<string, Operator> = new Map(
  [...TABLE, ...MATH, ...LAYOUT, ...REDUCTIONS, ...NETWORKS, ...STARTS, table, require, tapped].map((op) => [
    op.name,
    op,
  ]),
);
