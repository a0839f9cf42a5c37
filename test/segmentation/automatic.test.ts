/** Everything in a picture, asked of a decoder that knows what is there; and the picture of it. */
import { describe, expect, it } from 'vitest';
import { type Box, findThings, overlaySvg, type Prompts } from '../../src/segmentation/index.js';
import { DECODED } from '../../src/segmentation/logits.js';

/** A picture of 512 x 256: a pixel of the decoder's is two of its. */
const SIZE = { width: 512, height: 256 };

/**
 * Answers with the thing at the point, of a list of boxes in pixels of the decoder's, the last of which wins; or with all of the picture, where there is none. The
 * middle of a thing is surer than its border.
 */
function decoder(things: readonly Box[], asked: number[] = []) {
  return async ({ count, coords, labels }: Prompts) => {
    asked.push(count);
    const logits = new Float32Array(count * DECODED * DECODED).fill(-20);
    const iou = new Float32Array(count).fill(1);
    for (let i = 0; i < count; i++) {
      expect([...labels.subarray(2 * i, 2 * i + 2)]).toEqual([1, -1]);
      const [x, y] = [coords[4 * i]! / 4, coords[4 * i + 1]! / 4];
      const thing = things.findLast((t) => x >= t.x && x < t.x + t.width && y >= t.y && y < t.y + t.height);
      const box = thing ?? { x: 0, y: 0, width: 256, height: 128 };
      for (let row = box.y; row < box.y + box.height; row++)
        logits.fill(20, (i * DECODED + row) * DECODED + box.x, (i * DECODED + row) * DECODED + box.x + box.width);
    }
    return { logits, iou };
  };
}

const THINGS = [
  { x: 150, y: 12, width: 40, height: 40 },
  { x: 20, y: 20, width: 40, height: 40 },
  { x: 90, y: 70, width: 50, height: 30 },
];

describe('things of a picture', () => {
  it('are found, once each, in the order of reading', async () => {
    const asked: number[] = [];
    const progress: number[] = [];
    const { things, prompts, dropped } = await findThings(SIZE, decoder(THINGS, asked), {
      grid: 10,
      batch: 32,
      onProgress: (done) => progress.push(done),
    });
    expect(asked).toEqual([32, 32, 32, 4]);
    expect(progress).toEqual([32, 64, 96, 100]);
    expect(prompts).toBe(100);
    // A box's border is half a pixel of the decoder's off at the most.
    expect(things.map(({ mask: { box } }) => [box.x, box.y, box.width, box.height])).toEqual(
      [THINGS[1]!, THINGS[0]!, THINGS[2]!].map(({ x, y, width, height }) => [2 * x, 2 * y, 2 * width, 2 * height]),
    );
    for (const { mask, point } of things) {
      expect(point.x).toBeGreaterThan(mask.box.x);
      expect(point.x).toBeLessThan(mask.box.x + mask.box.width);
    }
    expect(dropped).toMatchObject({ iou: 0, empty: 0, stability: 0, small: 0, part: 0 });
    expect(dropped.large + dropped.repeated).toBe(100 - 3);
  });

  it('are without their parts', async () => {
    const [coin, face] = [
      { x: 20, y: 20, width: 80, height: 80 },
      { x: 40, y: 30, width: 30, height: 60 },
    ];
    const { things, dropped } = await findThings(SIZE, decoder([coin, face]), { grid: 10 });
    expect(things).toHaveLength(1);
    expect(dropped.part).toBe(1);
    expect((await findThings(SIZE, decoder([coin, face]), { grid: 10, contained: 1 })).things).toHaveLength(2);
  });

  it('may be none: a picture of ground alone', async () => {
    const { things, dropped } = await findThings(SIZE, decoder([]), { grid: 3 });
    expect(things).toEqual([]);
    expect(dropped.large).toBe(9);
  });

  it.each([
    [{ grid: 0 }, '`grid` is 0'],
    [{ grid: 2.5 }, '`grid` is 2.5'],
    [{ grid: Number.NaN }, '`grid` is NaN'],
    [{ batch: 0 }, '`batch` is 0'],
    [{ stability: 95 }, 'stability is 95'],
    [{ overlap: -0.1 }, 'overlap is -0.1'],
    [{ contained: Number.NaN }, 'contained is NaN'],
    [{ iou: Number.NaN }, 'iou is NaN'],
    [{ offset: -1 }, 'offset is -1'],
    [{ area: [0.5, 0.1] as const }, 'things are at least 0.5 and at most 0.1 of the picture'],
    [{ area: [0, 2] as const }, 'most is 2'],
  ])('are not looked for with %o', async (options, message) => {
    const asked: number[] = [];
    await expect(findThings(SIZE, decoder(THINGS, asked), options)).rejects.toMatchObject({
      code: 'ESP0708',
      message,
      help: expect.stringMatching(/./),
    });
    expect(asked).toEqual([]);
  });

  it('are refused where the decoder gives something else than it was asked for', async () => {
    const less = async () => ({ logits: new Float32Array(5), iou: new Float32Array(1) });
    await expect(findThings(SIZE, less, { grid: 2 })).rejects.toMatchObject({
      code: 'ESP0708',
      message: 'the decoder gave 5 logits and 1 IoUs for 4 prompts, not 262144 and 4',
    });
  });
});

describe('the overlay', () => {
  it('has an outline and a number for each thing', async () => {
    const { things } = await findThings(SIZE, decoder(THINGS), { grid: 10 });
    const svg = overlaySvg(
      things.map(({ mask }) => mask),
      512,
      256,
    );
    expect(svg).toContain('viewBox="0 0 512 256"');
    const outlines = [...svg.matchAll(/fill="(#[0-9a-f]{6})" fill-opacity/g)].map(([, color]) => color);
    expect(new Set(outlines).size).toBe(3);
    // Nothing of it needs a font, a style or another file, which a page's policy may forbid.
    expect(svg).not.toMatch(/<text|style=|href|NaN|undefined/);
  });

  it('of nothing is empty', () => {
    expect(overlaySvg([], 4, 2)).toBe(
      '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="2" viewBox="0 0 4 2">\n\n</svg>\n',
    );
  });
});
