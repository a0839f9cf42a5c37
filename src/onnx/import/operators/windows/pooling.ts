/** Pools: axis after axis the largest or the sum of what stands under a window. */
import type { OnnxNode, Rule, Rules } from '../../rule.js';
import { isFloat, number, product, range, rankOf, reshaped, sizes, transposed } from '../text.js';
import { type Window, windowOf } from './window.js';

/** Its arguments as the functions of the library take them: a window that goes beyond the padding finds more of it. */
function windowText(n: OnnxNode, w: Window): string {
  const reach = w.kernel.map((k, i) => (k - 1) * w.dilation[i]! + 1);
  const size = n.in(0).type.shape.slice(2);
  const high = w.out.map((o, i) => Math.max(0, (o - 1) * w.stride[i]! + reach[i]! - size[i]! - w.low[i]!));
  return `out: ${sizes(w.out)}, kernel: ${sizes(w.kernel)}, stride: ${sizes(w.stride)}, dilation: ${sizes(w.dilation)}, low: ${sizes(w.low)}, high: ${sizes(high)}`;
}

const poolWindow = (n: OnnxNode): Window => windowOf(n, n.in(0).type.shape.slice(2), n.ints('kernel_shape'));

const maxPool: Rule = (n) => {
  const x = n.in(0);
  const { shape } = x.type;
  const text = windowText(n, poolWindow(n));
  const least = isFloat(x.onnx) ? '-3.4028234663852886e38' : '-2147483648';
  const values = `onnx_max_pool(${x.text}, ${text}, least: ${least})`;
  if (!n.wanted[1]) return values;
  // Places are those of the whole tensor, row by row, or column by column.
  const byColumn = n.int('storage_order', 0) === 1;
  const order = [0, 1, ...range(shape.length - 2, 2).reverse()];
  const counted = `arange(${sizes([product(shape)]).slice(1, -1)})`;
  const places = byColumn
    ? transposed(`reshape(${counted}, ${sizes(order.map((i) => shape[i]!))})`, order)
    : `reshape(${counted}, ${sizes(shape)})`;
  return [values, `onnx_max_pool_places(${x.text}, ${places}, ${text}, least: ${least})`];
};

/** How many elements each window has on an axis: those of the tensor, or with those of the padding that was said. */
function counts(n: OnnxNode, w: Window, axis: number): number[] {
  const size = n.in(0).type.shape[axis + 2]!;
  const padded = n.int('count_include_pad', 0) === 1;
  const [from, to] = padded ? [-w.low[axis]!, size + w.high[axis]!] : [0, size];
  return range(w.out[axis]!).map((o) => {
    const start = o * w.stride[axis]! - w.low[axis]!;
    return range(w.kernel[axis]!).filter(
      (k) => start + k * w.dilation[axis]! >= from && start + k * w.dilation[axis]! < to,
    ).length;
  });
}

const averagePool: Rule = (n) => {
  const w = poolWindow(n);
  const shares = w.out.map((_, axis) => counts(n, w, axis));
  const sum = `onnx_sum_pool(${n.in(0).text}, ${windowText(n, w)})`;
  if (shares.every((list) => list.every((c) => c === list[0])))
    return `${sum} / ${product(shares.map((list) => list[0]!))}`;
  const rank = rankOf(n.in(0));
  const tables = shares.map(
    (list, axis) =>
      `reshape(table(i < ${list.length}: [${list.join(', ')}][i]), ${sizes(range(rank).map((a) => (a === axis + 2 ? list.length : 1)))})`,
  );
  return `${sum} / cast(${tables.join(' * ')}, f32)`;
};

const lpPool: Rule = (n) => {
  const p = n.int('p', 2);
  const w = poolWindow(n);
  return `onnx_root(onnx_sum_pool(onnx_power(${n.in(0).text}, ${p}), ${windowText(n, w)}), ${p})`;
};

const everywhere =
  (work: (n: OnnxNode, x: string, axes: string) => string): Rule =>
  (n) =>
    work(n, n.in(0).text, `axis: [${range(rankOf(n.in(0)) - 2, 2).join(', ')}], keep: true`);

/** Each value at the place that it had, zeros elsewhere. */
const maxUnpool: Rule = (n) => {
  const [x, at] = [n.in(0), n.in(1)];
  const { shape } = x.type;
  const kernel = n.ints('kernel_shape');
  const stride = n.ints(
    'strides',
    kernel.map(() => 1),
  );
  const pads = n.ints(
    'pads',
    range(2 * kernel.length).map(() => 0),
  );
  const own = kernel.map((k, i) => (shape[i + 2]! - 1) * stride[i]! - pads[i]! - pads[i + kernel.length]! + k);
  const was = [...shape.slice(0, 2), ...own];
  const to = n.has(2) ? n.whole(2) : was;
  const count = product(shape);
  // Places count in the tensor that was pooled; what is larger has its rows elsewhere.
  const flat = (text: string) => reshaped(text, shape, [count]);
  const places = `onnx_places_in(${flat(at.text)}, ${sizes(was)}, ${sizes(to)})`;
  return `reshape(scatter_add(${flat(x.text)}, ${to.every((d, i) => d === was[i]) ? flat(at.text) : places}, axis: 0, size: ${sizes([product(to)]).slice(1, -1)}), ${sizes(to)})`;
};

export const POOLS: Rules = {
  MaxPool: maxPool,
  AveragePool: averagePool,
  LpPool: lpPool,
  GlobalMaxPool: everywhere((_, x, axes) => `max(${x}, ${axes})`),
  GlobalAveragePool: everywhere((_, x, axes) => `mean(${x}, ${axes})`),
  GlobalLpPool: everywhere((n, x, axes) => {
    const p = number(n, n.int('p', 2));
    return `onnx_root(sum(onnx_power(${x}, ${p}), ${axes}), ${p})`;
  }),
  MaxUnpool: maxUnpool,
};
