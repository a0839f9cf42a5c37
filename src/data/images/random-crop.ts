/** A random part of a picture, by area and shape: torchvision's RandomResizedCrop. */
import type { Box } from '../../../runtime/images/resample.js';
import type { Draws } from '../draws.js';

/** Python's `round`: halves to the even number. */
export function rounded(x: number): number {
  const down = Math.floor(x);
  return x - down === 0.5 ? down + (down % 2) : Math.round(x);
}

/**
 * @param scale least and greatest share of the area
 * @param ratio least and greatest width over height; between them even on a logarithmic scale
 * @returns after ten parts that do not fit, the largest one in the middle whose shape is within `ratio`
 */
export function randomPart(
  width: number,
  height: number,
  scale: readonly [number, number],
  ratio: readonly [number, number],
  draws: Draws,
): Box {
  for (let attempt = 0; attempt < 10; attempt++) {
    const area = width * height * draws.uniform(scale[0], scale[1]);
    const shape = Math.exp(draws.uniform(Math.log(ratio[0]), Math.log(ratio[1])));
    const [w, h] = [rounded(Math.sqrt(area * shape)), rounded(Math.sqrt(area / shape))];
    if (w < 1 || h < 1 || w > width || h > height) continue;
    return { y: draws.whole(height - h + 1), x: draws.whole(width - w + 1), width: w, height: h };
  }
  const now = width / height;
  const w = now > ratio[1] ? Math.max(1, rounded(height * ratio[1])) : width;
  const h = now < ratio[0] ? Math.max(1, rounded(width / ratio[0])) : height;
  return { x: Math.floor((width - w) / 2), y: Math.floor((height - h) / 2), width: w, height: h };
}
