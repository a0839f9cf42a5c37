/** What `run` was given is what it computes on: inputs that change, vanish, or lie in memory that WebGPU cannot take. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../runtime/errors.js';
import { type ImageInput, load, type Session, type TensorData } from '../../runtime/index.js';
import { type OpenDevice, openDevice } from '../../runtime/node/device.js';
import { copyProgram, expected, type Tiny, tinyProgram } from './program.js';

let gpu: OpenDevice;
let tensors: Session;
let images: Session;
const open = (tiny: Tiny) => load(tiny, { device: gpu.device });
beforeAll(async () => {
  gpu = await openDevice();
  tensors = await open(tinyProgram({ samples: 4 }));
  images = await open(copyProgram([{ step: 'normalize', mean: [0], std: [1 / 255] }], 3, 1, 2));
});
afterAll(() => {
  tensors?.dispose();
  images?.dispose();
  gpu?.release();
});

const X = [1, -2, 3, 4];
const logits = async (x: TensorData) => [...(await tensors.run({ tensors: { x } })).outputs.logits!];
/** Red, green and blue of the first pixel, then of the second. */
const pixels = async (image: ImageInput) => {
  const [r1, r2, g1, g2, b1, b2] = (await images.run({ image })).outputs.pixels!;
  return [r1, g1, b1, r2, g2, b2].map((v) => Math.round(v!));
};
const RGB = [10, 20, 30, 40, 50, 60];
const picture = (data: Uint8Array | Uint8ClampedArray): ImageInput => ({ data, width: 2, height: 1 });

/** Bytes in memory of each kind that a caller may hold, at an offset; \`change\` is what becomes of it after the call. */
const MEMORY: Readonly<
  Record<string, (bytes: Uint8Array) => { at: ArrayBufferLike; offset: number; change?: () => void }>
> = {
  'a part of a larger buffer': (bytes) => {
    const all = new Uint8Array(bytes.length + 24).fill(200);
    all.set(bytes, 8);
    return { at: all.buffer, offset: 8 };
  },
  'shared memory': (bytes) => {
    const at = new SharedArrayBuffer(bytes.length + 8);
    new Uint8Array(at).set(bytes, 8);
    return { at, offset: 8 };
  },
  'memory that grows and shrinks': (bytes) => {
    const Resizable = ArrayBuffer as unknown as new (
      size: number,
      options: object,
    ) => ArrayBuffer & { resize(size: number): void };
    const at = new Resizable(bytes.length + 8, { maxByteLength: 1024 });
    new Uint8Array(at).set(bytes, 8);
    return { at, offset: 8, change: () => at.resize(0) };
  },
  'memory that is transferred after the call': (bytes) => {
    const at = Uint8Array.from(bytes).buffer;
    return { at, offset: 0, change: () => structuredClone(at, { transfer: [at] }) };
  },
  'a buffer that is filled again after the call': (bytes) => {
    const all = Uint8Array.from(bytes);
    return { at: all.buffer, offset: 0, change: () => all.fill(0) };
  },
  'a Node Buffer of the pool': (bytes) => {
    const pooled = Buffer.from(bytes);
    return { at: pooled.buffer, offset: pooled.byteOffset, change: () => pooled.fill(0) };
  },
};

describe.each(Object.entries(MEMORY))('%s', (_, hold) => {
  test('tensors', async () => {
    const { at, offset, change } = hold(new Uint8Array(Float32Array.from(X).buffer));
    const before = logits(Float32Array.of(9, 9, 9, 9));
    const answer = logits(new Float32Array(at, offset, X.length));
    change?.();
    expect(await answer).toEqual([...expected(X)]);
    await before;
  });

  test.each([1, 3, 4] as const)('images of %i bytes a pixel', async (channels) => {
    const bytes = channels === 1 ? [10, 40] : channels === 3 ? RGB : [10, 20, 30, 0, 40, 50, 60, 255];
    const { at, offset, change } = hold(Uint8Array.from(bytes));
    const before = pixels(picture(new Uint8Array(6).fill(9)));
    const answer = pixels(picture(new Uint8Array(at, offset, bytes.length)));
    const clamped = change ? undefined : pixels(picture(new Uint8ClampedArray(at, offset, bytes.length)));
    change?.();
    const right = channels === 1 ? [10, 10, 10, 40, 40, 40] : RGB;
    expect(await answer).toEqual(right);
    if (clamped) expect(await clamped).toEqual(right);
    await before;
  });
});

