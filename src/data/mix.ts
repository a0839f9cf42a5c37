/**
 * Mixup (Zhang, Cisse, Dauphin, Lopez-Paz, 2018) and CutMix (Yun et al., 2019) of a batch with itself in reverse, as timm's `Mixup` in its mode `batch`.
 */
import type { Draws } from './draws.js';
import type { Augment } from './types.js';

export function isMixed({ mixup = 0, cutmix = 0 }: Augment): boolean {
  return mixup > 0 || cutmix > 0;
}

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** What is done to a batch: the share of each picture that stays, and, of a box, where the others' pixels come. */
export interface Mixture {
  readonly share: number;
  readonly box?: Box;
}

/**
 * The box about (x, y) that leaves `share` of a picture as it is, cut off at the border, and the share that it then leaves.
 */
export function boxAt(x: number, y: number, share: number, width: number, height: number): Required<Mixture> {
  const side = Math.sqrt(1 - share);
  const [h, w] = [Math.trunc(height * side), Math.trunc(width * side)];
  const within = (at: number, most: number) => Math.min(most, Math.max(0, at));
  const box = {
    top: within(y - Math.floor(h / 2), height),
    bottom: within(y + Math.ceil(h / 2), height),
    left: within(x - Math.floor(w / 2), width),
    right: within(x + Math.ceil(w / 2), width),
  };
  return { share: 1 - ((box.bottom - box.top) * (box.right - box.left)) / (width * height), box };
}

export function drawMixture(augment: Augment, width: number, height: number, draws: Draws): Mixture {
  const { mixup = 0, cutmix = 0, cutmixShare = 0.5, mixShare = 1 } = augment;
  if (!draws.chance(mixShare)) return { share: 1 };
  const boxed = cutmix > 0 && (mixup === 0 || draws.chance(cutmixShare));
  const share = draws.beta(boxed ? cutmix : mixup);
  if (!boxed) return { share };
  const [y, x] = [draws.whole(height), draws.whole(width)];
  return boxAt(x, y, share, width, height);
}

/** Each row of [n, ...] with its counterpart in reverse: `share` of its own, the rest of the other's. f32, in place. */
export function blendRows(values: Float32Array, n: number, share: number): void {
  const row = values.length / n;
  const [own, other] = [Math.fround(share), Math.fround(1 - share)];
  const mixed = (a: number, b: number) => Math.fround(Math.fround(a * own) + Math.fround(b * other));
  for (let i = 0; i < Math.ceil(n / 2); i++) {
    const [a, b] = [i * row, (n - 1 - i) * row];
    for (let k = 0; k < row; k++) {
      const [x, y] = [values[a + k]!, values[b + k]!];
      values[a + k] = mixed(x, y);
      values[b + k] = mixed(y, x);
    }
  }
}

/** A box of each picture of [n, channels, height, width] changes places with that of its counterpart in reverse. In place. */
export function swapBoxes(
  values: Float32Array,
  [n, channels, height, width]: readonly [number, number, number, number],
  { left, right, top, bottom }: Box,
): void {
  const size = channels * height * width;
  for (let i = 0; i < Math.floor(n / 2); i++)
    for (let c = 0; c < channels; c++)
      for (let y = top; y < bottom; y++)
        for (let x = left; x < right; x++) {
          const at = (c * height + y) * width + x;
          const [a, b] = [i * size + at, (n - 1 - i) * size + at];
          [values[a], values[b]] = [values[b]!, values[a]!];
        }
}
