/** The engine: puts the parts of elaboration together. */

import type { Label } from '../../diagnostics/types.js';
import { dependsOnInput } from '../../ir/affine/parse.js';
import { perSample } from '../../ir/batch.js';
import { build } from '../../ir/build.js';
import { ShapeError } from '../../ir/graph.js';
import { showType, sizeOf } from '../../ir/ops/shapes.js';
import type { TensorType, Value } from '../../ir/types.js';
import type { Span } from '../ast.js';
import type { ElaborateOptions } from '../elaborated.js';
import { BUILTINS } from './builtins/builtins.js';
import { makeLayer } from './builtins/layers.js';
import { runBlock } from './evaluate/block.js';
import { Budget } from './evaluate/budget.js';
import { callExpr } from './evaluate/calls.js';
import type { Engine, Operand } from './evaluate/engine.js';
import { evaluate } from './evaluate/evaluate.js';
import { castHelp, dimension, number, tensorOf, truth, whole } from './evaluate/numbers.js';
import { ParamStore } from './evaluate/params.js';
import { showShape } from './evaluate/show.js';
import type { Library } from './names/library.js';
import type { Meanings } from './names/meaning.js';
import type { Report } from './report.js';
import { baseMember, callBase } from './sites/adapters/base.js';
import { Memo, type Tracer } from './sites/memo.js';
import { instantiate } from './sites/modules/make.js';
import { tapped } from './sites/tap.js';
import { callSite } from './sites/trace.js';

export function makeEngine(report: Report, library: Library, meanings: Meanings, options: ElaborateOptions): Tracer {
  let streams = 0;
  const engine: Tracer = {
    report,
    library,
    meanings,
    options,
    params: new ParamStore(),
    budget: new Budget(report),
    ...BUILTINS,
    tables: new Map(),
    calling: [],
    memo: new Memo(),
    frame: {},
    evaluate: (e, scope, spot) => evaluate(engine, e, scope, spot),
    runBlock: (statements, scope, owner, spot) => runBlock(engine, statements, scope, owner, spot),
    callExpr: (e, scope, spot) => callExpr(engine, e, scope, spot),
    instantiate: (decl, e, scope, spot, known) => instantiate(engine, decl, e, scope, spot, known),
    makeLayer: (type, e, scope, spot) => makeLayer(engine, type, e, scope, spot),
    callSite: (site, args, span, level) => callSite(engine, site, args, span, level),
    tapped: (site, args, taps, span) => tapped(engine, site, args, taps, span),
    callBase: (site, level, args, span) => callBase(engine, site, level, args, span),
    baseMember: (site, level, member, span) => baseMember(engine, site, level, member, span),
    stream: () => streams++,
    about: ({ file, start, end }) => ({ ...engine.frame, at: { file, start, end } }),
    within: (frame, work) => {
      const before = engine.frame;
      engine.frame = frame;
      try {
        return work();
      } finally {
        engine.frame = before;
      }
    },
    trace: (name, span, operands, work) => {
      engine.budget.spendValues(span);
      try {
        return ofBoundedSize(engine, work(build, engine.about(span)), span);
      } catch (e) {
        if (!(e instanceof ShapeError)) throw e;
        if (e.about === 'dtype') {
          return engine.report.stop(
            'ESP0314',
            { what: name, why: e.reason },
            {
              primary: { span, text: operands.map((o) => showType(o.value.type)).join(' and ') },
              secondary: operandLabels(e, span, operands, showType),
              help: castHelp(operands.map((o) => o.value.type.dtype)),
            },
          );
        }
        return engine.report.stop(
          'ESP0301',
          { op: name, why: e.reason },
          {
            primary: { span, text: shapesText(operands) },
            secondary: operandLabels(e, span, operands, (t) => showShape(t.shape)),
          },
        );
      }
    },
    tensor: (v, span, dtype) => tensorOf(engine, v, span, dtype),
    whole: (v, what, span) => whole(engine, v, what, span),
    number: (v, what, span) => number(engine, v, what, span),
    truth: (v, what, span) => truth(engine, v, what, span),
    dimension: (v, what, span) => dimension(engine, v, what, span),
  };
  return engine;
}

/** Elements of a tensor that is worked out while compiling, from parameters and constants: no array here holds more. */
const MOST_ELEMENTS_OF_A_TENSOR = 2 ** 30;

function ofBoundedSize(engine: Engine, v: Value, span: Span): Value {
  const found = perSample(sizeOf(v.type.shape));
  // What flows through the model is held against the limits of its GPU.
  if (found <= MOST_ELEMENTS_OF_A_TENSOR || dependsOnInput(v)) return v;
  return engine.report.stop(
    'ESP0310',
    { what: 'the number of elements of this tensor', limit: MOST_ELEMENTS_OF_A_TENSOR, found },
    { primary: { span, text: showShape(v.type.shape) } },
  );
}

const shapesText = (operands: readonly Operand[]): string =>
  operands.length === 0 ? 'here' : operands.map((o) => showShape(o.value.type.shape)).join(' and ');

/** Each operand at fault: where it is written, and where it was made if that is elsewhere. */
function operandLabels(
  e: ShapeError,
  at: Span,
  operands: readonly Operand[],
  show: (type: TensorType) => string,
): Label[] {
  const labels: Label[] = [];
  const chosen = e.operands.length > 0 && e.operands.every((i) => i < operands.length) ? e.operands : operands.keys();
  for (const i of chosen) {
    const o = operands[i]!;
    const text = show(o.value.type);
    const made = madeAt(o.value);
    const same = (s: Span) => s.file === at.file && s.start === at.start && s.end === at.end;
    if (made && !same(made)) labels.push({ span: made, text: `${text} comes from here` });
    else if (!same(o.span)) labels.push({ span: o.span, text: `this is ${text}` });
  }
  return labels;
}

/** The place of the spec that a value comes from. */
function madeAt(v: Value): Span | undefined {
  return v.about?.at;
}
