/** Tiny programs written by hand: y = a * relu(x) + b over [batch, 4], in a folder's form, with parts that tests break on purpose. */
import { createHash } from 'node:crypto';
import { checkProgram } from '../../runtime/program/check.js';
import {
  type Entry,
  type KernelVariant,
  type PreprocessStep,
  type Program,
  type Unsealed,
  VERSION,
} from '../../runtime/program/program.js';

/** A safetensors file of f32 tensors. */
export function safetensors(
  tensors: Readonly<Record<string, { shape: readonly number[]; data: readonly number[] | Float32Array }>>,
): Uint8Array {
  let at = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [at, at + data.length * 4] };
    at += data.length * 4;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  let o = 8 + text.length;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(Float32Array.from(data).buffer), o);
    o += data.length * 4;
  }
  return bytes;
}

const BINDINGS = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
`;
/** relu, then times `a` of the column; \`plus\` is what a broken kernel adds. */
export const scaleWgsl = (plus = '') => `${BINDINGS}
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&y)) { return; }
  y[id.x] = max(x[id.x], 0.0) * a[id.x % 4u] ${plus};
}`;
const SHIFT = `
@group(0) @binding(0) var<storage, read_write> t: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&y)) { return; }
  y[id.x] = t[id.x] + b[id.x % 4u];
}`;

export const A = [1, 2, 3, 4];
export const B = [0.5, -0.5, 10, 0];
/** What the program computes. */
export const expected = (x: ArrayLike<number>): Float32Array =>
  Float32Array.from(x, (v, i) => Math.max(v, 0) * A[i % 4]! + B[i % 4]!);

const PORTABLE: KernelVariant = { name: 'portable', requires: {}, file: 'scale.wgsl', rank: 0 };
/** Rows that differ in every element. */
const GOLDEN = [1, -2, 3, 0.25, -1, 2, 0.5, 4, 0.75, 5, -3, 2];
const GOLDEN_ROWS = 3;

function entry(samples: number, variants: number): Entry {
  const bytes = 16;
  const io = (name: string) => ({ name, dtype: 'f32' as const, shape: [1, 4], samples: true });
  const arena = { kind: 'arena', slab: 0, offset: 256, bytes } as const;
  const common = { flops: 4, bytes: 3 * bytes };
  const workgroups = { tiles: [{ samples: 1, by: 1 }, 1, 1] } as const;
  return {
    name: 'infer',
    samples,
    inputs: [io('x')],
    outputs: [io('logits')],
    updates: [],
    slabs: [{ bytes: 512, samples: true }],
    dispatches: [
      {
        kernel: 0,
        bindings: [
          { kind: 'input', index: 0, offset: 0, bytes },
          { kind: 'weight', name: 'a', offset: 0, bytes: 16 },
          arena,
        ],
        workgroups: Array.from({ length: variants }, () => workgroups),
        label: 'scale',
        ...common,
      },
      {
        kernel: 1,
        bindings: [
          arena,
          { kind: 'weight', name: 'b', offset: 0, bytes: 16 },
          { kind: 'output', index: 0, offset: 0, bytes },
        ],
        workgroups: [workgroups],
        label: 'shift',
        ...common,
      },
    ],
  };
}

export interface TinyOptions {
  /** The most of a pass (default 1). */
  readonly samples?: number;
  /** Variants of the first kernel before the portable one; their files are added with `files`. */
  readonly variants?: readonly KernelVariant[];
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** What the last variant of the first kernel requires, which ought to be nothing. */
  readonly portable?: KernelVariant['requires'];
  readonly golden?: boolean;
  readonly labels?: readonly string[];
  readonly several?: true;
}

export interface Tiny {
  readonly program: Program;
  readonly files: Map<string, string | Uint8Array>;
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');

/** The digest of a program's own, by another library than the runtime's; one whose form is wrong stays as it is. */
export function withDigest(program: Program): Program {
  try {
    const { digest: _, ...whole } = checkProgram(program);
    return { ...whole, digest: sha256(JSON.stringify(whole)) };
  } catch {
    return program;
  }
}

/**
 * Gives a program the digests of its files and of itself, by another library than the runtime's. One whose form is wrong keeps the wrong form, and
 * gets any digest.
 */
export function sealed(program: Unsealed, files: Tiny['files']): Tiny {
  const listed = [...files].map(([name, content]) => ({
    name,
    bytes: Buffer.byteLength(content),
    sha256: sha256(content),
  }));
  return { program: withDigest({ ...(program as Program), files: listed, digest: '0'.repeat(64) }), files };
}

export function tinyProgram({
  samples = 1,
  variants = [],
  files = {},
  portable = {},
  golden = true,
  labels,
  several,
}: TinyOptions = {}): Tiny {
  const program: Unsealed = {
    format: 'espalier.program',
    version: VERSION,
    name: 'tiny',
    compiler: 'test',
    kernels: [
      {
        name: 'scale',
        archetype: 'pointwise',
        bindings: ['read', 'read', 'read_write'],
        variants: [...variants, { ...PORTABLE, requires: portable }],
      },
      {
        name: 'shift',
        archetype: 'pointwise',
        bindings: ['read_write', 'read', 'read_write'],
        variants: [{ name: 'portable', requires: {}, file: 'shift.wgsl', rank: 0 }],
      },
    ],
    entries: [entry(samples, variants.length + 1)],
    weights: [
      { name: 'a', parameter: 'a', dtype: 'f32', shape: [4], layout: 'rows', bytes: 16, start: 'file' },
      { name: 'b', parameter: 'b', dtype: 'f32', shape: [4], layout: 'rows', bytes: 16, start: 'file' },
    ],
    weightFiles: ['weights.safetensors'],
    ...(labels ? { labels } : {}),
    ...(several ? { several } : {}),
    ...(golden
      ? { golden: { rows: GOLDEN_ROWS, inputs: ['x'], outputs: ['logits'], tolerance: 1e-5, from: { by: 'f64' } } }
      : {}),
    summary: {
      parameters: { total: 8, trainable: 0, frozen: 8 },
      kernels: 2,
      dispatches: 2,
      flops: 8,
      sparseFlops: 0,
      weightBytes: 32,
      peakBytes: 1024,
      leastBytes: 1024,
    },
  };
  const shape = [GOLDEN_ROWS, 4];
  return sealed(
    program,
    new Map(
      Object.entries({
        'scale.wgsl': scaleWgsl(),
        'shift.wgsl': SHIFT,
        'weights.safetensors': safetensors({ a: { shape: [4], data: A }, b: { shape: [4], data: B } }),
        'golden.safetensors': safetensors({ x: { shape, data: GOLDEN }, logits: { shape, data: expected(GOLDEN) } }),
        ...files,
      }),
    ),
  );
}

/** A program whose only kernel copies its image input to its output, so that what preprocessing wrote can be read. */
export function copyProgram(
  preprocess: readonly PreprocessStep[],
  channels: number,
  height: number,
  width: number,
  samples = 1,
): Tiny {
  const shape = [1, channels, height, width];
  const count = shape.reduce((a, b) => a * b, 1);
  const bytes = count * 4;
  const program: Unsealed = {
    ...tinyProgram({ golden: false }).program,
    kernels: [
      {
        name: 'copy',
        archetype: 'pointwise',
        bindings: ['read', 'read_write'],
        variants: [{ name: 'portable', requires: {}, file: 'copy.wgsl', rank: 0 }],
      },
    ],
    entries: [
      {
        name: 'infer',
        samples,
        inputs: [{ name: 'image', dtype: 'f32', shape, samples: true }],
        outputs: [{ name: 'pixels', dtype: 'f32', shape, samples: true }],
        updates: [],
        slabs: [],
        dispatches: [
          {
            kernel: 0,
            bindings: [
              { kind: 'input', index: 0, offset: 0, bytes },
              { kind: 'output', index: 0, offset: 0, bytes },
            ],
            workgroups: [{ tiles: [{ samples: count, by: 64 }, 1, 1] }],
            flops: 0,
            bytes: 2 * bytes,
            label: 'copy',
          },
        ],
      },
    ],
    weights: [],
    weightFiles: [],
    preprocess,
  };
  const copy = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&y)) { y[id.x] = x[id.x]; }
}`;
  return sealed(program, new Map([['copy.wgsl', copy]]));
}
