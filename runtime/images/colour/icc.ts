/**
 * ICC profiles of pictures, as functions from a device's numbers to XYZ under D50 (ICC.1:2022, and version 2). A profile is read whole and strictly before
 * anything is converted by it: what is damaged, or is computed in a way that is not known here, is an error, and never a picture that is passed through.
 */
import { ColourError } from '../../errors.js';
import { asciiAt } from '../containers.js';
import { type Clut, type Curve, clutOf, curveAt, listed, type Numbers } from './curves.js';

export type Space = 'gray' | 'rgb' | 'cmyk';

/** From numbers of a device in [0, 1] to X, Y, Z with the white of D50 at Y = 1; `xyz` is written. */
export type ToXyz = (device: Numbers, xyz: Float64Array) => void;

export interface Profile {
  readonly space: Space;
  /** By the perceptual intent. */
  readonly toXyz: ToXyz;
  /** Of a profile that is three curves and a matrix, these: columns are the XYZ of red, green and blue. */
  readonly matrix?: { readonly curves: readonly Curve[]; readonly columns: readonly Numbers[] };
  /** XYZ of the darkest color that it gives. */
  readonly black: Numbers;
}

/** The white of the profile connection space. */
export const D50: Numbers = [0.9642, 1, 0.8249];

const SPACES: Readonly<Record<string, readonly [Space, channels: number]>> = {
  GRAY: ['gray', 1],
  'RGB ': ['rgb', 3],
  CMYK: ['cmyk', 4],
};
const CLASSES = ['scnr', 'mntr', 'prtr', 'spac'];
/** Largest value of an XYZ encoded in 16 bits. */
const XYZ_RANGE = 1 + 32767 / 32768;
/** What version 4 takes for black of the perceptual intent. */
const PERCEPTUAL_BLACK: Numbers = [0.00336, 0.0034731, 0.00287];

const fail = (reason: string): never => {
  throw new ColourError(`its color profile ${reason}`);
};

interface Tags {
  readonly view: DataView;
  readonly space: Space;
  readonly channels: number;
  /** Values that lie between are CIELAB, else XYZ. */
  readonly lab: boolean;
  readonly find: (name: string) => DataView | undefined;
}

/** Throws ColourError for what is no profile of a picture, is damaged, or is computed in a way that is not known. */
export function readProfile(bytes: Uint8Array): Profile {
  const tags = tagsOf(bytes);
  const { view, space, channels } = tags;
  const version = view.getUint8(8);
  const perceptual = pipeline(tags, 'A2B0');
  const matrix = perceptual ? undefined : shaper(tags);
  const toXyz = perceptual ?? (matrix ? byMatrix(matrix) : fail('has neither tables nor curves and a matrix'));
  // Black is looked up as LittleCMS does, whose destination (sRGB, of version 4) always has its black point compensated.
  const asShaper = space !== 'cmyk' && shaper(tags) !== undefined;
  let black: Numbers;
  if (version >= 4 && perceptual && !asShaper) black = PERCEPTUAL_BLACK;
  else {
    const darkest = (version >= 4 && perceptual ? pipeline(tags, 'A2B1') : undefined) ?? toXyz;
    black = blackOf(darkest, Array<number>(channels).fill(space === 'cmyk' ? 1 : 0));
  }
  return { space, toXyz, black, ...(matrix && space === 'rgb' ? { matrix } : {}) };
}

function tagsOf(bytes: Uint8Array): Tags {
  if (bytes.byteLength < 132 || asciiAt(bytes, 36, 4) !== 'acsp') return fail('is no ICC profile');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(0);
  const version = view.getUint8(8);
  if (size > bytes.byteLength) return fail('is cut off');
  if (version < 2 || version > 4) return fail(`is of version ${version} (2 and 4 are read)`);
  const kind = asciiAt(bytes, 12, 4);
  if (!CLASSES.includes(kind)) return fail(`is of the class "${kind}", which is none of a picture`);
  const [color, connection] = [asciiAt(bytes, 16, 4), asciiAt(bytes, 20, 4)];
  const found = Object.hasOwn(SPACES, color) ? SPACES[color] : undefined;
  if (!found) return fail(`is for the color space "${color.trim()}" (RGB, gray and CMYK are read)`);
  if (connection !== 'XYZ ' && connection !== 'Lab ') return fail('leads to neither XYZ nor CIELAB');
  const count = view.getUint32(128);
  if (count > 1000 || 132 + 12 * count > size) return fail('is damaged: its table of tags does not fit');
  const places = new Map<string, readonly [number, number]>();
  for (let at = 132; at < 132 + 12 * count; at += 12) {
    const [start, length] = [view.getUint32(at + 4), view.getUint32(at + 8)];
    const name = asciiAt(bytes, at, 4);
    if (start + length > size || places.has(name)) return fail(`is damaged: its tag "${name}" does not fit`);
    places.set(name, [start, length]);
  }
  if (places.has('D2B0')) return fail('computes with floating point elements (D2B0), which are not read');
  const [space, channels] = found;
  return {
    view,
    space,
    channels,
    lab: connection === 'Lab ',
    find(name) {
      const place = places.get(name);
      return place && new DataView(bytes.buffer, bytes.byteOffset + place[0], place[1]);
    },
  };
}

