/** The safetensors reader believes nothing: good files come back as they were written, bad ones are refused without cost. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EspalierError } from '../../src/diagnostics/types.js';
import { type ByteSource, checkRange, memorySource } from '../../src/formats/tensors/bytes.js';
import { readTensor, storeTensor } from '../../src/formats/tensors/elements.js';
import {
  encodeSafetensors,
  readHeader,
  type StoredTensor,
  type StoredType,
} from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';

/** A file of this header and so many bytes of data. */
function file(header: string, data = 0, claimed?: bigint): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + data);
  new DataView(bytes.buffer).setBigUint64(0, claimed ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await readHeader(memorySource('x.safetensors', bytes));
    return 'read';
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return `${error.diagnostics[0]!.code} ${error.diagnostics[0]!.message}`;
  }
}

const one = (dtype: string, shape: unknown, range: unknown): string =>
  JSON.stringify({ w: { dtype, shape, data_offsets: range } });

describe('a file', () => {
  test('comes back as it was written, in every dtype', async () => {
    const tensors = new Map<string, StoredTensor>([
      ['a.f32', storeTensor({ type: { dtype: 'f32', shape: [2, 3] }, data: Float32Array.of(1, -2, 3.5, 0, 1e-30, 7) })],
      ['b.f16', storeTensor({ type: { dtype: 'f32', shape: [2] }, data: Float32Array.of(0.5, -3) }, 'F16')],
      ['c.bf16', storeTensor({ type: { dtype: 'f32', shape: [2] }, data: Float32Array.of(0.5, -3) }, 'BF16')],
      ['d.f64', storeTensor({ type: { dtype: 'f32', shape: [1] }, data: Float64Array.of(0.1) }, 'F64')],
      ['e.i32', storeTensor({ type: { dtype: 'i32', shape: [2] }, data: Int32Array.of(-5, 6) })],
      ['f.bool', storeTensor({ type: { dtype: 'bool', shape: [3] }, data: Uint8Array.of(1, 0, 1) })],
      ['g.u8', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 255, 3) }],
      ['h.i64', { dtype: 'I64', shape: [2], data: new Uint8Array(BigInt64Array.of(-7n, 2147483647n).buffer) }],
      ['i.empty', storeTensor({ type: { dtype: 'f32', shape: [0, 4] }, data: new Float32Array(0) })],
      ['j.scalar', storeTensor({ type: { dtype: 'f32', shape: [] }, data: Float32Array.of(9) })],
    ]);
    const store = await openSafetensors(memorySource('x', encodeSafetensors(tensors, { format: 'pt' })));
    expect(store.metadata).toEqual({ format: 'pt' });
    const read = Object.fromEntries(
      await Promise.all([...store.tensors].map(async ([n, e]) => [n, Array.from((await e.read()).data)] as const)),
    );
    expect(read).toEqual({
      'a.f32': [1, -2, 3.5, 0, Math.fround(1e-30), 7],
      'b.f16': [0.5, -3],
      'c.bf16': [0.5, -3],
      'd.f64': [Math.fround(0.1)],
      'e.i32': [-5, 6],
      'f.bool': [1, 0, 1],
      'g.u8': [1, 255, 3],
      'h.i64': [-7, 2147483647],
      'i.empty': [],
      'j.scalar': [9],
    });
  });

  test('is read from any offset of a buffer, aligned or not', async () => {
    const t = storeTensor({ type: { dtype: 'f32', shape: [2] }, data: Float32Array.of(1.5, -2) });
    const bytes = encodeSafetensors(new Map([['w', t]]));
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    const store = await openSafetensors(memorySource('x', shifted.subarray(1)));
    expect(Array.from((await store.tensors.get('w')!.read()).data)).toEqual([1.5, -2]);
  });

  test('starts its data at a multiple of 8 and keeps every tensor aligned', async () => {
    const tensors = new Map<string, StoredTensor>([
      ['z', { dtype: 'U8', shape: [3], data: new Uint8Array(3) }],
      ['é', { dtype: 'F32', shape: [1], data: new Uint8Array(4) }],
      ['a', { dtype: 'I64', shape: [1], data: new Uint8Array(8) }],
    ]);
    const header = await readHeader(memorySource('x', encodeSafetensors(tensors)));
    for (const info of header.tensors.values()) {
      const width = { I64: 8, F32: 4, U8: 1 }[info.dtype as 'I64' | 'F32' | 'U8'];
      expect(info.offset % width).toBe(0);
    }
  });

  test('keeps names that JavaScript objects treat specially', async () => {
    const t: StoredTensor = { dtype: 'U8', shape: [1], data: Uint8Array.of(4) };
    const names = ['__proto__', 'constructor', '10', '2'];
    const store = await openSafetensors(memorySource('x', encodeSafetensors(new Map(names.map((n) => [n, t])))));
    expect([...store.tensors.keys()].sort()).toEqual([...names].sort());
  });
});

