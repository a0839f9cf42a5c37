/**
 * Resizing: nearest is places of an axis, linear and cubic are a matrix of weights for each axis. Where that is what the language's own `resize`
 * does, it is that.
 */
import { isBatch } from '../../../../ir/batch.js';
import type { OnnxNode, Rule, Rules } from '../../rule.js';
import { axesOf, number, range, rankOf, sizes, transposed } from '../text.js';

type Mode = 'nearest' | 'linear' | 'cubic';

/** One axis: how long it was and becomes, the scale between, and the stretch that is cropped to. */
interface Axis {
  readonly axis: number;
  readonly from: number;
  readonly to: number;
  readonly scale: number;
  readonly roi: readonly [start: number, end: number];
}

interface Settings {
  readonly mode: Mode;
  readonly coordinates: string;
  readonly nearest: string;
  readonly cubic: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  /** What stands outside of a crop. */
  readonly beyond: number;
}

/** Where in the axis a place of the result lies. */
function sourceOf(
  n: OnnxNode,
  { coordinates }: Settings,
  { from, to, scale, roi: [start, end] }: Axis,
): (i: number) => number {
  switch (coordinates) {
    case 'half_pixel':
      return (i) => (i + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric': {
      const adjusted = to / (scale * from);
      const offset = (from / 2) * (1 - adjusted);
      return (i) => offset + (i + 0.5) / scale - 0.5;
    }
    case 'pytorch_half_pixel':
      return to > 1 ? (i) => (i + 0.5) / scale - 0.5 : () => 0;
    case 'align_corners':
      return to > 1 ? (i) => (i * (from - 1)) / (to - 1) : () => 0;
    case 'asymmetric':
      return (i) => i / scale;
    case 'tf_half_pixel_for_nn':
      return (i) => (i + 0.5) / scale;
    case 'tf_crop_and_resize':
      return to > 1
        ? (i) => start * (from - 1) + (i * (end - start) * (from - 1)) / (to - 1)
        : () => 0.5 * (start + end) * (from - 1);
    default:
      return n.fail(`has coordinates of \`${coordinates}\``);
  }
}

function nearestPlace(n: OnnxNode, mode: string, x: number): number {
  switch (mode) {
    case 'round_prefer_floor':
      return x === Math.floor(x) + 0.5 ? Math.floor(x) : Math.round(x);
    case 'round_prefer_ceil':
      return x === Math.floor(x) + 0.5 ? Math.ceil(x) : Math.round(x);
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    default:
      return n.fail(`rounds places by \`${mode}\``);
  }
}

const triangle = (x: number): number => Math.max(0, 1 - Math.abs(x));
const keys = (x: number, a: number): number => {
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
};

/** The weights of one row; what falls outside goes to the border, or is left out. */
function weights(s: Settings, { from, scale }: Axis, at: number): Float64Array {
  const row = new Float64Array(from);
  // Shrinking with antialiasing, the filter is as wide as what it takes together.
  const stretch = s.antialias ? Math.max(1, 1 / scale) : 1;
  const filter = s.mode === 'linear' ? triangle : (x: number) => keys(x, s.cubic);
  const support = (s.mode === 'linear' ? 1 : 2) * stretch;
  let total = 0;
  for (let j = Math.floor(at - support); j <= Math.ceil(at + support); j++) {
    const w = filter((j - at) / stretch);
    const outside = j < 0 || j >= from;
    if (w === 0 || (outside && s.excludeOutside)) continue;
    row[Math.min(from - 1, Math.max(0, j))]! += w;
    total += w;
  }
  return total === 0 ? row : row.map((w) => w / total);
}

function settingsOf(n: OnnxNode): Settings {
  const mode = n.text('mode', 'nearest');
  if (mode !== 'nearest' && mode !== 'linear' && mode !== 'cubic') return n.fail(`resizes by \`${mode}\``);
  const old = n.opset < 11;
  return {
    mode,
    coordinates: old ? 'asymmetric' : n.text('coordinate_transformation_mode', 'half_pixel'),
    nearest: old ? 'floor' : n.text('nearest_mode', 'round_prefer_floor'),
    cubic: n.float('cubic_coeff_a', -0.75),
    excludeOutside: n.int('exclude_outside', 0) === 1,
    antialias: n.int('antialias', 0) === 1,
    beyond: n.float('extrapolation_value', 0),
  };
}

/** Floats that an operand is known to hold. */
function floatsOf(n: OnnxNode, input: number): readonly number[] | undefined {
  if (!n.has(input)) return undefined;
  const { known } = n.in(input);
  if (!known) return n.fail('takes its sizes from what is not known before it runs');
  const list = Array.from(known.data, Number);
  return list.length > 0 ? list : undefined;
}

