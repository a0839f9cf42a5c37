/**
 * IEEE 754 binary16 in plain numbers: what f16 storage and files of halves are made of. Node 20 and older browsers have no
 * Float16Array.
 */

/** The largest finite half. */
export const HALF_MAX = 65504;

const scratch = new Float32Array(1);
const bitsOfScratch = new Uint32Array(scratch.buffer);

/**
 * Bits of the half nearest to `value`, ties to even. Values beyond the range become infinity, subnormal halves are kept.
 * The argument is taken as f32 first, which every caller's data already is.
 */
export function toHalf(value: number): number {
  scratch[0] = value;
  const bits = bitsOfScratch[0]!;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  // 65520 is half way between the largest half and the next power of two, and ties go to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Below 2^-14 halves are multiples of 2^-24: the rounding of an integer.
    const scaled = Math.abs(scratch[0]!) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && (floor & 1) === 1) ? floor + 1 : floor);
  }
  const rebased = magnitude - (112 << 23);
  const odd = (rebased >>> 13) & 1;
  return sign | ((rebased + 0xfff + odd) >>> 13);
}

/** The value of a half given by its bits; exact. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent ? sign * (1 + fraction / 1024) * 2 ** (exponent - 15) : sign * fraction * 2 ** -24;
}
