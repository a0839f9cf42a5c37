/**
 * From the mask decoder's logits to the picture's pixels, as Segment Anything does it: from 256 x 256 to the encoder's square, the padding cut off, and
 * to the picture's size; each step bilinear between pixels' centres. All of that is linear and goes along one axis after the other, so the steps
 * are put together into one: a few weights for each row and column of the picture.
 */

/** Sides of the square that the encoder takes, and of the one that the decoder gives. */
export const ENCODED = 1024;
export const DECODED = 256;

/** Along one axis, what each output is a sum of: `count` neighbours from `first` on, with their weights. */
interface Weights {
  readonly count: number;
  readonly first: Int32Array;
  readonly weights: Float64Array;
}

/** A picture's size as the encoder sees it: the longer side is 1024, halves are rounded up to at least one pixel, and the rest of the square is padding. */
export function encodedSize(width: number, height: number): { readonly width: number; readonly height: number } {
  const scale = ENCODED / Math.max(width, height);
  const side = (pixels: number) => Math.max(1, Math.floor(pixels * scale + 0.5));
  return { width: side(width), height: side(height) };
}

/** Bilinear, `output` values of `input` ones; outside, the border's values go on. */
function bilinear(input: number, output: number): Weights {
  const count = Math.min(2, input);
  const first = new Int32Array(output);
  const weights = new Float64Array(output * count);
  for (let i = 0; i < output; i++) {
    const at = Math.min(Math.max(((i + 0.5) * input) / output - 0.5, 0), input - 1);
    const from = Math.min(Math.floor(at), input - count);
    first[i] = from;
    weights[i * count] = count === 1 ? 1 : 1 - (at - from);
    if (count === 2) weights[i * count + 1] = at - from;
  }
  return { count, first, weights };
}

/** One after another: what each of `after`'s outputs is of `before`'s inputs, the decoder's rows or columns. */
function composed(before: Weights, after: Weights): Weights {
  const { first } = after;
  const span = (at: number) => before.first[at + after.count - 1]! + before.count - before.first[at]!;
  const count = first.reduce((most, at) => Math.max(most, span(at)), 0);
  // The last ones begin earlier than they must, so that all read `count` values that are there.
  const starts = first.map((at) => Math.min(before.first[at]!, DECODED - count));
  const weights = new Float64Array(first.length * count);
  for (const [i, at] of first.entries())
    for (let a = 0; a < after.count; a++)
      for (let b = 0; b < before.count; b++)
        weights[i * count + before.first[at + a]! - starts[i]! + b]! +=
          after.weights[i * after.count + a]! * before.weights[(at + a) * before.count + b]!;
  return { count, first: starts, weights };
}

/**
 * For pictures of one size: what takes logits [256, 256] of the decoder to the logits of its pixels, [height, width], row by row. What it gives is
 * written over by its next call.
 */
export function toPicture(width: number, height: number): (logits: Float32Array) => Float32Array {
  const encoded = encodedSize(width, height);
  const up = bilinear(DECODED, ENCODED);
  const across = composed(up, bilinear(encoded.width, width));
  const down = composed(up, bilinear(encoded.height, height));
  const rows = new Float64Array(DECODED * width);
  const result = new Float32Array(width * height);
  return (logits) => {
    for (let y = 0; y < DECODED; y++)
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < across.count; k++)
          sum += across.weights[x * across.count + k]! * logits[y * DECODED + across.first[x]! + k]!;
        rows[y * width + x] = sum;
      }
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        let sum = 0;
        for (let k = 0; k < down.count; k++)
          sum += down.weights[y * down.count + k]! * rows[(down.first[y]! + k) * width + x]!;
        result[y * width + x] = sum;
      }
    return result;
  };
}