const W = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';

test('in a Buffer that begins anywhere in its memory', async () => {
  const data = Float32Array.of(1.5, -2, 3);
  const file = encodeSafetensors(new Map([['w', { dtype: 'F32', shape: [3], data: new Uint8Array(data.buffer) }]]));
  for (let at = 0; at < 4; at++) {
    const pool = Buffer.alloc(file.length + 8);
    pool.set(file, at);
    const store = await openSafetensors(memorySource('pool', pool.subarray(at, at + file.length)));
    expect((await store.tensors.get('w')!.read()).data).toEqual(data);
  }
});

test('no elements at all, and colons and quotes in names', async () => {
  const names = ['a:b', '"q": "\\', '{', '\u{1F333}:'];
  const none: StoredTensor = { dtype: 'F32', shape: [0, 4], data: new Uint8Array(0) };
  const bytes = encodeSafetensors(new Map(names.map((n) => [n, none])), { 'k:': 'v":' });
  const store = await openSafetensors(memorySource('x', bytes));
  expect([...store.tensors.keys()].sort()).toEqual([...names].sort());
  const empty = await store.tensors.get('a:b')!.read();
  expect([empty.type.shape, empty.data.length]).toEqual([[0, 4], 0]);
});

describe('a bad file', () => {
  test.each([
    ['nothing', new Uint8Array(0), 'ESP0502', 'only 0 bytes'],
    ['a header longer than the file', file('{}', 0, 1n << 60n), 'ESP0502', 'claims 1,152,921,504,606,846,976 bytes'],
    ['a header beyond the format’s limit', file('{}', 0, 18446744073709551615n), 'ESP0502', 'claims'],
    ['no JSON', file('{"w"'), 'ESP0502', 'not JSON'],
    [
      'invalid UTF-8',
      file('').length ? new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe]) : file(''),
      'ESP0502',
      'not JSON',
    ],
    ['a list', file('[]'), 'ESP0502', 'not a JSON object'],
    ['metadata of numbers', file('{"__metadata__":{"a":1}}'), 'ESP0502', 'strings'],
    ['a tensor that is a number', file('{"w":3}'), 'ESP0503', 'object'],
    ['a tensor of no dtype', file('{"w":{}}'), 'ESP0503', 'no dtype'],
    ['an unknown dtype', file(one('F4', [1], [0, 1]), 1), 'ESP0504', 'F4'],
    ['a dtype of Object.prototype', file(one('toString', [1], [0, 1]), 1), 'ESP0504', 'toString'],
    ['a negative size', file(one('U8', [-1], [0, 1]), 1), 'ESP0503', 'counts'],
    ['a fractional size', file(one('U8', [1.5], [0, 1]), 1), 'ESP0503', 'counts'],
    ['a size beyond all memory', file(one('F32', [2 ** 40, 2 ** 40], [0, 4]), 4), 'ESP0503', 'impossible'],
    ['too few bytes for the shape', file(one('F32', [2, 2], [0, 12]), 12), 'ESP0503', 'needs 16'],
    ['a range backwards', file(one('U8', [0], [4, 0]), 4), 'ESP0503', 'before it begins'],
    ['a range past the end', file(one('F32', [4], [0, 16]), 8), 'ESP0503', 'cut off'],
    ['three offsets', file(one('U8', [1], [0, 1, 2]), 1), 'ESP0503', 'no range'],
    ['bytes left over', file(one('U8', [1], [0, 1]), 5), 'ESP0502', 'after the last tensor are 4 bytes'],
    ['a gap before the first', file(one('U8', [1], [1, 2]), 2), 'ESP0502', 'belong to no tensor'],
    ['a tensor twice', file(`{"w":${W},"w":${W}}`, 4), 'ESP0502', 'twice'],
    ['a tensor twice, once escaped', file(`{"w":${W},"\\u0077":${W}}`, 4), 'ESP0502', 'twice'],
    ['two shapes', file(`{"w":{"shape":[2],${W.slice(1)}}`, 4), 'ESP0502', 'twice'],
    [
      'an overlap',
      file(
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
        6,
      ),
      'ESP0502',
      'overlap',
    ],
    [
      'the pointer that Git LFS leaves',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:0'),
      'ESP0502',
      'claims',
    ],
  ])('%s', async (_, bytes, code, words) => {
    const said = await codeOf(bytes);
    expect(said).toContain(code);
    expect(said).toContain(words);
  });

  test('an integer beyond 32 bits is refused when it is read', async () => {
    const data = new Uint8Array(BigInt64Array.of(2147483648n).buffer);
    const source = memorySource('x', encodeSafetensors(new Map([['n', { dtype: 'I64', shape: [1], data }]])));
    const header = await readHeader(source);
    await expect(readTensor(source, 'n', header.tensors.get('n')!)).rejects.toThrow('ESP0505');
  });
});

