/**
 * Preprocessing as a part of an ONNX graph: a picture of 8 bits and one size becomes the model's input, by the plan that the runtime gives the GPU and in its
 * arithmetic. A resize is two products with whole numbers of 22 fractional bits, rounded to 8 bits after each, as Pillow has it; ONNX's own
 * `Resize` computes something else.
 */
import { colourOf } from '../../../runtime/images/colour/rule.js';
import { type Box, type Plan, planSteps, type ResizeStage, taps } from '../../../runtime/images/resample.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import { type Emitter, ints } from '../../onnx/export/emitter.js';
import type { ReplacedInput } from '../../onnx/export/graph.js';

/** What pictures a graph is to take. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  /** Colors last ([b, height, width, 3], the default) or first ([b, 3, height, width]). */
  readonly layout?: 'nhwc' | 'nchw';
}

const cannot = (problem: string): EspalierError => new EspalierError([diagnostic('ESP1241', { problem })]);

/** @throws EspalierError ESP1241 where the steps do not make the model's input of such a picture, or there are none */
export function pictureInput(
  { inputs, preprocess, name }: Pick<Elaborated, 'inputs' | 'preprocess' | 'name'>,
  picture: Picture,
): ReplacedInput {
  const [input, ...others] = inputs;
  if (!preprocess) throw cannot(`${name} has no \`preprocess\``);
  if (!input || others.length > 0 || input.type.dtype !== 'f32' || input.type.shape.length !== 4) {
    throw cannot(`${name} takes something else than one image`);
  }
  const [, channels, height, width] = input.type.shape as [number, number, number, number];
  if (colourOf(preprocess) === 'managed')
    throw cannot(
      'a graph is given pixels without their color profile, by which `colour(managed)` converts them: leave it out, and convert pictures before the graph',
    );
  const plan = planOf(preprocess, picture);
  if (plan.width !== width || plan.height !== height) {
    throw cannot(
      `a picture of ${picture.height}x${picture.width} becomes ${plan.height}x${plan.width}, and the model takes ${height}x${width}`,
    );
  }
  if (channels === 1 && !plan.gray && !plan.stages.some((s) => s.gray)) {
    throw cannot('the picture has colors, and the model takes one channel: its `preprocess` lacks `grayscale`');
  }
  const last = picture.layout !== 'nchw';
  const size = [picture.height, picture.width];
  return {
    input: input.name,
    as: { name: input.name, dtype: 'uint8', shape: ['b', ...(last ? [...size, 3] : [3, ...size])] },
    write(e, given) {
      const first = last ? e.node('Transpose', [given], { perm: ints([0, 3, 1, 2]) }) : given;
      return new Steps(e, e.cast(first, 'i32'), picture).all(plan, channels);
    },
  };
}

function planOf(steps: NonNullable<Elaborated['preprocess']>, { height, width }: Picture): Plan {
  try {
    return planSteps(steps, width, height);
  } catch (error) {
    throw cannot((error as Error).message);
  }
}

/** Half of the last place that a product of 22 fractional bits is rounded to, and the place. */
const HALF = 1 << 21;
const ONE = 1 << 22;

class Steps {
  /** @param x int32 [b, channels, height, width], from 0 to 255 */
  constructor(
    private readonly e: Emitter,
    private x: string,
    private size: { readonly height: number; readonly width: number },
  ) {}

  all(plan: Plan, channels: number): string {
    for (const stage of plan.stages) {
      if (stage.gray) this.luma();
      this.resize(stage);
    }
    if (plan.gray) this.luma();
    this.cut(plan.window);
    const { e } = this;
    const share = e.node('Div', [e.cast(this.x, 'f32'), e.scalar('f32', 255)]);
    const each = (numbers: readonly number[]): string => {
      const all = Array.from({ length: channels }, (_, c) => numbers[c] ?? numbers[0]!);
      return e.constant('float', [channels, 1, 1], all);
    };
    // A gray picture goes into every channel.
    const normal = e.node('Div', [e.node('Sub', [share, each(plan.mean)]), each(plan.std)]);
    const [below, right] = [plan.height - plan.window.height, plan.width - plan.window.width];
    if (below === 0 && right === 0) return normal;
    return e.node('Pad', [normal, e.list([0, 0, 0, 0, 0, 0, below, right]), e.scalar('f32', 0)]);
  }

  /** ITU-R 601, as Pillow's `L`. */
  private luma(): void {
    const { e } = this;
    const weighted = e.node('Mul', [this.x, e.constant('int32', [3, 1, 1], [19595, 38470, 7471])]);
    const sum = e.node('Add', [e.reduce('ReduceSum', weighted, [1], true, 13), e.scalar('i32', 1 << 15)]);
    this.x = e.node('Div', [sum, e.scalar('i32', 1 << 16)]);
  }

  /** A part of the picture, which may reach beyond it: zeros. */
  private cut(box: Box): void {
    const { e, size } = this;
    const axes = [
      { axis: 2, at: box.y, length: box.height, room: size.height },
      { axis: 3, at: box.x, length: box.width, room: size.width },
    ];
    const start = axes.map(({ at }) => Math.max(0, at));
    const end = axes.map(({ at, length, room }) => Math.min(room, at + length));
    if (axes.some(({ room }, i) => start[i] !== 0 || end[i] !== room)) {
      this.x = e.node('Slice', [this.x, e.list(start), e.list(end), e.list([2, 3])]);
    }
    const low = axes.map(({ at }) => Math.max(0, -at));
    const high = axes.map(({ at, length, room }) => Math.max(0, at + length - room));
    if ([...low, ...high].some((n) => n > 0)) {
      this.x = e.node('Pad', [this.x, e.list([0, 0, ...low, 0, 0, ...high]), e.scalar('i32', 0)]);
    }
    this.size = box;
  }

  private resize({ from, width, height, filter, keep }: ResizeStage): void {
    const { e } = this;
    this.cut(from);
    const across = weights(from.width, width, filter, keep.x, keep.width);
    const down = weights(from.height, height, filter, keep.y, keep.height);
    this.x = this.rounded(
      e.node('MatMul', [this.x, e.constant('int32', [from.width, keep.width], transposed(across))]),
    );
    this.x = this.rounded(e.node('MatMul', [e.constant('int32', [keep.height, from.height], down.flat()), this.x]));
    this.size = keep;
  }

  /** A sum of 22 fractional bits as one of 8 bits. */
  private rounded(sum: string): string {
    const { e } = this;
    const above = e.node('Max', [e.node('Add', [sum, e.scalar('i32', HALF)]), e.scalar('i32', 0)]);
    return e.node('Min', [e.node('Div', [above, e.scalar('i32', ONE)]), e.scalar('i32', 255)]);
  }
}

/** For each pixel of the result, what each of the source counts there. */
function weights(
  input: number,
  output: number,
  filter: ResizeStage['filter'],
  first: number,
  count: number,
): number[][] {
  const { table, most } = taps(input, output, filter, first, count);
  return Array.from({ length: count }, (_, i) => {
    const row = new Array<number>(input).fill(0);
    const at = table[i * (most + 1)]!;
    for (let t = 0; t < most && at + t < input; t++) row[at + t] = table[i * (most + 1) + 1 + t]!;
    return row;
  });
}

const transposed = (rows: readonly (readonly number[])[]): number[] =>
  rows[0]!.flatMap((_, column) => rows.map((row) => row[column]!));
