/** What the runtime refuses, for each check a case that only this check refuses (`npm run checks`): files, pictures, images, devices. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { guarded, requestDevice } from '../../runtime/device.js';
import type { RuntimeError } from '../../runtime/errors.js';
import { captureImage } from '../../runtime/images/image.js';
import { withSameBits } from '../../runtime/images/picture-file.js';
import { planSteps } from '../../runtime/images/resample.js';
import { openDevice } from '../../runtime/node/device.js';
import { openGpu } from '../../runtime/node/driver.js';
import { intactFiles } from '../../runtime/program/digest.js';
import { filesOf, type OpenFile } from '../../runtime/program/files.js';
import { readGolden } from '../../runtime/program/golden.js';
import type { PreprocessStep } from '../../runtime/program/program.js';
import { load } from '../../runtime/session.js';
import { copyProgram, safetensors, sealed, tinyProgram } from './program.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-'));
let server: Server;
let address: string;
let gpu: Awaited<ReturnType<typeof openDevice>>;
beforeAll(async () => {
  gpu = await openDevice();
  server = createServer((request, response) => {
    response.statusCode = request.url?.includes('gone') ? 410 : 404;
    response.end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  gpu.release();
  server.close();
  rmSync(folder, { recursive: true });
});

const resize: PreprocessStep = { step: 'resize', size: [4, 4], filter: 'bilinear' };
const refused = async (work: () => unknown, code: string, words: RegExp): Promise<void> => {
  const error = await Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (e: RuntimeError) => e,
    );
  expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
};

describe('files', () => {
  const put = (name: string, bytes: number): string => {
    writeFileSync(join(folder, name), new Uint8Array(bytes));
    return name;
  };
  const open = (name: string): Promise<OpenFile> => filesOf(folder).open(name);
  const { program, files } = tinyProgram();

  test.each<[string, RegExp, () => unknown]>([
    ['that is missing', /nowhere: is missing or cannot be read/, () => open('nowhere')],
    ['that is a folder', /is a folder/, () => filesOf(join(folder, '..')).open(folder.split('/').at(-1)!)],
    ['that is no file', /is not a regular file/, () => filesOf('/dev').open('null')],
    [
      'that ends while it is read',
      /ended while it was being read/,
      async () => {
        const file = await open(put('shrinks', 100));
        truncateSync(join(folder, 'shrinks'), 40);
        await file.read(0, 100).finally(() => file.close?.());
      },
    ],
    [
      'that is read past its end',
      /ended while it was being read/,
      async () => {
        const file = await open(put('short', 10));
        await file.read(5, 15).finally(() => file.close?.());
      },
    ],
    [
      'that was closed',
      /is missing or cannot be read/,
      async () => {
        const file = await open(put('closed', 10));
        await file.close!();
        await file.read(0, 10);
      },
    ],
    [
      'that the system refuses to read',
      /is missing or cannot be read/,
      async () => {
        const file = await filesOf('/proc/self').open('mem');
        await file.read(0, 8).finally(() => file.close?.());
      },
    ],
    ['without an address', /no address was given/, () => filesOf({ urls: { a: `${address}a` } }).open('b')],
    ['of no addresses', /no address was given/, () => filesOf({ urls: {} }).open('b')],
    ['that the server does not have', /HTTP 404/, () => filesOf(address).open('a')],
    ['that it no longer has', /HTTP 410/, () => filesOf({ urls: { a: `${address}gone` } }).open('a')],
    ['of a server that is not there', /cannot be fetched/, () => filesOf('http://127.0.0.1:1/').open('a')],
    ['in an address that is cut', /cannot be fetched/, () => filesOf({ urls: { a: 'data:x;base64,%' } }).open('a')],
    ['that memory lacks', /b: is missing/, () => filesOf({ program, files: new Map([['a', '']]) }).open('b')],
    [
      'that is a number',
      /something else than bytes/,
      () => filesOf({ program, files: new Map([['a', 7 as never]]) }).open('a'),
    ],
  ])('%s', (_, words, work) => refused(work, 'ESP0707', words));

  test.each(['other.wgsl', '../program.json'])('that program.json does not list: %s', async (name) => {
    const more = new Map([...files, [name, 'text'] as const]);
    const intact = await intactFiles(program, filesOf({ program, files: more }));
    await refused(() => intact.open(name), 'ESP0707', /is not in the list of files of program\.json/);
    expect((await intact.open('scale.wgsl')).size).toBeGreaterThan(0);
  });

  test.each<[string, (text: string) => string, RegExp]>([
    ['shorter', (text) => text.slice(1), /has \d+ bytes, program\.json says/],
    ['longer', (text) => `${text} `, /has \d+ bytes, program\.json says/],
    ['of another letter', (text) => text.replace('max', 'min'), /its SHA-256 differs/],
    ['in another order', (text) => [...text].reverse().join(''), /its SHA-256 differs/],
  ])('a kernel that is %s', async (_, change, words) => {
    const changed = new Map([...files, ['scale.wgsl', change(String(files.get('scale.wgsl')))] as const]);
    await refused(() => intactFiles(program, filesOf({ program, files: changed })), 'ESP0707', words);
  });

  const golden = (tensors: Parameters<typeof safetensors>[0]) => () =>
    readGolden(program, filesOf({ program, files: new Map([['golden.safetensors', safetensors(tensors)]]) }));
  const rows = { shape: [3, 4], data: Array(12).fill(1) };
  test.each<[string, RegExp, () => unknown]>([
    ['without its input', /lacks `x`/, golden({ logits: rows })],
    ['without its output', /lacks `logits`/, golden({ x: rows })],
    [
      'of a row too few',
      /`x` is not 48 bytes of f32/,
      golden({ x: { shape: [2, 4], data: Array(8).fill(1) }, logits: rows }),
    ],
    [
      'of a row too many',
      /`logits` is not 48 bytes of f32/,
      golden({ x: rows, logits: { shape: [4, 4], data: Array(16).fill(1) } }),
    ],
  ])('a golden input %s', (_, words, work) => refused(work, 'ESP0707', words));
});

/** A page would decode these in ways of its own; what a file is, its bytes say. */
describe('pictures of a page', () => {
  const text = (t: string) => [...t].map((c) => c.charCodeAt(0));
  const chunk = (name: string, size = 0) => [0, 0, 0, size, ...text(name), ...Array(size).fill(0), 0, 0, 0, 0];
  const png = (bits: number, ...chunks: number[][]) => [
    0x89,
    ...text('PNG'),
    13,
    10,
    26,
    10,
    0,
    0,
    0,
    13,
    ...text('IHDR'),
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    1,
    bits,
    2,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    ...chunks.flat(),
  ];
  const jpeg = (components: number, ...before: number[]) => [
    0xff,
    0xd8,
    0xff,
    ...before,
    0xc0,
    0,
    17,
    8,
    0,
    1,
    0,
    1,
    components,
    0,
    0,
    0,
  ];
  const webp = (flags: number) => [...text('RIFF'), 0, 0, 0, 0, ...text('WEBPVP8X'), 10, 0, 0, 0, flags, 0, 0, 0];
  const bmp = (bits: number, compression = 0) => [
    ...text('BM'),
    ...new Array<number>(12).fill(0),
    40,
    ...new Array<number>(13).fill(0),
    bits,
    0,
    compression,
    0,
    0,
    0,
  ];
  /** A comment and a control extension before a picture. */
  const gif = (flags: number) => [
    ...[...text('GIF89a'), 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255],
    ...[0x21, 0xfe, 2, 65, 66, 1, 67, 0, 0x21, 0xf9, 4, flags, 0, 0, 1, 0],
    ...[0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 1, 0, 0x3b],
  ];
  const blob = (bytes: number[]) => new Blob([Uint8Array.from(bytes)]);

  test.each<[string, RegExp, number[], string?]>([
    ['a CMYK JPEG', /CMYK/, jpeg(4)],
    ['a CMYK JPEG behind a comment', /CMYK/, jpeg(4, 0xfe, 0, 4, 7, 7, 0xff)],
    ['16 bits in an <img>', /16 bits a channel/, png(16, chunk('IDAT')), 'HTMLImageElement'],
    [
      '16 bits in an animated <img>',
      /16 bits a channel/,
      png(16, chunk('acTL', 8), chunk('fcTL', 26), chunk('IDAT')),
      'HTMLImageElement',
    ],
    ['an animation with another first picture', /another first picture/, png(8, chunk('acTL', 8), chunk('IDAT'))],
    ['the same behind a comment', /another first picture/, png(8, chunk('tEXt', 3), chunk('acTL', 8), chunk('IDAT'))],
    ['a WebP with EXIF', /EXIF/, webp(8)],
    ['a WebP with EXIF and alpha', /EXIF/, webp(24)],
    ['a BMP of 16 bits', /BMP of 16 bits/, bmp(16)],
    ['a run-length coded BMP', /run-length coded/, bmp(8, 1)],
    ['a GIF with something transparent in an <img>', /transparent/, gif(1), 'HTMLImageElement'],
    ['a TIFF', /no PNG, JPEG, WebP, GIF or BMP/, text('II*\0....')],
    ['nothing', /no PNG, JPEG, WebP, GIF or BMP/, []],
  ])('%s', (_, words, bytes, kind = 'Blob') => refused(() => withSameBits(blob(bytes), kind), 'ESP0708', words));

  test.each<[string, number[]]>([
    ['JPEG', jpeg(3)],
    ['PNG of 16 bits in a Blob', png(16, chunk('IDAT'))],
    ['animation that shows its first picture', png(8, chunk('acTL', 8), chunk('fcTL', 26), chunk('IDAT'))],
    ['WebP without EXIF', webp(16)],
    ['GIF', gif(0)],
    ['BMP of 24 bits', bmp(24)],
  ])('but no %s', async (_, bytes) => {
    const file = blob(bytes);
    expect((await withSameBits(file, 'Blob')).blob).toBe(file);
  });

  test('of a GIF with something transparent the page decodes one without', async () => {
    const opaque = await withSameBits(blob(gif(1)), 'Blob');
    expect([...new Uint8Array(await opaque.blob.arrayBuffer())]).toEqual(gif(0));
  });
});

