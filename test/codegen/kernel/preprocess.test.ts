/**
 * The kernels of preprocessing: the text that the runtime holds is that of the programs, the programs compute in the simulator what the
 * weights say, without a fault, and the verifier proves that they stay in their buffers, for whatever sizes.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Filter } from '../../../runtime/images/resample.js';
import { taps } from '../../../runtime/images/resample.js';
import { generate, target } from '../../../scripts/embed-kernels.js';
import { explicitAddresses } from '../../../src/codegen/kernel/addresses.js';
import { u32 } from '../../../src/codegen/kernel/expr.js';
import { type SimulatedBuffer, simulate } from '../../../src/codegen/kernel/simulate/simulate.js';
import type { Kernel } from '../../../src/codegen/kernel/types.js';
import { verifyKernel } from '../../../src/codegen/kernel/verify/verify.js';
import {
  FINISH_PARAMS,
  finishKernel,
  RESAMPLE_PARAMS,
  resampleKernel,
  THREADS,
} from '../../../src/codegen/preprocess.js';
import { BASELINE } from '../../../src/codegen/schedule.js';
import { resampled } from '../../runtime/resampled.js';
import { random } from '../harness.js';

/** Threads along x, so that large pictures take several rows. */
const ROW = 2 * THREADS;

const groupsOf = (count: number): [number, number, number] => {
  const groups = Math.ceil(count / THREADS);
  return [Math.min(groups, 2), Math.ceil(groups / 2), 1];
};

/** The kernel that is told these parameters and no others, as u32. */
function told(kernel: Kernel, params: readonly number[]): Kernel {
  const main = kernel.main.map((s) =>
    s.kind === 'let' && s.value.kind === 'fetch' && s.value.buffer === 'params' && s.value.at.kind === 'literal'
      ? { ...s, value: u32(params[s.value.at.value]! >>> 0) }
      : s,
  );
  return { ...kernel, buffers: kernel.buffers.filter((b) => b.name !== 'params'), main };
}

/** Simulates; the verifier has to agree that nothing outside the buffers is reached. Unless it is a part, each element of the result is written once. */
function run(
  kernel: Kernel,
  buffers: readonly SimulatedBuffer[],
  params: readonly number[],
  count: number,
  part = false,
) {
  const groups = groupsOf(count);
  expect(verifyKernel(told(kernel, params), { workgroups: groups })).toEqual([]);
  expect(verifyKernel(kernel, { workgroups: groups }).map((p) => p.rule)).toContain('bounds');
  const lowered = explicitAddresses([kernel], BASELINE)[0]!;
  const all = [...buffers, { data: Int32Array.from(params) }];
  expect(simulate(lowered, all, groups, part ? {} : { results: ['result'] }).faults).toEqual([]);
}

function draw(seed: number) {
  const next = random(seed);
  const below = (n: number): number => Math.min(n - 1, Math.floor(((next() + 1) / 2) * n));
  const one = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const pixels = (n: number) => Uint32Array.from({ length: n }, () => below(1 << 24) + below(256) * 2 ** 24);
  return { below, one, pixels };
}

const byte = (word: number, c: number): number => (word >>> (8 * c)) & 255;
const luma = (word: number): number =>
  (byte(word, 0) * 19595 + byte(word, 1) * 38470 + byte(word, 2) * 7471 + 32768) >> 16;

