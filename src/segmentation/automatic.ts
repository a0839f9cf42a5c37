/**
 * Masks of everything in a picture: a decoder is asked what there is at each point of a grid, and filters take from its answers the things. The
 * network is the caller's, so this runs wherever that does.
 */
import { InputError } from '../../runtime/errors.js';
import {
  type Candidate,
  type FilterOptions,
  filtersOf,
  judge,
  REASONS,
  type Reason,
  suppress,
  withoutParts,
} from './filters.js';
import { DECODED, toPicture } from './logits.js';
import { type Point, type Prompts, pointGrid, promptsOf } from './prompts.js';

/** What the decoder says of some prompts, one after another. */
export interface Decoded {
  /** [count, 256, 256] */
  readonly logits: Float32Array;
  /** [count] */
  readonly iou: ArrayLike<number>;
}

export interface AutomaticOptions extends FilterOptions {
  /** Points of the grid along each side of the picture. Default: 16. */
  readonly grid?: number;
  /** The most prompts that the decoder is asked at once. Default: 16. */
  readonly batch?: number;
  /** Called after each batch with how many prompts are done. */
  readonly onProgress?: (done: number, all: number) => void;
}

/** A thing in the picture, and the point that it was found by. */
export interface Thing extends Candidate {
  readonly point: Point;
}

export interface Things {
  /** From top to bottom in rows, from left to right in each: the order in which a person numbers them. */
  readonly things: readonly Thing[];
  readonly prompts: number;
  /** How many masks each filter took. */
  readonly dropped: Readonly<Record<Reason, number>>;
  /** Milliseconds that the decoder took, and all that came after it. */
  readonly times: { readonly decoder: number; readonly filters: number };
}

/** @throws InputError (ESP0708) for an option that is out of range: for who wants to know before anything is computed */
export function automaticOf(options: AutomaticOptions): Required<AutomaticOptions> {
  const { grid = 16, batch = 16, onProgress = () => {}, ...filters } = options;
  for (const [name, count] of Object.entries({ grid, batch }))
    if (!Number.isInteger(count) || count < 1)
      throw new InputError(`\`${name}\` is ${count}`, 'give a whole number of at least 1, such as 16');
  return { grid, batch, onProgress, ...filtersOf(filters) };
}

/**
 * @param decode what the decoder gives for prompts, of the picture's embeddings
 * @throws InputError (ESP0708) for an option that is out of range, and for answers of another size; what `decode` throws
 */
export async function findThings(
  size: { readonly width: number; readonly height: number },
  decode: (prompts: Prompts) => Promise<Decoded>,
  options: AutomaticOptions = {},
): Promise<Things> {
  const { grid, batch, onProgress, ...filters } = automaticOf(options);
  const { width, height } = size;
  const points = pointGrid(grid, width, height);
  const upscale = toPicture(width, height);
  const dropped = Object.fromEntries(REASONS.map((reason) => [reason, 0])) as Record<Reason, number>;
  const times = { decoder: 0, filters: 0 };
  const found: Thing[] = [];
  for (let at = 0; at < points.length; at += batch) {
    const some = points.slice(at, at + batch);
    const asked = performance.now();
    const { logits, iou } = await decode(promptsOf(some, width, height));
    const answered = performance.now();
    const wanted = some.length * DECODED * DECODED;
    if (logits.length !== wanted || iou.length !== some.length)
      throw new InputError(
        `the decoder gave ${logits.length} logits and ${iou.length} IoUs for ${some.length} prompts, not ${wanted} and ${some.length}`,
        'give the low resolution masks, one for each prompt',
      );
    for (const [i, point] of some.entries()) {
      const own = upscale(logits.subarray(i * DECODED * DECODED, (i + 1) * DECODED * DECODED));
      const judged = judge(own, iou[i]!, size, filters);
      if (typeof judged === 'string') dropped[judged]++;
      else found.push({ ...judged, point });
    }
    times.decoder += answered - asked;
    times.filters += performance.now() - answered;
    onProgress(at + some.length, points.length);
  }
  const began = performance.now();
  const single = suppress(found, filters.overlap);
  const whole = withoutParts(single, filters.contained);
  times.filters += performance.now() - began;
  dropped.repeated = found.length - single.length;
  dropped.part = single.length - whole.length;
  return { things: inRows(whole), prompts: points.length, dropped, times };
}

/** As a person reads: the highest begins a row, of all whose middle lies between its top and bottom. */
function inRows(things: readonly Thing[]): Thing[] {
  const middle = ({ mask: { box } }: Thing) => box.y + box.height / 2;
  const rows: Thing[][] = [];
  for (const thing of things.toSorted((a, b) => middle(a) - middle(b))) {
    const { box } = rows.at(-1)?.[0]?.mask ?? {};
    if (box && middle(thing) < box.y + box.height) rows.at(-1)!.push(thing);
    else rows.push([thing]);
  }
  return rows.flatMap((row) => row.toSorted((a, b) => a.mask.box.x - b.mask.box.x));
}
