/**
 * MobileSAM from its ONNX files, compiled and run on the GPU: embeddings and masks beside onnxruntime's (test/reference/mobile_sam.py), and the coins of
 * examples/count, counted.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embed, type MobileSam, prompted } from '../../examples/count/mobile-sam.js';
import { compileMobileSam, openMobileSam } from '../../examples/count/programs.js';
import { decodeImage, type RgbaImage } from '../../src/api/index.js';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { findThings } from '../../src/segmentation/index.js';
import { promptsOf } from '../../src/segmentation/prompts.js';
import { driverName, scratch } from '../e2e/support.js';
import { needs } from '../needs.js';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const folder = scratch();

let sam: MobileSam;
let coins: RgbaImage;
let embeddings: Float32Array;
let reference: Readonly<Record<'features' | 'points' | 'logits' | 'iou' | 'ranges', Float32Array>>;

beforeAll(async () => {
  const { tensors } = await openSafetensors(await openFile(path('../fixtures/segmentation/mobile-sam.safetensors')));
  const read = async (name: string) => Float32Array.from((await tensors.get(name)!.read()).data);
  reference = {
    features: await read('features'),
    points: await read('points'),
    logits: await read('logits'),
    iou: await read('iou'),
    ranges: await read('ranges'),
  };
  coins = await decodeImage(path('../../examples/count/coins.png'));
  const programs = join(folder, 'programs');
  // What they give is compared below with more than a load compares.
  await compileMobileSam(programs, false);
  sam = await openMobileSam(programs, 16);
  embeddings = (await embed(sam, coins)) as Float32Array;
}, 600_000);
afterAll(() => {
  sam?.encoder.dispose();
  sam?.decoder.dispose();
});

/** Largest difference from a reference that holds every `step`th row and column, and every so manyth plane. */
function difference(found: Float32Array, wanted: Float32Array, side: number, step: number, planes: number): number {
  const kept = side / step;
  let worst = 0;
  for (const [i, value] of wanted.entries()) {
    const [plane, y, x] = [
      Math.floor(i / kept / kept) * planes,
      (Math.floor(i / kept) % kept) * step,
      (i % kept) * step,
    ];
    worst = Math.max(worst, Math.abs(found[(plane * side + y) * side + x]! - value));
  }
  return worst;
}

describe('MobileSAM', { timeout: 600_000 }, () => {
  it('gives the embeddings and masks of onnxruntime, for prompts in one batch', async () => {
    const { features, points, logits, iou, ranges } = reference;
    expect(embeddings).toHaveLength(256 * 64 * 64);
    expect(difference(embeddings, features, 64, 4, 8)).toBeLessThan(1e-3 * ranges[0]!);

    const chosen = Array.from(iou, (_, i) => ({ x: points[2 * i]!, y: points[2 * i + 1]! }));
    const found = await prompted(sam, embeddings, promptsOf(chosen, coins.width, coins.height));
    expect(difference(found.logits, logits, 256, 8, 1)).toBeLessThan(1e-3 * ranges[1]!);
    for (const [i, predicted] of iou.entries()) expect(Math.abs(found.iou[i]! - predicted)).toBeLessThan(1e-3);
  });

  it('counts the coins', async (context) => {
    needs(
      context,
      'lavapipe',
      (await driverName()) !== 'swiftshader',
      'SwiftShader takes seconds for each of 144 prompts',
    );
    const { things, prompts, dropped } = await findThings(coins, (asked) => prompted(sam, embeddings, asked), {
      grid: 12,
    });
    expect(prompts).toBe(144);
    expect(things).toHaveLength(24);
    // Coins are round: each fills of its box what a disk does, and most of them are of nearly one size.
    for (const { mask } of things) {
      const { width, height } = mask.box;
      expect(mask.area / (width * height)).toBeCloseTo(Math.PI / 4, 1);
      expect(width / height).toBeGreaterThan(0.8);
      expect(width / height).toBeLessThan(1.25);
    }
    expect(dropped.large).toBeGreaterThan(0);
  });
});