test('frames of one reused pixel buffer are the frames that they were', async () => {
  const frame = new Uint8Array(6);
  const answers = [1, 2, 3, 4].map((level) => pixels(picture(frame.fill(level))));
  expect(await Promise.all(answers)).toEqual([1, 2, 3, 4].map((level) => Array(6).fill(level)));
});

test('lists and records are taken as they are', async () => {
  const list = [picture(Uint8Array.from(RGB)), picture(new Uint8Array(6).fill(7))];
  const answer = images.run({ images: list });
  list.length = 0;
  expect(await answer).toHaveLength(2);
  const record: Record<string, TensorData> = { x: Float32Array.from(X) };
  const numbers = tensors.run({ tensors: record });
  record.x = new Float32Array(4);
  expect((await numbers).outputs.logits).toEqual(expected(X));
});

test('what is wrong is what was given, whatever becomes of it', async () => {
  const busy = logits(Float32Array.from(X));
  const image = { data: new Uint8Array(5), width: 2, height: 1 };
  const short = images.run({ image });
  image.data = new Uint8Array(6);
  await expect(short).rejects.toThrow('an image of 2x1 cannot have 5 bytes');
  const gone = Float32Array.from(X);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await expect(logits(gone)).rejects.toThrow('`x` has 0 elements');
  await busy;
});

test('weights and kernels in shared memory', async () => {
  const { program, files } = tinyProgram();
  const shared = new Map(
    [...files].map(([name, content]) => {
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
      const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
      copy.set(bytes);
      return [name, copy] as const;
    }),
  );
  const session = await load({ program, files: shared }, { device: gpu.device });
  expect((await session.run({ tensors: { x: Float32Array.from(X) } })).outputs.logits).toEqual(expected(X));
  session.dispose();
});

describe('refused by name', () => {
  test.each<[string, unknown, string]>([
    ['floats', { data: new Float32Array(6), width: 2, height: 1 }, '8-bit pixels, given Float32Array'],
    ['numbers in an array', { data: RGB, width: 2, height: 1 }, '8-bit pixels, given Array'],
    ['no size', { data: new Uint8Array(6) }, 'no pixels (0x0)'],
    ['wide colors', { data: new Uint8Array(8), width: 2, height: 1, colorSpace: 'display-p3' }, 'in display-p3'],
    ['a file', new Blob(['']), 'nothing here decodes a Blob'],
    ['a path', 'cat.png', 'String is no image'],
    ['a symbol', Symbol('cat'), 'Symbol is no image'],
  ])('as an image, %s', async (_, image, words) => {
    const answer = images.run({ image: image as ImageInput });
    await expect(answer).rejects.toThrow(InputError);
    await expect(answer).rejects.toThrow(words);
  });

  test.each<[string, unknown, string]>([
    ['doubles', Float64Array.from(X), 'takes f32, given Float64Array'],
    ['numbers in an array', [X], 'takes f32, given Array'],
    ['bytes', new ArrayBuffer(16), 'takes f32, given ArrayBuffer'],
  ])('as a tensor, %s', async (_, x, words) => {
    const answer = tensors.run({ tensors: { x: x as TensorData } });
    await expect(answer).rejects.toThrow(InputError);
    await expect(answer).rejects.toThrow(words);
  });

  test.each([undefined, null, {}, { image: null }, { images: 3 }, { tensors: null }])('as input, %j', async (input) => {
    await expect(images.run(input as never)).rejects.toThrow('there is nothing to run');
  });
});
