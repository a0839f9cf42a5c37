/** A picture with its density over it and the count below, as pixels: what a person looks at to see where something was counted. Runs in a page. */
import type { RawImage } from '../../runtime/index.js';
import { drawText, GLYPH_HEIGHT, textWidth } from './glyphs.js';
import type { Density } from './placed.js';

export interface OverlayOptions {
  /** Stands below the picture. */
  readonly count: number;
  /** How many there are, if that is known; beside it. */
  readonly truth?: number;
  /** Longer side of the result in pixels: a smaller picture is drawn so many whole times as large as fit, a larger one as many times smaller (default: 768). */
  readonly longest?: number;
}

/** 8-bit RGBA. */
export interface Drawn extends RawImage {
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * Matplotlib's `inferno`, which is uniform to the eye, as polynomials of degree 6 for red, green and blue (Zucker, "Matplotlib colormaps in GLSL", 2019;
 * both CC0).
 */
const INFERNO = [
  [
    0.0002189403691192265, 0.1065134194856116, 11.60249308247187, -41.70399613139459, 77.162935699427,
    -71.31942824499214, 25.13112622477341,
  ],
  [
    0.001651004631001012, 0.5639564367884091, -3.972853965665698, 17.43639888205313, -33.40235894210092,
    32.62606426397723, -12.24266895238567,
  ],
  [
    -0.01948089843709184, 3.932712388889277, -15.9423941062914, 44.35414519872813, -81.80730925738993,
    73.20951985803202, -23.07032500287172,
  ],
] as const;

/** The colour of a share in [0, 1]: from black by purple and orange to a pale yellow. 8 bits a channel. */
export function heat(share: number): [red: number, green: number, blue: number] {
  const t = Math.min(1, Math.max(0, share));
  const channel = (c: readonly number[]): number =>
    Math.round(
      255 *
        Math.min(
          1,
          Math.max(
            0,
            c.reduceRight((sum, x) => sum * t + x, 0),
          ),
        ),
    );
  return [channel(INFERNO[0]), channel(INFERNO[1]), channel(INFERNO[2])];
}

/** Density that is drawn in full, at the least: a thing that is spread over a Gaussian whose deviation is this share of the picture's shorter side. */
const FAINTEST = 1 / 16;
/** How much of the colours of a picture is kept below the heat, and how bright. */
const BASE = { colour: 0.35, bright: 0.75 };
/** How much of the picture the most heat hides. */
const OPAQUE = 0.9;
const LONGEST = 768;
const CAPTION = { background: 24, text: 245 };

/** The overlay. Cells of less than nothing are drawn as nothing. */
export function densityOverlay(
  picture: RawImage,
  density: Density,
  { count, truth, longest = LONGEST }: OverlayOptions,
): Drawn {
  const side = Math.max(picture.width, picture.height);
  const times = side > longest ? 1 : Math.max(1, Math.floor(longest / side));
  const apart = Math.ceil(side / longest);
  const [width, height] = [picture.width, picture.height].map((n) => Math.max(1, Math.floor((n * times) / apart))) as [
    number,
    number,
  ];
  const text = `count ${count.toFixed(1)}${truth === undefined ? '' : `   true ${truth}`}`;
  const glyph = Math.max(
    1,
    Math.min(Math.floor((side * times) / apart / 160), Math.floor(width / (textWidth(text) + 4))),
  );
  const caption = (GLYPH_HEIGHT + 6) * glyph;
  const data = new Uint8Array(4 * width * (height + caption)).fill(255);

  const shares = sharesOf(picture, density, { width, height, apart, times });
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [px, py] = [((x + 0.5) * apart) / times, ((y + 0.5) * apart) / times];
      const share = shares[y * width + x]!;
      const [r, g, b] = pixelAt(picture, px, py, apart);
      const grey = 0.299 * r + 0.587 * g + 0.114 * b;
      const colour = heat(share);
      const alpha = OPAQUE * Math.min(1, Math.sqrt(share) * 1.2);
      const o = 4 * (y * width + x);
      for (const [c, own] of [r, g, b].entries()) {
        const base = BASE.bright * (BASE.colour * own + (1 - BASE.colour) * grey);
        data[o + c] = Math.round(base * (1 - alpha) + colour[c]! * alpha);
      }
    }
  for (let o = 4 * width * height; o < data.length; o += 4) data.fill(CAPTION.background, o, o + 3);
  drawText(text, (x, y) => {
    for (let i = 0; i < glyph * glyph; i++) {
      const column = (3 + x) * glyph + (i % glyph);
      const row = height + (3 + y) * glyph + Math.floor(i / glyph);
      if (column < width) data.fill(CAPTION.text, 4 * (row * width + column), 4 * (row * width + column) + 3);
    }
  });
  return { data, width, height: height + caption };
}

