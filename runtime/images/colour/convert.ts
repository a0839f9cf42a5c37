/**
 * Pixels by a color profile to sRGB, as LittleCMS does it for Pillow's `ImageCms.profileToProfile`: by the perceptual intent, with black point compensation
 * (which LittleCMS always does towards an sRGB of version 4), clipped to sRGB's gamut. In f64 without tables between, so a level at most from its 8 bits. Node
 * and pages run this same code, which is why it is here and not what sharp and browsers do: these pass pictures with broken profiles on as they are.
 */
import { ColourError } from '../../errors.js';
import { D50, type Profile, readProfile, type Space } from './icc.js';

export { ColourError };

/** From XYZ under D50 to linear sRGB: the inverse of the columns of LittleCMS' own profile (IEC 61966-2-1, adapted by Bradford), row by row. */
const TO_LINEAR = [
  3.13427431, -1.61727402, -0.4907348, -0.97879557, 1.9161616, 0.03345405, 0.07197855, -0.22898989, 1.40574837,
];
/** Entries of the table of sRGB's transfer, which is looked up by the square root, where it is nearly straight. */
const ENTRIES = 4096;

/**
 * Converts pixels in place. Alpha stays as it is; CMYK becomes opaque.
 * @param space what the picture is: `gray` and `rgb` in RGBA, with three alike values where it is gray; `cmyk` with 255 for full ink
 * Throws ColourError where the profile cannot be read or is for another kind of picture. A gray picture may have a profile of RGB.
 */
export function toSrgb(bytes: Uint8Array, space: Space, pixels: Uint8Array): void {
  const profile = readProfile(bytes);
  if (profile.space !== space && !(space === 'gray' && profile.space === 'rgb'))
    throw new ColourError(`its color profile is for ${NAMES[profile.space]}, and the picture is ${NAMES[space]}`);
  const encode = encoder();
  if (profile.space === 'gray') convertGray(profile, pixels, encode);
  else if (profile.matrix) convertByMatrix(profile, pixels, encode);
  else convertEach(profile, pixels, encode);
}

const NAMES: Readonly<Record<Space, string>> = { gray: 'gray', rgb: 'RGB', cmyk: 'CMYK' };

/** A linear value as a byte of sRGB. */
type Encode = (linear: number) => number;

function encoder(): Encode {
  const table = Uint8Array.from({ length: ENTRIES }, (_, i) => {
    const x = (i / (ENTRIES - 1)) ** 2;
    return Math.round(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055));
  });
  return (x) => (x <= 0 ? 0 : x >= 1 ? 255 : table[Math.round(Math.sqrt(x) * (ENTRIES - 1))]!);
}

/** XYZ -> linear sRGB with the profile's black at 0: scales and shifts of X, Y and Z, then the matrix, as rows of four numbers. */
function linearRows({ black }: Profile): Float64Array {
  const rows = new Float64Array(12);
  for (let r = 0; r < 3; r++)
    for (let k = 0; k < 3; k++) {
      const scale = D50[k]! / (D50[k]! - black[k]!);
      const m = TO_LINEAR[3 * r + k]!;
      rows[4 * r + k] = m * scale;
      rows[4 * r + 3]! += m * (D50[k]! - scale * D50[k]!);
    }
  return rows;
}

/** Writes one converted color. */
function writer(profile: Profile, encode: Encode) {
  const rows = linearRows(profile);
  const xyz = new Float64Array(3);
  return (device: ArrayLike<number>, pixels: Uint8Array, at: number): void => {
    profile.toXyz(device, xyz);
    for (let r = 0; r < 3; r++) {
      const row = 4 * r;
      pixels[at + r] = encode(
        rows[row]! * xyz[0]! + rows[row + 1]! * xyz[1]! + rows[row + 2]! * xyz[2]! + rows[row + 3]!,
      );
    }
  };
}

function convertGray(profile: Profile, pixels: Uint8Array, encode: Encode): void {
  const write = writer(profile, encode);
  const table = new Uint8Array(3 * 256);
  for (let v = 0; v < 256; v++) write([v / 255], table, 3 * v);
  for (let i = 0; i < pixels.length; i += 4) {
    const from = 3 * pixels[i]!;
    for (let c = 0; c < 3; c++) pixels[i + c] = table[from + c]!;
  }
}

/** Each channel adds to linear red, green and blue what one table says, so a photograph of 12 million pixels takes a fraction of a second. */
function convertByMatrix(profile: Profile, pixels: Uint8Array, encode: Encode): void {
  const { curves, columns } = profile.matrix!;
  const rows = linearRows(profile);
  const tables = curves.map((curve, c) => {
    const column = columns[c]!;
    const linear = [0, 1, 2].map((r) => [0, 1, 2].reduce((sum, k) => sum + rows[4 * r + k]! * column[k]!, 0));
    return Float64Array.from({ length: 3 * 256 }, (_, i) => curve(Math.floor(i / 3) / 255) * linear[i % 3]!);
  }) as [Float64Array, Float64Array, Float64Array];
  const [red, green, blue] = tables;
  for (let i = 0; i < pixels.length; i += 4) {
    const [r, g, b] = [3 * pixels[i]!, 3 * pixels[i + 1]!, 3 * pixels[i + 2]!];
    for (let c = 0; c < 3; c++) pixels[i + c] = encode(red[r + c]! + green[g + c]! + blue[b + c]! + rows[4 * c + 3]!);
  }
}

/** By tables: pixel after pixel, of which neighbours are often alike. */
function convertEach(profile: Profile, pixels: Uint8Array, encode: Encode): void {
  const write = writer(profile, encode);
  const cmyk = profile.space === 'cmyk';
  const device = new Float64Array(cmyk ? 4 : 3);
  const last = new Uint8Array(3);
  let before = -1;
  for (let i = 0; i < pixels.length; i += 4) {
    const [a, b, c, d] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!, cmyk ? pixels[i + 3]! : 0];
    const key = ((a * 256 + b) * 256 + c) * 256 + d;
    if (key !== before) {
      device[0] = a / 255;
      device[1] = b / 255;
      device[2] = c / 255;
      if (cmyk) device[3] = d / 255;
      write(device, last, 0);
      before = key;
    }
    for (let k = 0; k < 3; k++) pixels[i + k] = last[k]!;
    if (cmyk) pixels[i + 3] = 255;
  }
}
