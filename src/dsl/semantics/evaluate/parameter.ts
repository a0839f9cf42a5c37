/** `param`: parameters and how they start. */

import { ownedBy } from '../../../ir/about.js';
import { hasBatch } from '../../../ir/batch.js';
import { paramRef } from '../../../ir/graph.js';
import { showPath } from '../../../ir/path.js';
import type { DType, Init, Param, ParamRole, TensorType } from '../../../ir/types.js';
import type { ParamExpr, Span } from '../../ast.js';
import { elementType } from '../names/words.js';
import type { Engine } from './engine.js';
import { castHelp, element, known } from './numbers.js';
import { describe, showShape } from './show.js';
import { type ParamSlot, type Scope, type Spot, tensorVal, type Val } from './values.js';

export function parameter(engine: Engine, expr: ParamExpr, scope: Scope, spot?: Spot): Val {
  if (!spot) {
    return engine.report.stop('ESP0219', { what: 'a parameter' }, { primary: { span: expr.span, text: 'made here' } });
  }
  const short = spot.path.slice(spot.owner.path.length + 1);
  const shape = expr.shape.map((e, i) =>
    engine.dimension(engine.evaluate(e, scope), `axis ${i} of \`${short}\``, e.span),
  );
  let name = spot.path;
  if (expr.shared) {
    if (spot.owner.shared === undefined) {
      engine.report.stop(
        'ESP0220',
        { what: '`shared param`', where: 'a module; it belongs in an adapter' },
        { primary: { span: expr.span, text: 'shared by what?' } },
      );
    }
    name = `${spot.owner.shared.id}.${short}`;
    const first = engine.params.get(name);
    if (first) {
      if (first.type.shape.join() !== shape.join()) {
        engine.report.stop(
          'ESP0335',
          {
            param: short,
            first: showShape(first.type.shape),
            second: showShape(shape),
            site: showPath(spot.owner.shared.site),
          },
          { primary: { span: expr.span, text: 'one tensor for all sites of the statement' } },
        );
      }
      spot.owner.params.set(short, first);
      return tensorVal(first.value);
    }
  }
  const role: ParamRole = expr.frozen ? 'frozen' : spot.owner.role;
  const dtype = elementType(expr.dtype);
  if (dtype !== 'f32' && role !== 'frozen') untrained(engine, short, dtype, expr.dtype!.span);
  const init = start(engine, engine.evaluate(expr.init, scope), expr, short, { dtype, shape });
  const adapter = expr.shared ? spot.owner.shared?.id : spot.owner.adapter;
  const slot = makeParam(engine, { name, shape, dtype, role, adapter, init, span: expr.span });
  spot.owner.params.set(short, slot);
  return tensorVal(slot.value);
}

/** Refuses to train what has no derivative: whole numbers and truth. */
export function untrained(engine: Engine, name: string, dtype: DType, span: Span): never {
  return engine.report.stop(
    'ESP0314',
    { what: `\`${name}\``, why: `it is ${dtype}, and what is trained is f32` },
    { primary: { span, text: 'whole numbers and truth change by steps' }, help: ['`frozen param` is not trained.'] },
  );
}

/** Starts that draw numbers: nobody wants whole ones of these. */
const DRAWN: ReadonlySet<Init['kind']> = new Set(['normal', 'uniform', 'kaiming_uniform', 'xavier_uniform']);

function start(engine: Engine, v: Val, expr: ParamExpr, name: string, { dtype, shape }: TensorType): Init {
  if (v.kind === 'init') {
    if (dtype !== 'f32' && DRAWN.has(v.init.kind)) {
      engine.report.stop(
        'ESP0314',
        { what: `the start of \`${name}\``, why: `it is of drawn numbers, and the parameter is ${dtype}` },
        {
          primary: { span: expr.init.span, text: 'f32' },
          help: ['`zeros`, `ones`, a number or a table of its type start it.'],
        },
      );
    }
    if (v.init.kind === 'eye' && shape.length < 2) {
      engine.report.stop(
        'ESP0205',
        { what: `the shape of \`${name}\``, expected: 'a matrix, since it starts as one', found: showShape(shape) },
        { primary: { span: expr.init.span, text: 'the identity' } },
      );
    }
    return v.init;
  }
  if (v.kind === 'bool' && dtype === 'bool') return { kind: 'constant', value: v.value ? 1 : 0 };
  if (v.kind === 'num') {
    return { kind: 'constant', value: element(engine, known(engine, v, expr.init.span).value, dtype, expr.init.span) };
  }
  if (v.kind === 'tensor' || v.kind === 'table') {
    const value = engine.tensor(v, expr.init.span);
    if (value.type.shape.join() !== shape.join()) {
      engine.report.stop(
        'ESP0309',
        { of: `\`${name}\``, expected: showShape(shape), found: showShape(value.type.shape) },
        { primary: { span: expr.init.span, text: `this is ${describe(v)}` } },
      );
    }
    if (value.type.dtype !== dtype) {
      engine.report.stop(
        'ESP0314',
        {
          what: `the start of \`${name}\``,
          why: `it is ${value.type.dtype}, and ${expr.dtype ? 'the' : 'a'} parameter is ${dtype}`,
        },
        { primary: { span: expr.init.span, text: `this is ${value.type.dtype}` }, help: castHelp([value.type.dtype]) },
      );
    }
    return { kind: 'value', value };
  }
  return engine.report.stop(
    'ESP0205',
    { what: `the start of \`${name}\``, expected: 'a start such as zeros, a number or a tensor', found: describe(v) },
    { primary: { span: expr.init.span, text: 'this one' } },
  );
}

export interface NewParam {
  readonly name: string;
  readonly shape: readonly number[];
  /** f32, if not said. */
  readonly dtype?: DType;
  readonly role: ParamRole;
  /** The id of the adapter that has it. */
  readonly adapter: string | undefined;
  readonly init?: Init;
  /** Of one that is no weight but follows the batches of training, where what has it is trained (`Param.momentum`). */
  readonly momentum?: number;
  readonly span: Span;
}

/** The role of a parameter of what is trained. */
export const trainedRole = ({ momentum }: { readonly momentum?: number }): ParamRole =>
  momentum === undefined ? 'trainable' : 'statistic';

/** A new parameter of the model. Its name is its own: two makers of one name are two modules on one path. */
export function makeParam(engine: Engine, p: NewParam): ParamSlot {
  engine.budget.spend('modules and parameters', p.span);
  if (hasBatch(p.shape)) {
    const { name, shape } = p;
    engine.report.stop(
      'ESP0606',
      { name, shape: showShape(shape) },
      { primary: { span: p.span, text: 'declared here' } },
    );
  }
  const type = { dtype: p.dtype ?? 'f32', shape: p.shape } as const;
  const about = ownedBy(engine.about(p.span), p.adapter === undefined ? [] : [p.adapter]);
  const role = p.role === 'trainable' ? trainedRole(p) : p.role;
  const param: Param = { name: p.name, type, role, ...(about ? { about } : {}) };
  const slot: ParamSlot = {
    name: p.name,
    type,
    role,
    span: p.span,
    value: paramRef(param),
    ...(p.momentum === undefined ? {} : { momentum: p.momentum }),
    ...(p.init ? { init: p.init } : {}),
  };
  return engine.params.add(slot);
}
