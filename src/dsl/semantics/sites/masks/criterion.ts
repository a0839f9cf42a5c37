/** Criteria: what they may ask for, and their scores as functions of a weight and of what is gathered of what its layer reads. */

import { BATCH } from '../../../../ir/batch.js';
import { gathered } from '../../../../ir/gather.js';
import { input } from '../../../../ir/graph.js';
import type { Calibration, Reading } from '../../../../ir/prune.js';
import type { Func, Value } from '../../../../ir/types.js';
import type { CriterionDecl, PruneStmt } from '../../../ast.js';
import type { Engine } from '../../evaluate/engine.js';
import { describe, showShape } from '../../evaluate/show.js';
import { type LayerSite, type ParamSlot, Scope, tensorVal, type Val } from '../../evaluate/values.js';
import { undeclared, withArticle } from '../../names/undeclared.js';
import { bindTensors } from '../modules/arguments.js';

/** What a criterion may ask for by this name, besides the weight: what the layer reads, [tokens, in]. */
const INPUT = 'input';

export function criterionOf(engine: Engine, stmt: PruneStmt): CriterionDecl | undefined {
  const callee = stmt.method.callee;
  const name = callee.kind === 'name' ? callee.name : '';
  const decl = callee.kind === 'name' ? engine.meanings.declared(callee) : undefined;
  if (decl?.kind === 'criterion') {
    const unknown = decl.params.slice(1).find((p) => p.name.name !== INPUT);
    if (unknown) {
      engine.report.stop(
        'ESP0343',
        { criterion: name, needs: unknown.name.name },
        {
          primary: { span: callee.span, text: 'used here' },
          secondary: [{ span: unknown.span, text: 'asked for here' }],
        },
      );
    }
    return decl;
  }
  const all = engine.library.makers(callee.span.file, ['criterion']);
  return undeclared(engine.library, engine.report, {
    what: 'criterion',
    name,
    span: callee.span,
    found: decl,
    candidates: all,
    ...(decl ? { text: `${withArticle(decl.kind)}, not a criterion` } : {}),
    help: [
      ...(all.length > 0 ? [`There are: ${all.join(', ')}.`] : []),
      'Procedures that search for a mask (learned rates, second-order updates) are not in this version.',
    ],
  });
}

export const looksAtInput = ({ params }: CriterionDecl): boolean => params.length > 1;

/** A criterion that looks at what layers read has images or a mask file, and no other has images. */
export function requireCalibration(
  engine: Engine,
  stmt: PruneStmt,
  criterion: CriterionDecl,
  calibration: Calibration | undefined,
): void {
  const name = criterion.name.name;
  if (calibration) {
    const primary = { span: calibration.span, text: 'these images' };
    const why = looksAtInput(criterion)
      ? stmt.from && 'the mask is in a file: nothing would look at these images'
      : `\`${name}\` looks at the weight alone: nothing would look at these images`;
    if (why) engine.report.stop('ESP0349', { why }, { primary });
  } else if (looksAtInput(criterion) && !stmt.from) {
    engine.report.stop(
      'ESP0349',
      { why: `\`${name}\` looks at what a layer reads, and nothing says of which images` },
      {
        primary: { span: stmt.method.span, text: 'add `calibration: "./images"`' },
        secondary: [{ span: criterion.params[1]!.span, text: 'asked for here' }],
      },
    );
  }
}

interface Score {
  readonly score: Func;
  readonly reading?: Reading;
}

/** The score of a layer's weight; of a criterion that looks at what the layer reads, what is gathered of that, and the score from it. */
export function scoreOf(
  engine: Engine,
  criterion: CriterionDecl,
  stmt: PruneStmt,
  site: LayerSite,
  weight: ParamSlot,
): Score {
  const name = criterion.name.name;
  const scope = new Scope();
  const [first, second] = criterion.params;
  const inputs = first ? [input(first.name.name, weight.type)] : [];
  if (second) inputs.push(input(INPUT, { dtype: 'f32', shape: [BATCH, site.layer.in] }));
  const args = inputs.map((v) => ({ value: tensorVal(v) as Val, span: stmt.span }));
  const span = criterion.value.span;
  const traced = engine.report.onBehalfOf(stmt.span, `\`${name}\` scores ${weight.name} here`, () => {
    bindTensors(engine, name, criterion.params, scope, args, stmt.span);
    return engine.tensor(engine.evaluate(criterion.value, scope), span);
  });
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
  const score: Func = { name: 'score', inputs, results: [{ name: 'score', value: traced }], updates: [] };
  if (!second) return { score };
  const split = gathered(score);
  if ('why' in split) return notGathered(engine, criterion, stmt, split.at, split.why);
  const { each, together, end } = split;
  return { score: end, reading: { each, together, axis: site.layer.axis === 1 ? 1 : -1 } };
}

function notGathered(
  engine: Engine,
  criterion: CriterionDecl,
  stmt: PruneStmt,
  at: Value,
  why: 'rows' | 'again',
): never {
  return engine.report.stop(
    'ESP0350',
    { criterion: criterion.name.name, op: at.op, why },
    {
      primary: { span: at.about?.at ?? criterion.value.span, text: 'this needs all tokens at once' },
      secondary: [{ span: stmt.span, text: 'used here' }],
    },
  );
}
