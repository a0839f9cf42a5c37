/** What the prompt decoder is asked: one point of the picture each time, written as Segment Anything's exported decoder takes points. */
import { ENCODED } from './logits.js';

export interface Point {
  /** In pixels of the picture, from its left upper corner; a pixel's centre is at a half. */
  readonly x: number;
  readonly y: number;
}

/** A prompt has two points: its own, and one that says that there is no box. */
export const PROMPT_POINTS = 2;

export interface Prompts {
  readonly count: number;
  /** [count, 2, 2]: x and y of each point, in pixels of the encoder's square. */
  readonly coords: Float32Array<ArrayBuffer>;
  /** [count, 2]: 1 for a point of the thing, -1 for none. */
  readonly labels: Float32Array<ArrayBuffer>;
}

/** The middles of `side` x `side` equal parts of a picture, row by row. */
export function pointGrid(side: number, width: number, height: number): Point[] {
  const at = (i: number, length: number) => ((i + 0.5) / side) * length;
  return Array.from({ length: side * side }, (_, i) => ({
    x: at(i % side, width),
    y: at(Math.floor(i / side), height),
  }));
}

/** Points of a picture of some size as prompts, each for itself. */
export function promptsOf(points: readonly Point[], width: number, height: number): Prompts {
  const scale = ENCODED / Math.max(width, height);
  const coords = new Float32Array(points.length * PROMPT_POINTS * 2);
  const labels = new Float32Array(points.length * PROMPT_POINTS);
  for (const [i, { x, y }] of points.entries()) {
    coords.set([x * scale, y * scale, 0, 0], i * PROMPT_POINTS * 2);
    labels.set([1, -1], i * PROMPT_POINTS);
  }
  return { count: points.length, coords, labels };
}
