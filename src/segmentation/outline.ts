/** The outline of a mask: closed lines through the middles of the sides of its border's pixels, which cuts their corners off. */
import { contains, type Mask } from './mask.js';

/** From corner to corner of a pixel, clockwise around it, and the neighbour on the other side. */
const SIDES = [
  { from: [0, 0], to: [1, 0], beyond: [0, -1] },
  { from: [1, 0], to: [1, 1], beyond: [1, 0] },
  { from: [1, 1], to: [0, 1], beyond: [0, 1] },
  { from: [0, 1], to: [0, 0], beyond: [-1, 0] },
] as const;

type Place = readonly [x: number, y: number];

/** Closed lines in pixels of the picture: around the thing clockwise, around holes in it the other way. */
export function outlineOf(mask: Mask): Place[][] {
  const { box } = mask;
  const across = box.width + 1;
  const corner = (x: number, y: number) => (y - box.y) * across + x - box.x;
  // Of each corner where sides of the border begin there: two, where only corners of pixels meet.
  const begins = new Map<number, { readonly end: number; readonly middle: Place }[]>();
  for (let y = box.y; y < box.y + box.height; y++)
    for (let x = box.x; x < box.x + box.width; x++) {
      if (!contains(mask, x, y)) continue;
      for (const { from, to, beyond } of SIDES) {
        if (contains(mask, x + beyond[0], y + beyond[1])) continue;
        const start = corner(x + from[0], y + from[1]);
        const middle: Place = [x + (from[0] + to[0]) / 2, y + (from[1] + to[1]) / 2];
        begins.set(start, [...(begins.get(start) ?? []), { end: corner(x + to[0], y + to[1]), middle }]);
      }
    }
  const lines: Place[][] = [];
  for (const [start, sides] of begins)
    while (sides.length > 0) {
      const line: Place[] = [];
      let at = start;
      do {
        const side = begins.get(at)!.pop()!;
        line.push(side.middle);
        at = side.end;
      } while (at !== start);
      lines.push(turns(line));
    }
  return lines;
}

/** A closed line by the places where it turns. */
function turns(line: readonly Place[]): Place[] {
  return line.filter(([x, y], i) => {
    const [beforeX, beforeY] = line.at(i - 1)!;
    const [afterX, afterY] = line[(i + 1) % line.length]!;
    return (x - beforeX) * (afterY - y) !== (y - beforeY) * (afterX - x);
  });
}