/** The axes that change. */
function axesOfNode(
  n: OnnxNode,
  input: { readonly scales: number; readonly sizes?: number; readonly roi?: number },
): Axis[] {
  const { shape } = n.in(0).type;
  const axes = n.hasAttribute('axes') ? axesOf(n, n.ints('axes'), shape.length) : range(shape.length);
  const scales = n.op === 'Upsample' && n.opset < 9 ? n.floats('scales') : floatsOf(n, input.scales);
  const said = input.sizes !== undefined && n.has(input.sizes) ? n.whole(input.sizes) : undefined;
  const roi = input.roi === undefined ? undefined : floatsOf(n, input.roi);
  const policy = n.text('keep_aspect_ratio_policy', 'stretch');
  const ratios = said ? axes.map((a, i) => said[i]! / shape[a]!) : scales;
  if (!ratios || ratios.length !== axes.length)
    return n.fail(`says neither sizes nor scales of its ${axes.length} axes`);
  const own = ratios.filter((_, i) => !isBatch(shape[axes[i]!]!));
  const kept = said && policy !== 'stretch' ? Math[policy === 'not_larger' ? 'min' : 'max'](...own) : undefined;
  return axes.flatMap((axis, i): Axis[] => {
    const from = shape[axis]!;
    const scale = kept ?? ratios[i]!;
    const crop: Axis['roi'] = roi ? [roi[i]!, roi[i + axes.length]!] : [0, 1];
    // Exporters write the batch that they saw as a number; its samples stay as many as they are.
    if (isBatch(from)) return scale === 1 || (said && axis === 0) ? [] : n.fail('resizes the batch');
    const to = kept === undefined ? (said?.[i] ?? Math.floor(from * scale)) : Math.floor(from * kept + 0.5);
    if (!(to >= 1)) return n.fail(`makes nothing of axis ${axis}`);
    const same = to === from && scale === 1 && crop[0] === 0 && crop[1] === 1;
    return same ? [] : [{ axis, from, to, scale, roi: crop }];
  });
}

/** Whether the language's `resize` means the same: it takes the scale from the sizes, and half-pixel centres. */
function built(s: Settings, axes: readonly Axis[], rank: number): 'nearest' | 'bilinear' | 'bicubic' | undefined {
  if (rank !== 4 || axes.some((a) => a.axis < 2) || s.antialias || axes.some((a) => a.to / a.from !== a.scale))
    return undefined;
  const half =
    s.coordinates === 'half_pixel' || (s.coordinates === 'pytorch_half_pixel' && axes.every((a) => a.to > 1));
  if (s.mode === 'nearest') return s.coordinates === 'asymmetric' && s.nearest === 'floor' ? 'nearest' : undefined;
  if (!half) return undefined;
  if (s.mode === 'linear') return s.excludeOutside ? undefined : 'bilinear';
  return s.cubic === -0.75 && !s.excludeOutside ? 'bicubic' : undefined;
}

const resize =
  (input: Parameters<typeof axesOfNode>[1]): Rule =>
  (n) => {
    const x = n.in(0);
    const s = settingsOf(n);
    const axes = axesOfNode(n, input);
    if (axes.length === 0) return x.text;
    const rank = rankOf(x);
    const own = x.type.dtype === 'f32' ? built(s, axes, rank) : undefined;
    if (own) {
      const to = [2, 3].map((i) => axes.find((a) => a.axis === i)?.to ?? x.type.shape[i]!);
      return `resize(${x.text}, ${sizes(to)}${own === 'bilinear' ? '' : `, mode: ${own}`})`;
    }
    let text = s.mode === 'nearest' || x.type.dtype === 'f32' ? x.text : `cast(${x.text}, f32)`;
    const cropped = s.coordinates === 'tf_crop_and_resize';
    let inside: string | undefined;
    for (const a of axes) {
      const source = sourceOf(n, s, a);
      const places = range(a.to).map(source);
      if (s.mode === 'nearest') {
        const data = places.map((p) => Math.min(a.from - 1, Math.max(0, nearestPlace(n, s.nearest, p))));
        text = `gather(${text}, ${n.constant({ dtype: 'int64', shape: [a.to], data })}, axis: ${a.axis})`;
      } else {
        const data = new Float64Array(a.to * a.from);
        places.forEach((p, i) => {
          data.set(
            weights(s, a, s.mode === 'linear' && !s.antialias ? Math.min(a.from - 1, Math.max(0, p)) : p),
            i * a.from,
          );
        });
        text = times(text, n.constant({ dtype: 'float', shape: [a.to, a.from], data }), a.axis, rank);
      }
      if (!cropped || places.every((p) => p >= 0 && p <= a.from - 1)) continue;
      const held = n.constant({
        dtype: 'bool',
        shape: range(rank).map((i) => (i === a.axis ? a.to : 1)),
        data: places.map((p) => (p >= 0 && p <= a.from - 1 ? 1 : 0)),
      });
      inside = inside === undefined ? held : `(${inside} and ${held})`;
    }
    if (inside !== undefined) text = `where(${inside}, ${text}, ${number(n, s.beyond)})`;
    return x.type.dtype === 'f32' || s.mode === 'nearest' ? text : `cast(${text}, ${x.type.dtype})`;
  };

/** A matrix [to, from] along an axis. */
function times(text: string, matrix: string, axis: number, rank: number): string {
  if (axis === rank - 1) return `(${text} @ ${matrix}.T)`;
  if (axis === rank - 2) return `(${matrix} @ ${text})`;
  const perm = [...range(rank).filter((i) => i !== axis), axis];
  const back = range(rank).map((i) => perm.indexOf(i));
  return transposed(`(${transposed(text, perm)} @ ${matrix}.T)`, back);
}

export const RESIZES: Rules = {
  Resize: (n) => (n.opset < 11 ? resize({ scales: 1 })(n) : resize({ roi: 1, scales: 2, sizes: 3 })(n)),
  Upsample: resize({ scales: 1 }),
};
