/** Convolutions in affine forms: a convolution is a linear map of the patches of its image. */
import { sizeOf } from '../ops/shapes.js';
import type { Value, ValueOf } from '../types.js';
import {
  type Form,
  isObstacle,
  type Obstacle,
  obstacle,
  type Patches,
  type Shift,
  type Solver,
  type Term,
} from './form.js';
import { linearOver } from './linear.js';
import { dense, diagonal, identity, kron, type Matrix, product } from './matrix.js';

/** A weight [out, in/groups, kh, kw] as a matrix over patches. */
function patchMatrix(s: Solver, weight: Value): Matrix {
  const [out] = weight.type.shape as [number];
  return dense(s.b.reshape(weight, [out, sizeOf(weight.type.shape) / out]));
}

/**
 * The form of a convolution along its channels, axis 1. A map on its input side is multiplied into the weight if nothing was shifted
 * or nothing is padded; grouped convolutions take a diagonal only.
 */
export function convForm(s: Solver, v: ValueOf<'conv2d'>, axis: number): Form | Obstacle {
  if (axis !== 1) return obstacle(v, 'a convolution mixes this axis');
  const [u, weight, bias] = v.inputs as [Value, Value, Value | undefined];
  const [, , kh, kw] = weight.type.shape as [number, number, number, number];
  const { stride, padding, groups } = v.attrs;
  const padded = padding.some((p) => p !== 0);
  const pointwise = kh === 1 && kw === 1 && stride[0] === 1 && stride[1] === 1 && !padded && groups === 1;
  const m = patchMatrix(s, weight);
  if (pointwise) return linearOver(s, u, m, bias, s.isBase(weight), 1);

  const base = s.isBase(weight);
  let f = s.form(u, 1);
  if (isObstacle(f)) return f;
  const reason = whyNot(s, f, base, padded, groups);
  if (reason) f = s.stop(u, 1, reason);
  if (isObstacle(f)) return f;
  const patches: Patches = { attrs: v.attrs, kernel: [kh, kw] };
  const terms = f.terms.map(
    (t): Term => ({ x: t.x, patches, m: intoPatches(s, m, weight, t.m, groups), base: t.base || base }),
  );
  const parts = [f.c ? convolveShift(s, weight, f.c, groups) : undefined, bias].filter((x) => x !== undefined);
  if (parts.length === 0) return { terms };
  return { terms, c: { kind: 'channel', value: parts.reduce((p, q) => s.b.add(p, q)) } };
}

function whyNot(s: Solver, f: Form, base: boolean, padded: boolean, groups: number): string | undefined {
  if (f.terms.some((t) => t.patches)) return 'the product of two convolutions is a larger one';
  if (f.c && padded) return 'the convolution pads with zeros, and a shift must not reach the padding';
  if (f.c && f.c.kind === 'full') return 'a shift that varies over the image is no bias';
  if (groups > 1 && f.terms.some((t) => t.m.kind !== 'identity' && t.m.kind !== 'diagonal')) {
    return 'a grouped convolution takes a scale for each channel only';
  }
  if (!s.compose && base && f.terms.some((t) => t.base)) return 'the layers of the model stay apart';
  return undefined;
}

/** W over patches of (M x): W · (M (x) I). */
function intoPatches(s: Solver, w: Matrix, weight: Value, m: Matrix, groups: number): Matrix {
  if (m.kind === 'identity') return w;
  const [out, width, kh, kw] = weight.type.shape as [number, number, number, number];
  const area = kh * kw;
  if (m.kind === 'diagonal') {
    if (m.scale.type.shape.length === 0) return product(s.b, diagonal(out, m.scale), w);
    const each = s.b.mul(
      s.b.reshape(weight, [groups, out / groups, width, area]),
      s.b.reshape(m.scale, [groups, 1, width, 1]),
    );
    return dense(s.b.reshape(each, [out, width * area]));
  }
  return product(s.b, w, kron(m, identity(area)));
}

/** A constant image convolved without padding: each output channel gets the sum of its weights times the channels' constants. */
function convolveShift(s: Solver, weight: Value, c: Shift, groups: number): Value {
  const [out, width, kh, kw] = weight.type.shape as [number, number, number, number];
  const summed = s.b.sum(s.b.reshape(weight, [groups, out / groups, width, kh * kw]), [3]);
  return s.b.reshape(s.b.sum(s.b.mul(summed, s.b.reshape(c.value, [groups, 1, width])), [2]), [out]);
}
