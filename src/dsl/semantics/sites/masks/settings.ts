/** What a `prune` statement asks for: how much, where and in which pattern. */

import { nearest } from '../../../../diagnostics/suggest.js';
import { showPath } from '../../../../ir/path.js';
import type { Calibration, PruneJob } from '../../../../ir/prune.js';
import type { Arg, CallExpr, Expr, PruneStmt } from '../../../ast.js';
import { operatorCall } from '../../evaluate/calls.js';
import type { Engine } from '../../evaluate/engine.js';
import { noGenerators } from '../../evaluate/operator.js';
import { describe, showNumber } from '../../evaluate/show.js';
import type { LayerSite, ParamSlot, Scope, Site } from '../../evaluate/values.js';
import { optionHelp, type Signature } from '../../names/signature.js';

type Shape = PruneJob['shape'];

interface Settings {
  readonly sparsity?: number;
  readonly scope: PruneJob['scope'];
  readonly shape: Shape;
  readonly over: PruneJob['over'];
  readonly calibration?: Calibration;
}

const NAMES = ['sparsity', 'scope', 'shape', 'over', 'calibration', 'images'];
/** Images of a calibration, where nothing says how many. */
const IMAGES = 32;
const SCOPES = ['global', 'layer', 'row'] as const;
const OVERS = ['base', 'sum'] as const;
const BLOCK: Signature = {
  name: 'block',
  doc: 'Blocks of weights: block(rows, columns).',
  params: ['rows', 'columns?'],
};

export function readSettings(engine: Engine, stmt: PruneStmt, scope: Scope): Settings {
  const of = describeCallee(stmt);
  noGenerators(engine.report, stmt.method);
  const args = new Map<string, Arg>();
  for (const a of stmt.method.args) {
    const name = a.name?.name;
    if (name === undefined) {
      engine.report.stop(
        'ESP0209',
        { of, most: 0, found: 1 },
        { primary: { span: a.span, text: 'give it a name' }, help: [`It has: ${NAMES.join(', ')}.`] },
      );
    }
    if (!NAMES.includes(name)) {
      engine.report.stop(
        'ESP0203',
        { option: name, of },
        { primary: { span: a.name!.span, text: 'no such option' }, help: optionHelp(name, NAMES) },
      );
    }
    if (args.has(name)) {
      engine.report.stop('ESP0208', { option: name, of }, { primary: { span: a.span, text: 'given again' } });
    }
    args.set(name, a);
  }
  const shape = shapeOf(engine, args.get('shape'), scope, of);
  const arg = args.get('sparsity');
  if (stmt.by) requireOpen(engine, stmt, stmt.by, shape, arg);
  const sparsity = arg ? sparsityOf(engine, arg, scope, of) : undefined;
  if (shape.kind === 'nm' && arg) {
    engine.report.stop(
      'ESP0346',
      { why: `the pattern ${shape.keep}:${shape.of} fixes the sparsity already` },
      {
        primary: { span: arg.span, text: 'not both' },
        secondary: [{ span: args.get('shape')!.span, text: 'the pattern' }],
      },
    );
  }
  if (shape.kind !== 'nm' && sparsity === undefined && !stmt.by) {
    engine.report.stop(
      'ESP0346',
      { why: 'nothing says how much to prune' },
      { primary: { span: stmt.method.span, text: 'add `sparsity: 50%`' } },
    );
  }
  return {
    ...(sparsity === undefined ? {} : { sparsity }),
    shape,
    scope: word(engine, args.get('scope'), SCOPES, 'layer', 'scope'),
    over: word(engine, args.get('over'), OVERS, 'base', 'over'),
    ...calibrationOf(engine, args, scope, of),
  };
}

/** What is searched for must not be fixed already. */
function requireOpen(engine: Engine, stmt: PruneStmt, by: CallExpr, shape: Shape, sparsity: Arg | undefined): void {
  const [fixed, at] = sparsity
    ? ['`sparsity`', sparsity.span]
    : shape.kind === 'nm'
      ? [`the pattern ${shape.keep}:${shape.of}`, stmt.method.span]
      : stmt.from
        ? ['the mask file', stmt.from.span]
        : [];
  if (fixed === undefined || !at) return;
  engine.report.stop(
    'ESP0346',
    { why: `${fixed} says how much to prune, and \`by\` searches for that` },
    { primary: { span: at, text: 'not both' }, secondary: [{ span: by.span, text: 'the search' }] },
  );
}

function calibrationOf(
  engine: Engine,
  args: ReadonlyMap<string, Arg>,
  scope: Scope,
  of: string,
): Pick<Settings, 'calibration'> {
  const [folder, most] = [args.get('calibration'), args.get('images')];
  const images = most ? engine.dimension(engine.evaluate(most.value, scope), `\`images\` of ${of}`, most.span) : IMAGES;
  if (!folder) {
    if (most) {
      const why = '`images` is how many images to calibrate with, and nothing says which';
      engine.report.stop('ESP0349', { why }, { primary: { span: most.span, text: 'add `calibration: "./images"`' } });
    }
    return {};
  }
  const location = engine.evaluate(folder.value, scope);
  if (location.kind !== 'str') {
    return engine.report.stop(
      'ESP0205',
      { what: `\`calibration\` of ${of}`, expected: 'the path of a folder of images', found: describe(location) },
      { primary: { span: folder.value.span, text: 'this one' } },
    );
  }
  return { calibration: { location: location.value, images, span: folder.value.span } };
}

