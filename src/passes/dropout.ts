/**
 * Dropout as it is computed in a training step: by random bits, of which each dropout has a stream. An element (or, of `drop_path`, a sample) is
 * dropped if its bits, as a fraction of 2^32, are below the rate; what is kept is divided by 1 - rate. The same key gives the same again, so what is
 * computed a second time to save memory drops the same elements.
 */
import { build } from '../ir/build.js';
import { constant, rewriteFunc, withInputs } from '../ir/graph.js';
import { type Drop, isDrop } from '../ir/ops/index.js';
import type { Func, Value } from '../ir/types.js';

/** @param key u32[2], another one for each step */
export function drawDropout(func: Func, key: Value): Func {
  return rewriteFunc(func, (v, inputs) => (isDrop(v) ? drawn(v, inputs[0]!, key) : withInputs(v, inputs)));
}

function drawn(v: Drop, x: Value, key: Value): Value {
  const { about } = v;
  const { rate, stream } = v.attrs;
  if (rate === 0) return x;
  const { shape } = x.type;
  const drawnShape = v.op === 'dropout' ? shape : shape.map((d, i) => (i === 0 ? d : 1));
  const bits = build.randomBits(key, drawnShape, stream, about);
  const dropped = build.lt(bits, constant(Math.min(Math.round(rate * 2 ** 32), 2 ** 32 - 1), [], 'u32', about), about);
  return build.select(dropped, 0, build.div(x, 1 - rate, about), about);
}
