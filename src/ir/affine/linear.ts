/** Linear layers and scales in affine forms. */
import type { Value } from '../types.js';
import {
  addForms,
  type Form,
  fullShift,
  isObstacle,
  mapMatrices,
  type Obstacle,
  type Shift,
  type Solver,
  shiftThrough,
} from './form.js';
import { diagonal, type Matrix, product } from './matrix.js';
import type { Factor } from './parse.js';

/** W · (form of u) + bias along `axis` of u. `base`: W holds parameters of the model. */
export function linearOver(
  s: Solver,
  u: Value,
  w: Matrix,
  bias: Value | undefined,
  base: boolean,
  axis: number,
): Form | Obstacle {
  let f = s.form(u, axis);
  if (isObstacle(f)) return f;
  const reason = whyNot(s, f, w, base);
  if (reason) f = s.stop(u, axis, reason);
  if (isObstacle(f)) return f;
  const terms = mapMatrices(s.b, f, (m) => product(s.b, w, m), base);
  const moved: Form = f.c ? { terms, c: shiftThrough(s.b, w, f.c, u.type.shape, axis) } : { terms };
  if (!bias) return moved;
  const shape = u.type.shape.map((d, i) => (i === axis ? w.out : d));
  return addForms(s.b, [moved, { terms: [], c: { kind: 'channel', value: bias } }], shape, axis);
}

function whyNot(s: Solver, f: Form, w: Matrix, base: boolean): string | undefined {
  if (!s.compose && base && f.terms.some((t) => t.base)) return 'the layers of the model stay apart';
  if (w.kind !== 'diagonal' && f.terms.some((t) => t.patches && t.patches.attrs.groups > 1)) {
    return 'a grouped convolution takes a scale for each channel only';
  }
  return undefined;
}

/** factor * form, where the factor is constant but along the channels. `shape` is the form's. */
export function scaleForm(
  s: Solver,
  f: Form,
  factor: Exclude<Factor, { kind: 'full' }>,
  shape: readonly number[],
  axis: number,
): Form {
  const d = diagonal(shape[axis]!, factor.value);
  const terms = mapMatrices(s.b, f, (m) => product(s.b, d, m));
  if (!f.c) return { terms };
  return { terms, c: scaleShift(s, f.c, factor, shape, axis) };
}

function scaleShift(s: Solver, c: Shift, factor: Factor, shape: readonly number[], axis: number): Shift {
  if (c.kind === 'channel') return { kind: 'channel', value: s.b.mul(c.value, factor.value) };
  const by =
    factor.kind === 'channel' ? fullShift(s.b, { kind: 'channel', value: factor.value }, shape, axis) : factor.value;
  return { kind: 'full', value: s.b.mul(c.value, by) };
}