const describeCallee = (stmt: PruneStmt): string =>
  stmt.method.callee.kind === 'name' ? stmt.method.callee.name : 'prune';

function word<W extends string>(
  engine: Engine,
  arg: Arg | undefined,
  choices: readonly W[],
  otherwise: W,
  option: string,
): W {
  if (!arg) return otherwise;
  const e = arg.value;
  const chosen = e.kind === 'name' ? choices.find((c) => c === e.name) : undefined;
  if (chosen) return chosen;
  const near = e.kind === 'name' ? nearest(e.name, choices) : undefined;
  return engine.report.stop(
    'ESP0210',
    { option, found: `\`${engine.library.textOf(e.span) ?? '?'}\``, choices },
    { primary: { span: e.span, text: 'not a choice' }, help: near === undefined ? [] : [`Did you mean \`${near}\`?`] },
  );
}

function sparsityOf(engine: Engine, arg: Arg, scope: Scope, of: string): number {
  const v = engine.evaluate(arg.value, scope);
  const s = engine.number(v, `\`sparsity\` of ${of}`, arg.span);
  if (s >= 0 && s < 1) return s;
  const percent = v.kind === 'num' && v.percent;
  engine.report.stop(
    'ESP0226',
    { what: '`sparsity`', found: percent ? `${showNumber(s * 100)}%` : showNumber(s), range: 'from 0% to below 100%' },
    {
      primary: { span: arg.span, text: 'out of range' },
      help:
        !percent && s > 1 && s < 100 ? [`Write ${showNumber(s)}% for a share of ${showNumber(s)} in a hundred.`] : [],
    },
  );
}

function shapeOf(engine: Engine, arg: Arg | undefined, scope: Scope, of: string): Shape {
  const e = arg?.value;
  if (!e || (e.kind === 'name' && e.name === 'element')) return { kind: 'element' };
  if (e.kind === 'call' && e.callee.kind === 'name' && e.callee.name === 'block') {
    const call = operatorCall(engine, BLOCK, e, scope);
    const size = (name: string) => {
      const arg = call.args.get(name);
      return arg && engine.dimension(arg.value, 'a size of a block', arg.span);
    };
    const rows = size('rows')!;
    return { kind: 'block', rows, cols: size('columns') ?? rows };
  }
  const known = e.kind === 'ratio' || (e.kind === 'name' && engine.meanings.of(e).kind === 'local');
  const v = known ? engine.evaluate(e, scope) : undefined;
  if (v?.kind !== 'ratio') return badShape(engine, e, of);
  const ratio = `${v.left}:${v.right}`;
  const why =
    !Number.isInteger(v.left) || !Number.isInteger(v.right)
      ? 'a pattern counts whole weights'
      : v.right < 2
        ? 'a pattern spans at least 2 weights'
        : v.left < 1
          ? 'a pattern keeps at least 1 weight'
          : v.left >= v.right
            ? 'a pattern keeps fewer weights than it spans'
            : undefined;
  if (why !== undefined)
    engine.report.stop('ESP0347', { ratio, why }, { primary: { span: e.span, text: 'this pattern' } });
  return { kind: 'nm', keep: v.left, of: v.right };
}

function badShape(engine: Engine, e: Expr, of: string): never {
  return engine.report.stop(
    'ESP0205',
    {
      what: `\`shape\` of ${of}`,
      expected: 'element, block(rows, columns) or a pattern such as 2:4',
      found: `\`${engine.library.textOf(e.span) ?? '?'}\``,
    },
    { primary: { span: e.span, text: 'this one' } },
  );
}

/** Blocks tile a weight, seen as a matrix [out, everything else], and patterns its input axis, without a rest. */
export function divides(engine: Engine, stmt: PruneStmt, site: LayerSite, weight: ParamSlot, shape: Shape): void {
  const [out, ...more] = weight.type.shape;
  const width = more.reduce((p, d) => p * d, 1);
  const refuse = (what: string, size: number, by: number): never =>
    engine.report.stop(
      'ESP0345',
      { what, size, by, site: showPath(site.path) },
      { primary: { span: stmt.method.span, text: 'this pattern' } },
    );
  if (shape.kind === 'block') {
    if (out! % shape.rows !== 0) refuse('the block height', out!, shape.rows);
    if (width % shape.cols !== 0) refuse('the block width', width, shape.cols);
  }
  if (shape.kind === 'nm' && width % shape.of !== 0) refuse('the pattern length', width, shape.of);
}

/** A `prune` statement, with the sites that it selects. */
export interface Pruning {
  readonly stmt: PruneStmt;
  readonly sites: readonly Site[];
  /** What its method's options are worked out in. */
  readonly scope: Scope;
}