/** What `work` makes of a tag; reading past its end is damage. */
function within<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return fail(`is damaged: its tag "${name}" is cut off`);
  }
}

const typeOf = (tag: DataView): string => String.fromCharCode(...[0, 1, 2, 3].map((at) => tag.getUint8(at)));

/** Curves and a matrix, of RGB and of gray, which has a curve along the white. */
function shaper({ find, space, lab }: Tags): { curves: Curve[]; columns: Numbers[]; lab: boolean } | undefined {
  const curveOf = (name: string): Curve | undefined => {
    const tag = find(name);
    return tag && within(name, () => curveAt(tag, 0, fail).curve);
  };
  if (space === 'gray') {
    const curve = curveOf('kTRC');
    return curve && { curves: [curve], columns: [D50], lab };
  }
  const colors = ['r', 'g', 'b'];
  const curves = colors.flatMap((c) => curveOf(`${c}TRC`) ?? []);
  const columns = colors.flatMap((c) => {
    const tag = find(`${c}XYZ`);
    if (!tag) return [];
    return within(`${c}XYZ`, () => {
      if (typeOf(tag) !== 'XYZ ') return fail(`is damaged: its tag "${c}XYZ" holds no XYZ`);
      return [[0, 1, 2].map((i) => tag.getInt32(8 + 4 * i) / 65536)];
    });
  });
  if (curves.length < 3 || columns.length < 3) return undefined;
  if (lab) return fail('has a matrix that leads to CIELAB');
  return { curves, columns, lab };
}

function byMatrix({ curves, columns, lab }: NonNullable<ReturnType<typeof shaper>>): ToXyz {
  return (device, xyz) => {
    // Gray of a profile that leads to CIELAB is L*.
    if (lab) return labToXyz(100 * curves[0]!(device[0]!), 0, 0, xyz);
    xyz.fill(0);
    for (const [i, curve] of curves.entries()) {
      const value = curve(device[i]!);
      for (let k = 0; k < 3; k++) xyz[k]! += value * columns[i]![k]!;
    }
  };
}

/** What a tag of tables computes; undefined where the profile has none of that name. */
function pipeline(tags: Tags, name: string): ToXyz | undefined {
  const tag = tags.find(name);
  if (!tag) return undefined;
  return within(name, () => {
    const type = typeOf(tag);
    if (type !== 'mft1' && type !== 'mft2' && type !== 'mAB ')
      return fail(`is damaged: its tag "${name}" is of the type "${type}"`);
    const [inputs, outputs] = [tag.getUint8(8), tag.getUint8(9)];
    if (inputs !== tags.channels || outputs !== 3)
      return fail(`is damaged: its tag "${name}" has ${inputs} inputs and ${outputs} outputs`);
    const stages = type === 'mAB ' ? stagesOf(tag, inputs) : tables(tag, inputs, type === 'mft1' ? 1 : 2);
    // In 16 bits version 2 has 100 at 0xff00 and 0 of a* and b* at 0x8000.
    const scale = type === 'mft2' ? 65535 / 65280 : 1;
    const middle = 255 * scale;
    const values = new Float64Array(Math.max(inputs, 3));
    return (device, xyz) => {
      for (let i = 0; i < inputs; i++) values[i] = device[i]!;
      for (const stage of stages) stage(values);
      if (tags.lab) labToXyz(100 * scale * values[0]!, middle * values[1]! - 128, middle * values[2]! - 128, xyz);
      else for (let k = 0; k < 3; k++) xyz[k] = values[k]! * XYZ_RANGE;
    };
  });
}

/** Changes values in place; a table may change how many there are. */
type Stage = (values: Float64Array) => void;

const curvesStage =
  (curves: readonly Curve[]): Stage =>
  (values) => {
    for (let i = 0; i < curves.length; i++) values[i] = curves[i]!(values[i]!);
  };

const clutStage =
  (clut: Clut): Stage =>
  (values) =>
    clut(values, values);