/** Bytes that note how much was asked for, and fail when it is more than there is. */
function watched(bytes: Uint8Array): ByteSource & { asked: number } {
  const source = {
    name: 'fuzz',
    size: bytes.length,
    asked: 0,
    read: async (offset: number, length: number) => {
      checkRange('fuzz', bytes.length, offset, length);
      source.asked += length;
      return bytes.slice(offset, offset + length);
    },
  };
  return source;
}

/** Reads everything; returns whether it was accepted. Anything but an EspalierError is a defect and propagates. */
async function survives(bytes: Uint8Array): Promise<boolean> {
  const source = watched(bytes);
  try {
    const header = await readHeader(source);
    expect(source.asked).toBeLessThanOrEqual(bytes.length);
    let sum = 0;
    for (const [name, info] of header.tensors) {
      sum += info.bytes;
      try {
        const t = await readTensor(source, name, info);
        expect(t.data.length).toBe(info.shape.reduce((a, b) => a * b, 1));
      } catch (error) {
        if (!(error instanceof EspalierError)) throw error;
      }
    }
    expect(sum).toBeLessThanOrEqual(bytes.length - 8);
    return true;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    expect(source.asked).toBeLessThanOrEqual(bytes.length);
    return false;
  }
}

describe('fuzzing', () => {
  const dtypes: StoredType[] = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'U8', 'BOOL', 'I8', 'U16', 'F8_E4M3', 'C64'];
  const number = fc.oneof(fc.nat(40), fc.integer(), fc.double(), fc.constantFrom(2 ** 31, 2 ** 53, 2 ** 53 - 1, 1e300));
  const entry = fc.record(
    {
      dtype: fc.oneof(fc.constantFrom<string>(...dtypes), fc.string({ maxLength: 4 })),
      shape: fc.oneof(fc.array(number, { maxLength: 4 }), fc.jsonValue()),
      data_offsets: fc.oneof(fc.tuple(number, number), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );

  test('4,000 files of any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        await survives(bytes);
      }),
      { numRuns: 4000 },
    );
  });

  test('4,000 headers that are JSON and lie', async () => {
    const header = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.dictionary(fc.string({ maxLength: 6 }), entry, { maxKeys: 4 }) as fc.Arbitrary<unknown>,
      },
      { weight: 1, arbitrary: fc.jsonValue() as fc.Arbitrary<unknown> },
    );
    await fc.assert(
      fc.asyncProperty(header, fc.nat(80), async (json, data) => {
        await survives(file(JSON.stringify(json), data));
      }),
      { numRuns: 4000 },
    );
  });

  test('4,000 good files with a few bytes changed, cut off or added', async () => {
    let accepted = 0;
    const good = encodeSafetensors(
      new Map<string, StoredTensor>([
        ['a', { dtype: 'F32', shape: [2, 2], data: new Uint8Array(16) }],
        ['b', { dtype: 'I64', shape: [1], data: new Uint8Array(8) }],
        ['c', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
      ]),
      { format: 'pt' },
    );
    const edits = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(edits, fc.integer({ min: -20, max: 20 }), async (changes, growth) => {
        const bytes = new Uint8Array(good.length + growth);
        bytes.set(good.subarray(0, bytes.length));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        if (await survives(bytes)) accepted++;
        if (growth !== 0 && changes.length === 0) expect(await survives(bytes)).toBe(false);
      }),
      { numRuns: 4000 },
    );
    // The cases that change nothing, or only data, and none that cuts or adds.
    expect(accepted).toBeGreaterThan(20);
  });
});

test('metadata that are null are none', async () => {
  const store = await openSafetensors(memorySource('m', file('{"__metadata__":null}')));
  expect([store.metadata, store.tensors.size]).toEqual([{}, 0]);
});
