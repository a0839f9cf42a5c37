/** Numbers of a graph as the language spells them. */

/** A number, finite: as short as it can be for an f32 that reads back as the same, since every float of a program is one. */
export function numberText(x: number): string {
  if (Number.isSafeInteger(x)) return String(x);
  // What is beyond them all is left to the reader of the text to refuse.
  if (!Number.isFinite(Math.fround(x))) return String(x).replace('e+', 'e');
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(x.toPrecision(digits));
    if (Math.fround(short) === Math.fround(x)) return String(short).replace('e+', 'e');
  }
  return String(x).replace('e+', 'e');
}