function matrixStage(rows: Numbers, offset: Numbers): Stage {
  return (values) => {
    const [a, b, c] = [values[0]!, values[1]!, values[2]!];
    for (let i = 0; i < 3; i++) values[i] = rows[3 * i]! * a + rows[3 * i + 1]! * b + rows[3 * i + 2]! * c + offset[i]!;
  };
}

/** `lut8Type` and `lut16Type`: a matrix where there are three inputs, tables, a grid, tables. */
function tables(tag: DataView, inputs: number, bytes: 1 | 2): Stage[] {
  const points = tag.getUint8(10);
  const [before, after] = bytes === 1 ? [256, 256] : [tag.getUint16(48), tag.getUint16(50)];
  if (before < 2 || after < 2 || points < 2) return fail('is damaged: one of its tables is too small');
  let at = bytes === 1 ? 48 : 52;
  const numbers = (count: number): Float64Array => {
    // Before memory is taken for them, since a few bytes can claim any number.
    if (at + count * bytes > tag.byteLength) throw new RangeError('cut off');
    const found = Float64Array.from({ length: count }, (_, i) =>
      bytes === 1 ? tag.getUint8(at + i) / 255 : tag.getUint16(at + 2 * i) / 65535,
    );
    at += count * bytes;
    return found;
  };
  const curves = (count: number, length: number): Stage =>
    curvesStage(Array.from({ length: count }, () => listed(numbers(length))));
  const input = curves(inputs, before);
  const grid = clutStage(clutOf(Array<number>(inputs).fill(points), numbers(points ** inputs * 3)));
  const output = curves(3, after);
  const rows = Array.from({ length: 9 }, (_, i) => tag.getInt32(12 + 4 * i) / 65536);
  return [...(inputs === 3 ? [matrixStage(rows, [0, 0, 0])] : []), input, grid, output];
}

/** `lutAToBType`: curves, a grid, curves, a matrix, curves, of which all but the last may be absent. */
function stagesOf(tag: DataView, inputs: number): Stage[] {
  const [b, matrix, m, grid, a] = [12, 16, 20, 24, 28].map((at) => tag.getUint32(at)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const curves = (from: number, count: number): Stage => {
    let at = from;
    return curvesStage(
      Array.from({ length: count }, () => {
        const { curve, bytes } = curveAt(tag, at, fail);
        at += Math.ceil(bytes / 4) * 4;
        return curve;
      }),
    );
  };
  const stages: Stage[] = [];
  if (a) stages.push(curves(a, inputs));
  if (grid) {
    const sides = Array.from({ length: inputs }, (_, i) => tag.getUint8(grid + i));
    const bytes = tag.getUint8(grid + 16);
    if (sides.some((n) => n < 2) || (bytes !== 1 && bytes !== 2)) return fail('is damaged: its grid is none');
    const count = sides.reduce((x, y) => x * y, 3);
    if (grid + 20 + count * bytes > tag.byteLength) throw new RangeError('cut off');
    const numbers = Float64Array.from({ length: count }, (_, i) =>
      bytes === 1 ? tag.getUint8(grid + 20 + i) / 255 : tag.getUint16(grid + 20 + 2 * i) / 65535,
    );
    stages.push(clutStage(clutOf(sides, numbers)));
  } else if (inputs !== 3) return fail('is damaged: it has no grid');
  if (m) stages.push(curves(m, 3));
  if (matrix) {
    const numbers = Array.from({ length: 12 }, (_, i) => tag.getInt32(matrix + 4 * i) / 65536);
    stages.push(matrixStage(numbers.slice(0, 9), numbers.slice(9)));
  }
  if (b) stages.push(curves(b, 3));
  return stages;
}

function labToXyz(lightness: number, a: number, b: number, xyz: Float64Array): void {
  const y = (lightness + 16) / 116;
  xyz[0] = D50[0]! * cubed(y + a / 500);
  xyz[1] = D50[1]! * cubed(y);
  xyz[2] = D50[2]! * cubed(y - b / 200);
}

const cubed = (t: number): number => (t <= 24 / 116 ? (108 / 841) * (t - 16 / 116) : t * t * t);

/** XYZ of a color, or of one as dark as L* = 50 where it is lighter. */
function blackOf(toXyz: ToXyz, darkest: Numbers): Numbers {
  const xyz = new Float64Array(3);
  toXyz(darkest, xyz);
  const [x, y, z] = [0, 1, 2].map((k) => {
    const t = xyz[k]! / D50[k]!;
    return t > (24 / 116) ** 3 ? Math.cbrt(t) : (841 / 108) * t + 16 / 116;
  }) as [number, number, number];
  if (116 * y - 16 > 50) labToXyz(50, 500 * (x - y), 200 * (y - z), xyz);
  return xyz;
}