describe('images', () => {
  test.each([
    [0, 4],
    [4, 0],
    [Number.NaN, 4],
  ])('of %d x %d', (width, height) => refused(() => planSteps([], width, height), 'ESP0708', /no pixels/));

  test.each([2, 4])('for a program of %d channels', async (channels) => {
    const session = await load(copyProgram([resize], channels, 4, 4), { device: gpu.device });
    const image = { data: new Uint8Array(48), width: 4, height: 4 };
    await refused(
      () => session.run({ image }),
      'ESP0708',
      new RegExp(`1 or 3 channels, the program takes ${channels}`),
    );
    session.dispose();
  });

  test.each([34e6, 36e6])('with a row of %d pixels, which no binding holds', async (width) => {
    const session = await load(copyProgram([resize], 3, 4, 4), { device: gpu.device });
    const image = { data: new Uint8Array(width), width, height: 1 };
    await refused(() => session.run({ image }), 'ESP0708', /bytes at once while it is preprocessed/);
    session.dispose();
  });

  test.each([[{}], [{ data: new Uint8Array(3), width: 1 }], ['a.png']])('that are %j', (image) =>
    refused(() => captureImage(image as never), 'ESP0708', /./),
  );
});

type RunInput = Readonly<Record<string, unknown>>;

describe('a program of two inputs', () => {
  const { program, files } = copyProgram([resize], 3, 4, 4);
  const entries = program.entries.map((e) => ({ ...e, inputs: [...e.inputs, { ...e.inputs[0]!, name: 'other' }] }));
  const run = async (input: RunInput) => {
    const session = await load(sealed({ ...program, entries }, files), { device: gpu.device });
    try {
      await session.run(input as never);
    } finally {
      session.dispose();
    }
  };
  const image = { data: new Uint8Array(48), width: 4, height: 4 };
  const items = (n: number) => new Float32Array(48 * n);

  test.each<[string, RegExp, RunInput]>([
    ['given an image', /something else than one image/, { image }],
    ['given images', /something else than one image/, { images: [image, image] }],
    [
      'given two items of one',
      /inputs differ in their number of items: 2, 1/,
      { tensors: { image: items(2), other: items(1) } },
    ],
    [
      'given three of the other',
      /inputs differ in their number of items: 1, 3/,
      { tensors: { image: items(1), other: items(3) } },
    ],
  ])('%s', (_, words, input) => refused(() => run(input), 'ESP0708', words));
});

