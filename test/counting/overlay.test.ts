/** A density over its picture: colours, places, and a count that can be read. */
import { expect, test } from 'vitest';
import { drawText, textWidth } from '../../src/counting/glyphs.js';
import { type Density, densityOverlay } from '../../src/counting/index.js';
import { heat } from '../../src/counting/overlay.js';

/** Of matplotlib 3.8: `[round(255 * v) for v in matplotlib.colormaps['inferno'](x)[:3]]`. */
const INFERNO: readonly (readonly [number, readonly [number, number, number]])[] = [
  [0, [0, 0, 4]],
  [64 / 255, [87, 16, 110]],
  [128 / 255, [188, 55, 84]],
  [191 / 255, [249, 142, 9]],
  [1, [252, 255, 164]],
];

test.each(INFERNO)('the colour of %d', (share, expected) => {
  for (const [c, value] of heat(share).entries())
    expect(Math.abs(value - expected[c]!), `channel ${c}`).toBeLessThanOrEqual(6);
});

test('the brighter, the more: colours of more are lighter', () => {
  const luma = (t: number) => heat(t).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i]!, 0);
  for (let i = 1; i <= 20; i++) expect(luma(i / 20)).toBeGreaterThan(luma((i - 1) / 20));
  expect([heat(-1), heat(2)]).toEqual([heat(0), heat(1)]);
});

const grey = (width: number, height: number) => ({ data: new Uint8Array(4 * width * height).fill(128), width, height });
const axis = (scale: number, shift: number, length: number) => ({ scale, shift, length, mirrored: false });
/** One cell of a map with half as many cells a side has something. */
const dot = (width: number, height: number, x: number, y: number, value = 1): Density => {
  const data = new Float32Array((width * height) / 4);
  data[(y * width) / 2 + x] = value;
  return {
    data,
    width: width / 2,
    height: height / 2,
    placement: { x: axis(0.5, 0, width / 2), y: axis(0.5, 0, height / 2) },
  };
};
const at = ({ data, width }: { data: Uint8Array; width: number }, x: number, y: number) => [
  ...data.subarray(4 * (y * width + x), 4 * (y * width + x) + 4),
];

test('heat lies where the density does, at any size of the drawing', () => {
  for (const longest of [16, 64, 200]) {
    const drawn = densityOverlay(grey(64, 32), dot(64, 32, 20, 5), { count: 1, longest });
    const times = longest < 64 ? 1 / 4 : Math.floor(longest / 64);
    expect(drawn.width).toBe(64 * times);
    const place = [Math.floor(41 * times), Math.floor(11 * times)] as const;
    // Yellow there, grey far from it.
    const [r, , b, a] = at(drawn, ...place);
    expect(r! - b!, `longest ${longest}`).toBeGreaterThan(60);
    expect(a).toBe(255);
    const far = at(drawn, drawn.width - 1, 0);
    expect(far).toEqual([96, 96, 96, 255]);
  }
});

test('nothing is drawn where the model saw nothing, and for less than nothing', () => {
  const all = new Float32Array(8 * 4).fill(1);
  // The model saw columns 16 to 31 of 64.
  const part: Density = { data: all, width: 8, height: 4, placement: { x: axis(0.5, -8, 8), y: axis(0.125, 0, 4) } };
  const drawn = densityOverlay(grey(64, 32), part, { count: 1, longest: 64 });
  for (const [x, hot] of [
    [4, false],
    [15, false],
    [17, true],
    [30, true],
    [33, false],
    [60, false],
  ] as const)
    expect(at(drawn, x, 16)[0] !== at(drawn, x, 16)[2], `column ${x}`).toBe(hot);
  const negative = densityOverlay(grey(64, 32), dot(64, 32, 20, 5, -1), { count: 1, longest: 64 });
  expect(at(negative, 41, 11)).toEqual([96, 96, 96, 255]);
});

test('of a picture in which next to nothing was counted, next to nothing is hot', () => {
  const drawn = densityOverlay(grey(64, 64), dot(64, 64, 20, 5, 1e-6), { count: 0, longest: 64 });
  const [r, , b] = at(drawn, 41, 11);
  expect(Math.abs(r! - b!)).toBeLessThan(8);
});

test('the count can be read below the picture', () => {
  const [width, height, glyph] = [480, 64, 3];
  for (const [count, truth, text] of [
    [23.4, undefined, 'count 23.4'],
    [-0.5, 178, 'count -0.5   true 178'],
  ] as const) {
    const drawn = densityOverlay(grey(width, height), dot(width, height, 2, 2), {
      count,
      longest: width,
      ...(truth === undefined ? {} : { truth }),
    });
    const found = new Set<string>();
    for (let y = 0; y < drawn.height - height; y++)
      for (let x = 0; x < width; x++)
        if (at(drawn, x, height + y)[0]! > 128) found.add(`${Math.floor(x / glyph) - 3},${Math.floor(y / glyph) - 3}`);
    const expected = new Set<string>();
    drawText(text, (x, y) => expected.add(`${x},${y}`));
    expect(found).toEqual(expected);
  }
  expect(textWidth('12')).toBe(11);
  expect(() => drawText('x', () => {})).toThrow('has no glyph');
});

test('a caption stays inside of a narrow drawing', () => {
  const drawn = densityOverlay(grey(8, 64), dot(8, 64, 1, 1), { count: 12345.6, longest: 64 });
  expect(drawn.width).toBe(8);
  expect(drawn.data.length).toBe(4 * 8 * drawn.height);
});