/** How dense it is at each pixel of the drawing, of the most of any, which is 1. A pixel that shows several cells has their mean. */
function sharesOf(
  picture: RawImage,
  density: Density,
  { width, height, apart, times }: { width: number; height: number; apart: number; times: number },
): Float32Array {
  const { x: across, y: down } = density.placement;
  const parts = Math.max(1, Math.ceil((apart / times) * Math.max(across.scale, down.scale)));
  const shares = new Float32Array(width * height);
  let most = full(picture) / (across.scale * down.scale);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let part = 0; part < parts * parts; part++) {
        const px = ((x + ((part % parts) + 0.5) / parts) * apart) / times;
        const py = ((y + (Math.floor(part / parts) + 0.5) / parts) * apart) / times;
        sum += cellAt(density, across.scale * px + across.shift, down.scale * py + down.shift);
      }
      shares[y * width + x] = sum / (parts * parts);
      most = Math.max(most, shares[y * width + x]!);
    }
  return shares.map((share) => share / most);
}

/** Per pixel of the picture. */
function full({ width, height }: RawImage): number {
  const deviation = FAINTEST * Math.min(width, height);
  return 1 / (2 * Math.PI * deviation ** 2);
}

/** Between the middles of four cells; nothing where the model saw nothing. */
function cellAt({ data, width, height, placement }: Density, x: number, y: number): number {
  if (x < 0 || y < 0 || x > Math.min(width, placement.x.length) || y > Math.min(height, placement.y.length)) return 0;
  const [cx, cy] = [Math.min(width - 1, Math.max(0, x - 0.5)), Math.min(height - 1, Math.max(0, y - 0.5))];
  const [x0, y0] = [Math.floor(cx), Math.floor(cy)];
  const [x1, y1] = [Math.min(width - 1, x0 + 1), Math.min(height - 1, y0 + 1)];
  const [fx, fy] = [cx - x0, cy - y0];
  const row = (y: number) => (1 - fx) * Math.max(0, data[y * width + x0]!) + fx * Math.max(0, data[y * width + x1]!);
  return (1 - fy) * row(y0) + fy * row(y1);
}

/** The mean of so many pixels a side around a place; the pixel that it lies in, if one. */
function pixelAt({ data, width, height }: RawImage, x: number, y: number, side: number): [number, number, number] {
  const channels = data.length / (width * height);
  const start = (middle: number): number => (side === 1 ? Math.floor(middle) : Math.round(middle - side / 2));
  const [left, top] = [start(x), start(y)];
  const sum = [0, 0, 0];
  let pixels = 0;
  for (let row = top; row < Math.min(height, top + side); row++)
    for (let column = left; column < Math.min(width, left + side); column++) {
      const o = channels * (row * width + column);
      for (let c = 0; c < 3; c++) sum[c]! += data[o + (channels === 1 ? 0 : c)]!;
      pixels++;
    }
  return sum.map((s) => s / pixels) as [number, number, number];
}