describe('devices', () => {
  const adapter = (message: string) =>
    ({
      features: new Set(),
      limits: gpu.adapter.limits,
      info: {},
      requestDevice: async () => {
        throw new Error(message);
      },
    }) as unknown as GPUAdapter;
  const reporting = (scope: string) => {
    const open: string[] = [];
    return {
      pushErrorScope: (name: string) => open.push(name),
      popErrorScope: async () => (open.pop() === scope ? { message: 'said' } : null),
    } as unknown as GPUDevice;
  };

  test.each<[string, string, RegExp, () => unknown]>([
    [
      'an adapter that gives none',
      'ESP0701',
      /gives no device: lost/,
      () => requestDevice(adapter('lost'), tinyProgram().program, false),
    ],
    [
      'an adapter that is used up',
      'ESP0701',
      /gives no device: consumed/,
      () => requestDevice(adapter('consumed'), tinyProgram().program, true),
    ],
    ['more than any gives', 'ESP0701', /gives no device/, () => openDevice({ limits: { maxBufferSize: 2 ** 60 } })],
    ['a driver that nobody knows', 'ESP0710', /unknown driver `cuda`/, () => openGpu('cuda')],
    ['a driver in capitals', 'ESP0710', /unknown driver `Lavapipe`/, () => openGpu('Lavapipe')],
    ['memory', 'ESP0704', /out of GPU memory here: said/, () => guarded(reporting('out-of-memory'), 'here', () => 7)],
    [
      'memory, later',
      'ESP0704',
      /out of GPU memory there: said/,
      () => guarded(reporting('out-of-memory'), 'there', () => 8),
    ],
    ['a call', 'ESP0705', /here: said/, () => guarded(reporting('validation'), 'here', () => 7)],
    ['itself', 'ESP0705', /here: said/, () => guarded(reporting('internal'), 'here', () => 7)],
  ])('%s', (_, code, words, work) => refused(work, code, words));

  test.each([null, undefined])('a page whose WebGPU offers %j', async (offered) => {
    vi.stubGlobal('navigator', { gpu: { requestAdapter: async () => offered } });
    try {
      await refused(() => load(tinyProgram()), 'ESP0701', /offers no adapter/);
    } finally {
      vi.unstubAllGlobals();
    }
  });

  test('a place that is neither a page nor Node', async () => {
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('process', { ...process, versions: {} });
    try {
      await refused(() => load(tinyProgram()), 'ESP0701', /there is no WebGPU here/);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});
