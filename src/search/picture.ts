/** A search as a picture: similarity against rate above, what each candidate was worth in their order below. SVG, with nothing outside of itself. */
import { type JournalLine, rateOf } from './journal.js';

export interface PictureOptions {
  /** The least similarity that was asked for, drawn as a line. */
  readonly threshold?: number | undefined;
  /** What was accepted in the end; marked. */
  readonly rates?: readonly number[] | undefined;
}

const WIDTH = 640;
const LEFT = 56;
const RIGHT = 616;
const TOP = { from: 56, to: 276 };
const BOTTOM = { from: 336, to: 456 };
const HEIGHT = 500;

const INK = '#24292f';
const FAINT = '#d0d7de';
const TAKEN = '#1a7f37';
const REFUSED = '#8c959f';
const FAILED = '#cf222e';

/** Where a value lies between two places. */
const scale = ([low, high]: readonly [number, number], from: number, to: number) => {
  const width = high - low || 1;
  return (x: number): string => (from + ((x - low) / width) * (to - from)).toFixed(1);
};

/** Round numbers that cover all values. */
function bounds(values: readonly number[], step: number): readonly [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [down, up] = [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  return [down, up > down ? up : down + step];
}

const stepOf = (values: readonly number[]): number => {
  const width = Math.max(...values) - Math.min(...values);
  return [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].find((s) => width / s <= 6) ?? 10 ** Math.ceil(Math.log10(width / 6));
};

const ticks = ([low, high]: readonly [number, number], step: number): number[] =>
  Array.from({ length: Math.round((high - low) / step) + 1 }, (_, i) => low + i * step);

const text = (x: number | string, y: number | string, words: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${words.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

const line = (
  x1: number | string,
  y1: number | string,
  x2: number | string,
  y2: number | string,
  more: string,
): string => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" ${more}/>`;

const percent = (x: number): string => `${Number((100 * x).toFixed(1))}%`;

/** The picture of a search's lines, `image/svg+xml`. One without lines says so. */
export function searchPicture(lines: readonly JournalLine[], options: PictureOptions = {}): string {
  const parts =
    lines.length > 0 ? [...similarities(lines, options), ...worths(lines)] : [text(LEFT, 80, 'no candidate yet')];
  const title = lines.length > 0 ? `${lines[0]!.controller}: ${lines.length} candidates` : 'search';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="${INK}">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
${text(LEFT, 28, title, 'font-size="15" font-weight="600"')}
${parts.join('\n')}
</svg>
`;
}

/** An axis on the left: lines across, and what they stand for. */
function across(range: readonly [number, number], step: number, y: (v: number) => string): string[] {
  const digits = step < 0.1 ? 2 : 1;
  return ticks(range, step).flatMap((v) => [
    line(LEFT, y(v), RIGHT, y(v), `stroke="${FAINT}"`),
    text(LEFT - 8, Number(y(v)) + 4, v.toFixed(digits).replace(/^-(0\.0+)$/, '$1'), 'text-anchor="end"'),
  ]);
}

function similarities(lines: readonly JournalLine[], { threshold, rates }: PictureOptions): string[] {
  // A candidate that is judged again lies where it lay.
  const once = lines.filter((l) => l.again === undefined);
  const values = once.flatMap((l) => (l.similarity === undefined ? [] : [l.similarity]));
  const all = [...values, ...(threshold === undefined ? [] : [threshold]), 1];
  const step = stepOf(all);
  const range = bounds(all, step);
  const places = once.map(rateOf);
  const wide = stepOf([0, ...places, Math.max(...places) + 0.02]);
  const reach = bounds([0, ...places, Math.max(...places) + 0.02], wide);
  const [x, y] = [scale(reach, LEFT, RIGHT), scale(range, TOP.to, TOP.from)];
  const out = [text(LEFT, TOP.from - 10, 'similarity after recovery'), ...across(range, step, y)];
  for (const v of ticks(reach, wide)) out.push(text(x(v), TOP.to + 18, percent(v), 'text-anchor="middle"'));
  out.push(text(RIGHT, TOP.to + 36, 'rate', 'text-anchor="end"'));
  if (threshold !== undefined) {
    out.push(line(LEFT, y(threshold), RIGHT, y(threshold), `stroke="${INK}" stroke-dasharray="5 4"`));
    out.push(text(RIGHT, Number(y(threshold)) - 5, `threshold ${threshold}`, 'text-anchor="end"'));
  }
  for (const l of once) {
    const place = x(rateOf(l));
    if (l.similarity === undefined) {
      const [a, b] = [Number(place) - 4, Number(place) + 4];
      out.push(
        `<path d="M${a} ${TOP.to - 4}L${b} ${TOP.to + 4}M${a} ${TOP.to + 4}L${b} ${TOP.to - 4}" stroke="${FAILED}" stroke-width="2"/>`,
      );
    } else {
      // Judged more than once: the last word counts.
      const last = lines.findLast((other) => other.rates.join() === l.rates.join())!;
      out.push(
        `<circle cx="${place}" cy="${y(l.similarity)}" r="4.5" fill="${last.accepted ? TAKEN : REFUSED}"><title>${percent(rateOf(l))}: ${l.similarity.toFixed(4)}</title></circle>`,
      );
    }
  }
  const chosen = rates && once.find((l) => l.rates.join() === rates.join());
  if (chosen?.similarity !== undefined) {
    const [cx, cy] = [x(rateOf(chosen)), y(chosen.similarity)];
    const right = Number(cx) > (LEFT + RIGHT) / 2;
    out.push(`<circle cx="${cx}" cy="${cy}" r="9" fill="none" stroke="${TAKEN}" stroke-width="2"/>`);
    out.push(
      text(
        Number(cx) + (right ? -14 : 14),
        Number(cy) + 18,
        `accepted: ${percent(rateOf(chosen))}`,
        `text-anchor="${right ? 'end' : 'start'}" fill="${TAKEN}" font-weight="600"`,
      ),
    );
  }
  return out;
}

/** The reward of each, or its score where nothing is rewarded. */
function worths(lines: readonly JournalLine[]): string[] {
  const rewarded = lines.some((l) => l.reward !== undefined);
  const worth = (l: JournalLine): number | undefined => (rewarded ? l.reward : l.score);
  const values = lines.flatMap((l) => worth(l) ?? []);
  if (values.length === 0) return [];
  const all = [...values, 0];
  const step = stepOf(all);
  const range = bounds(all, step);
  const y = scale(range, BOTTOM.to, BOTTOM.from);
  const slot = (RIGHT - LEFT) / lines.length;
  const out = [
    text(LEFT, BOTTOM.from - 10, rewarded ? 'reward' : 'score'),
    ...across(range, step, y),
    line(LEFT, y(0), RIGHT, y(0), `stroke="${INK}"`),
    text(RIGHT, BOTTOM.to + 20, `candidates 1 to ${lines.length}`, 'text-anchor="end"'),
  ];
  lines.forEach((l, i) => {
    const value = worth(l);
    if (value === undefined) return;
    const [from, to] = [Number(y(0)), Number(y(value))];
    const width = Math.min(24, slot * 0.7);
    out.push(
      `<rect x="${(LEFT + (i + 0.5) * slot - width / 2).toFixed(1)}" y="${Math.min(from, to).toFixed(1)}" width="${width.toFixed(1)}" height="${Math.max(1, Math.abs(to - from)).toFixed(1)}" fill="${l.accepted ? TAKEN : REFUSED}"/>`,
    );
  });
  return out;
}
