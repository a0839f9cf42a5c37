/** How a window goes over places: what kernels, strides, dilations and paddings of convolutions and pools come to, axis by axis. */
import type { OnnxNode } from '../../rule.js';
import { range } from '../text.js';

export interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilation: readonly number[];
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** How many places the window has. */
  readonly out: readonly number[];
}

export function perAxis(n: OnnxNode, attribute: string, rank: number): readonly number[] {
  const list = n.ints(
    attribute,
    range(rank).map(() => 1),
  );
  return list.length === rank ? list : n.fail(`gives ${list.length} \`${attribute}\` for ${rank} axes`);
}

/** `size`: of the axes that the window goes over. */
export function windowOf(n: OnnxNode, size: readonly number[], kernel: readonly number[]): Window {
  const rank = size.length;
  if (kernel.length !== rank) return n.fail(`has a kernel of ${kernel.length} axes for ${rank}`);
  const stride = perAxis(n, 'strides', rank);
  const dilation = perAxis(n, 'dilations', rank);
  const reach = kernel.map((k, i) => (k - 1) * dilation[i]! + 1);
  const auto = n.text('auto_pad', 'NOTSET');
  const pads = n.ints(
    'pads',
    range(2 * rank).map(() => 0),
  );
  if (pads.length !== 2 * rank) return n.fail(`gives ${pads.length} paddings for ${rank} axes`);
  const up = n.int('ceil_mode', 0) === 1;
  const low: number[] = [];
  const high: number[] = [];
  const out: number[] = [];
  size.forEach((d, i) => {
    if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
      const count = Math.ceil(d / stride[i]!);
      const more = Math.max(0, (count - 1) * stride[i]! + reach[i]! - d);
      low.push(auto === 'SAME_UPPER' ? Math.floor(more / 2) : Math.ceil(more / 2));
      high.push(more - low[i]!);
      out.push(count);
      return;
    }
    if (auto !== 'NOTSET' && auto !== 'VALID') n.fail(`pads by \`${auto}\``);
    low.push(auto === 'VALID' ? 0 : pads[i]!);
    high.push(auto === 'VALID' ? 0 : pads[rank + i]!);
    const steps = (d + low[i]! + high[i]! - reach[i]!) / stride[i]!;
    let count = (up ? Math.ceil(steps) : Math.floor(steps)) + 1;
    // A window that would begin in the padding behind has nothing to take.
    if (up && (count - 1) * stride[i]! >= d + low[i]!) count--;
    if (count < 1) n.fail(`has a window of ${reach[i]} on an axis of ${d}`);
    out.push(count);
  });
  return { kernel, stride, dilation, low, high, out };
}
