/** Small helpers for writing WGSL text. */

/** The most negative f32: below every score, and exp(SMALLEST - score) is 0 without an infinity in between. */
export const SMALLEST = '-3.4028234e38';

export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

export function indent(depth: number, lines: readonly string[]): string {
  return lines.map((line) => '  '.repeat(depth) + line).join('\n');
}

/** An expression as a factor of a product. */
export function factor(code: string): string {
  return code.includes(' ') ? `(${code})` : code;
}

/** `name + amount`, or just the name. */
export function plus(name: string, amount: number): string {
  return amount === 0 ? name : `${name} + ${amount}u`;
}

/** A number as an f32 literal. @throws RangeError if it is not finite. */
export function f32(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`${value} has no WGSL literal`);
  const text = String(Math.fround(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}
