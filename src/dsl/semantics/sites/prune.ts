/** `prune` statements: checked settings, masks as constant parameters, and each criterion's score as a function of the weight. */

import { nearest } from '../../../diagnostics/suggest.js';
import { input, paramRef } from '../../../ir/graph.js';
import type { Func } from '../../../ir/types.js';
import type { Arg, CriterionDecl, Expr, PruneStmt } from '../../ast.js';
import type { PruneJob, PruneTarget } from '../../elaborated.js';
import { noGenerators, optionHelp, type Signature } from '../builtins/operator.js';
import { operatorCall } from '../evaluate/calls.js';
import type { Engine } from '../evaluate/engine.js';
import { describe, showNumber, showShape, tensorVal, type Val } from '../evaluate/values.js';
import type { Pruning } from '../models/model.js';
import { Scope } from '../names/scope.js';
import { undeclared, withArticle } from '../names/undeclared.js';
import { bindTensors } from './modules.js';
import type { LayerSite, ParamSlot, Site } from './site.js';

type Shape = PruneJob['shape'];

interface Settings {
  readonly sparsity?: number;
  readonly scope: PruneJob['scope'];
  readonly shape: Shape;
  readonly over: PruneJob['over'];
}

const NAMES = ['sparsity', 'scope', 'shape', 'over'];
const SCOPES = ['global', 'layer', 'row'] as const;
const OVERS = ['base', 'sum'] as const;
const BLOCK: Signature = {
  name: 'block',
  doc: 'Blocks of weights: block(rows, columns).',
  params: ['rows', 'columns?'],
};

/** Makes the masks and what is needed to find them. Masks must exist before anything is traced. */
export function pruneJobs(engine: Engine, prunings: readonly Pruning[]): PruneJob[] {
  const taken = new Map<Site, PruneStmt>();
  return prunings.flatMap(
    ({ stmt, sites, scope }) =>
      engine.report.attempt(() => {
        const criterion = criterionOf(engine, stmt);
        const settings = readSettings(engine, stmt, scope);
        const layers = sites.filter((s): s is LayerSite => s.kind === 'layer');
        if (!criterion) return [];
        const targets: PruneTarget[] = [];
        const score: Func[] = [];
        for (const site of layers) {
          const before = taken.get(site);
          if (before) {
            engine.report.add(
              'ESP0342',
              { site: site.path },
              {
                primary: { span: stmt.span, text: 'again here' },
                secondary: [{ span: before.span, text: 'first here' }],
              },
            );
            continue;
          }
          taken.set(site, stmt);
          engine.report.attempt(() => {
            const weight = site.params.get('weight')!;
            divides(engine, stmt, site, weight, settings.shape);
            score.push(scoreOf(engine, criterion, stmt, weight));
            const slot = maskFor(engine, weight, stmt);
            site.mask = { slot, over: settings.over };
            targets.push({ param: weight.name, mask: slot.name, site: site.path });
          });
        }
        const job: PruneJob = {
          criterion: criterion.name.name,
          span: stmt.span,
          targets,
          score,
          ...settings,
          ...(stmt.from ? { from: stmt.from.value } : {}),
        };
        return [job];
      }) ?? [],
  );
}

function criterionOf(engine: Engine, stmt: PruneStmt): CriterionDecl | undefined {
  const callee = stmt.method.callee;
  const name = callee.kind === 'name' ? callee.name : '';
  const decl = engine.library.find(name, callee.span.file);
  if (decl?.kind === 'criterion') {
    const more = decl.params.slice(1)[0];
    if (more && !stmt.from) {
      engine.report.stop(
        'ESP0343',
        { criterion: name, needs: more.name.name },
        { primary: { span: callee.span, text: 'used here' }, secondary: [{ span: more.span, text: 'asked for here' }] },
      );
    }
    return decl;
  }
  const all = engine.library.makers(callee.span.file, ['criterion']);
  return undeclared(engine.library, engine.report, {
    what: 'criterion',
    name,
    span: callee.span,
    candidates: all,
    ...(decl ? { text: `${withArticle(decl.kind)}, not a criterion` } : {}),
    help: [
      ...(all.length > 0 ? [`There are: ${all.join(', ')}.`] : []),
      'Procedures that search for a mask (learned rates, second-order updates) are not in this version.',
    ],
  });
}

// ---- Settings ------------------------------------------------------------------------------------------------------

function readSettings(engine: Engine, stmt: PruneStmt, scope: Scope): Settings {
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
  if (shape.kind !== 'nm' && sparsity === undefined) {
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
  };
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
  const known = e.kind === 'ratio' || (e.kind === 'name' && scope.get(e.name) !== undefined);
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
function divides(engine: Engine, stmt: PruneStmt, site: LayerSite, weight: ParamSlot, shape: Shape): void {
  const [out, ...more] = weight.type.shape;
  const width = more.reduce((p, d) => p * d, 1);
  const refuse = (what: string, size: number, by: number): never =>
    engine.report.stop(
      'ESP0345',
      { what, size, by, site: site.path },
      { primary: { span: stmt.method.span, text: 'this pattern' } },
    );
  if (shape.kind === 'block') {
    if (out! % shape.rows !== 0) refuse('the block height', out!, shape.rows);
    if (width % shape.cols !== 0) refuse('the block width', width, shape.cols);
  }
  if (shape.kind === 'nm' && width % shape.of !== 0) refuse('the pattern length', width, shape.of);
}

// ---- Scores --------------------------------------------------------------------------------------------------------

function scoreOf(engine: Engine, criterion: CriterionDecl, stmt: PruneStmt, weight: ParamSlot): Func {
  const name = criterion.name.name;
  const scope = new Scope();
  const inputs = criterion.params.slice(0, 1).map((p) => input(p.name.name, weight.type));
  const args = inputs.map((v) => ({ value: tensorVal(v) as Val, span: stmt.span }));
  const span = criterion.value.span;
  const traced = engine.report.onBehalfOf(stmt.span, `\`${name}\` scores ${weight.name} here`, () => {
    // What else the criterion reads is found together with the mask and not traced here.
    if (criterion.params.length > 1) return undefined;
    bindTensors(engine, name, criterion.params, scope, args, stmt.span);
    return engine.tensor(engine.evaluate(criterion.value, scope), span);
  });
  if (!traced) return { name: 'score', inputs, results: [], updates: [] };
  if (traced.type.shape.join() !== weight.type.shape.join()) {
    engine.report.stop(
      'ESP0344',
      { criterion: name, expected: showShape(weight.type.shape), found: showShape(traced.type.shape) },
      {
        primary: { span, text: `this is ${describe(tensorVal(traced))}` },
        secondary: [{ span: stmt.span, text: 'used here' }],
      },
    );
  }
  return { name: 'score', inputs, results: [{ name: 'score', value: traced }], updates: [] };
}

function maskFor(engine: Engine, weight: ParamSlot, stmt: PruneStmt): ParamSlot {
  const name = `${weight.name}#mask`;
  const origin = { ...engine.origin(stmt.span), scope: name };
  const value = paramRef({ name, type: weight.type, role: 'constant', origin });
  return engine.params.add({ name, type: weight.type, role: 'constant', span: stmt.span, value });
}