describe('preprocessing', () => {
  it('is embedded in the runtime as its programs are printed', () => {
    expect(readFileSync(target, 'utf8')).toBe(generate());
  });

  it('resizes along either axis, in a window that reaches past the picture', () => {
    for (let seed = 1; seed <= 24; seed++) {
      const { below, one, pixels } = draw(seed);
      const [width, height] = [1 + below(40), 1 + below(40)];
      const source = pixels(width * height);
      const vertical = seed % 2 === 0;
      const filter = one<Filter>(['nearest', 'bilinear', 'bicubic']);
      // Of the resized axis, the window `from`; of the other, `lines`; both may begin before the picture and end past it.
      const [from, lines, size] = [1 + below(50), 1 + below(50), 1 + below(30)];
      const [alongOrigin, acrossOrigin] = [below(20) - 10, below(20) - 10];
      const gray = below(2);
      const base = seed % 3 === 0 ? 1 + below(5) : 0;
      const { table, most } = taps(from, size, filter);
      const count = size * lines;
      const params: { [P in (typeof RESAMPLE_PARAMS)[number]]: number } = {
        row: ROW,
        count,
        base,
        gray,
        taps: most,
        along: size,
        along_step: vertical ? lines : 1,
        along_apart: vertical ? width : 1,
        along_pixels: vertical ? height : width,
        along_origin: alongOrigin,
        across: lines,
        across_step: vertical ? 1 : size,
        across_apart: vertical ? 1 : width,
        across_pixels: vertical ? width : height,
        across_origin: acrossOrigin,
      };
      // Some in the middle of a larger picture, of which nothing else is touched.
      const result = new Uint32Array(base + count);
      const order = RESAMPLE_PARAMS.map((name) => params[name]);
      const kernel = resampleKernel({ source: source.length, table: table.length, result: result.length });
      run(kernel, [{ data: source }, { data: table }, { data: result }], order, count, base > 0);
      const at = resampled(from, size, filter, (i, j, c) => {
        const [x, y] = vertical ? [j + acrossOrigin, i + alongOrigin] : [i + alongOrigin, j + acrossOrigin];
        if (x < 0 || y < 0 || x >= width || y >= height) return 0;
        const word = source[y * width + x]!;
        return gray ? luma(word) : byte(word, c);
      });
      const wanted = Uint32Array.from({ length: count }, (_, i) => {
        const [x, y] = vertical ? [Math.floor(i / lines), i % lines] : [i % size, Math.floor(i / size)];
        return at(x, y, 0) | (at(x, y, 1) << 8) | (at(x, y, 2) << 16);
      });
      expect(result, `seed ${seed}`).toEqual(Uint32Array.from([...new Uint32Array(base), ...wanted]));
    }
  });

  it('writes normalized planes of a window', () => {
    for (let seed = 1; seed <= 16; seed++) {
      const { below, pixels } = draw(100 + seed);
      const [width, height] = [1 + below(30), 1 + below(30)];
      const [w, h] = [1 + below(30), 1 + below(30)];
      const [x0, y0] = [below(20) - 10, below(20) - 10];
      const source = pixels(width * height);
      const channels = seed % 3 === 0 ? 1 : 3;
      const gray = below(2);
      const mean = [0.485, 0.456, 0.406];
      const deviation = [0.229, 0.224, 0.225];
      const bits = (x: number): number => new Int32Array(Float32Array.of(x).buffer)[0]!;
      // The window lies at the top left of the result, which some are larger than.
      const [across, down] = seed % 2 === 0 ? [w + below(9), h + below(9)] : [w, h];
      const count = across * down;
      const params: { [P in (typeof FINISH_PARAMS)[number]]: number } = {
        row: ROW,
        count,
        base: 0,
        gray,
        channels,
        result_width: across,
        window_width: w,
        window_height: h,
        x_origin: x0,
        y_origin: y0,
        width,
        height,
        mean_red: bits(mean[0]!),
        mean_green: bits(mean[1]!),
        mean_blue: bits(mean[2]!),
        deviation_red: bits(deviation[0]!),
        deviation_green: bits(deviation[1]!),
        deviation_blue: bits(deviation[2]!),
      };
      const result = new Float32Array(count * channels);
      const kernel = finishKernel({ source: source.length, result: result.length });
      const order = FINISH_PARAMS.map((name) => params[name]);
      run(kernel, [{ data: source }, { data: result }], order, count);
      const wanted = Float32Array.from({ length: count * channels }, (_, i) => {
        const c = Math.floor(i / count);
        const [column, line] = [(i % count) % across, Math.floor((i % count) / across)];
        if (column >= w || line >= h) return 0;
        const [x, y] = [column + x0, line + y0];
        const word = x < 0 || y < 0 || x >= width || y >= height ? 0 : source[y * width + x]!;
        const value = gray ? luma(word) : byte(word, c);
        return Math.fround(Math.fround(Math.fround(value / 255) - Math.fround(mean[c]!)) / Math.fround(deviation[c]!));
      });
      expect(result, `seed ${seed}`).toEqual(wanted);
    }
  });
});
