/** The kinds `safetensors`, `config`, `idx` and `image`: files that come from elsewhere. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesFile } from '../../runtime/program/files.js';
import { readSafetensors } from '../../runtime/program/safetensors.js';
import { analyse } from '../../src/api/analyse.js';
import { loadParameters } from '../../src/api/parameters.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { encodeMasks, isMaskFile, readMasks } from '../../src/formats/adapters/masks.js';
import { type OpenCheckpoint, openCheckpoint } from '../../src/formats/checkpoint.js';
import { decodeImage } from '../../src/formats/node/images.js';
import { type ByteSource, memorySource } from '../../src/formats/tensors/bytes.js';
import { readIdx } from '../../src/formats/tensors/idx.js';
import { encodeSafetensors, type StoredTensor, type StoredType } from '../../src/formats/tensors/safetensors.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { memoryFolder } from '../folders.js';
import { Broken, type Kind, outcomeOfError } from './case.js';
import { type Files, filesOf, memoryHost, ROOT } from './host.js';
import { mutateBytes, mutateJson, mutateJsonText, someNumber } from './mutate.js';
import type { Random } from './random.js';

/** Reads every tensor that the file has room for. */
async function readEverything({ store }: OpenCheckpoint, room: number): Promise<void> {
  for (const entry of store.tensors.values()) {
    // A tensor of no bytes may have any shape: what is computed from it must not be larger than the file.
    if (sizeOf(entry.shape) > 8 * room + 1024)
      throw new Broken(`a tensor of ${sizeOf(entry.shape)} elements in ${room} bytes`);
    await entry.read();
  }
  if (isMaskFile(store)) await readMasks(store);
}

const ones = (shape: number[]) => tensor(shape, new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1));
const TYPES: [StoredType, number][] = [
  ['F32', 4],
  ['F64', 8],
  ['F16', 2],
  ['BF16', 2],
  ['I64', 8],
  ['U8', 1],
  ['BOOL', 1],
  ['I16', 2],
];
const TENSOR_FILES: readonly Uint8Array[] = [
  encodeSafetensors(
    new Map(
      TYPES.map(([dtype, width], i): [string, StoredTensor] => [
        `t${i}`,
        { dtype, shape: [2, i], data: new Uint8Array(2 * i * width) },
      ]),
    ),
    { format: 'pt' },
  ),
  encodeAdapter(
    new Map([
      ['base.blocks.0.attn.qkv@lora.A', ones([2, 8])],
      ['base.blocks.0.attn.qkv@lora.B', ones([24, 2])],
    ]),
  ),
  encodeMasks(new Map([['base.blocks.0.mlp.fc1.weight#mask', ones([4, 4])]])),
];

/** The bytes with another header, whose length is right unless it is to lie. */
function withHeader(random: Random, bytes: Uint8Array, header: Uint8Array): Uint8Array {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const data = bytes.subarray(8 + length);
  const out = new Uint8Array(8 + header.length + data.length);
  const said = random.chance(0.03) ? BigInt.asUintN(64, BigInt(Math.trunc(someNumber(random)))) : BigInt(header.length);
  new DataView(out.buffer).setBigUint64(0, said, true);
  out.set(header, 8);
  out.set(data, 8 + header.length);
  return out;
}

export const safetensors: Kind = {
  weight: 20,
  make(random) {
    const bytes = random.pick(TENSOR_FILES);
    if (random.chance(0.25)) return { mode: '', files: { 'x.safetensors': mutateBytes(random, bytes) } };
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    return { mode: '', files: { 'x.safetensors': withHeader(random, bytes, mutateJsonText(random, header)) } };
  },
  async run(files) {
    const bytes = files['x.safetensors']!;
    const runtime = await readSafetensors('x', bytesFile(bytes)).then(
      () => ({ kind: 'ok' }) as const,
      (error: unknown) => outcomeOfError(error),
    );
    if (runtime.kind === 'finding') throw new Broken(`in the runtime: ${runtime.signature}`);
    await readEverything(await openCheckpoint(memorySource('x.safetensors', bytes)), bytes.length);
    return [];
  },
};

// ---- Folders with configurations -----------------------------------------------------------------------------------

const FOLDERS: readonly Files[] = [
  filesOf('test/fixtures/vit-grey'),
  filesOf('test/fixtures/vit-odd'),
  filesOf('test/fixtures/vit-shards'),
  filesOf('test/fixtures/convnext'),
  filesOf('test/fixtures/sam/vision'),
  filesOf('examples/fashion/adapters/lora-mnist'),
];
const jsonOf = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));
/** The fields that are read are few among many: a change is as likely to hit one of them. */
const PATTERNS = {
  rank_pattern: { 'vit.layers.0.attention.q_proj': 4, '^(a+)+$': 2, '.*layers\\.[01]\\..*': 8 },
  alpha_pattern: { q_proj: 32 },
  target_modules: '.*\\.(q_proj|v_proj)',
  layers_to_transform: [0, 1],
};

function makeFolder(random: Random): Files {
  const files: Record<string, Uint8Array> = { ...random.pick(FOLDERS) };
  const names = Object.keys(files).filter((name) => name.endsWith('.json'));
  for (const name of random.chance(0.8) ? [random.pick(names)] : names) {
    const json = jsonOf(files[name]!);
    const more = name === 'adapter_config.json' && random.chance(0.5) ? { ...(json as object), ...PATTERNS } : json;
    files[name] = mutateJsonText(random, random.chance(0.2) ? mutateJson(random, more) : more);
  }
  if (random.chance(0.05)) delete files[random.pick(Object.keys(files))];
  // Weights are most of the bytes, and are fuzzed on their own; some go into the case with a changed header.
  if (random.chance(0.1)) {
    const name = Object.keys(files).find((f) => f.endsWith('.safetensors'));
    if (name) files[name] = mutateBytes(random, files[name]!.subarray(0, 4000));
  }
  return files;
}

const HEAD = '  head = classify(base, classes: 3)\n';
/** What a configuration means, a variant says: by its model type, and whatever has lost its name is read as a ViT. */
const FAMILIES: Readonly<Record<string, readonly [variant: string, head: string]>> = {
  convnext: ['convnext_auto', HEAD],
  sam_vision_model: ['sam_auto', ''],
};
const backbone = (type: unknown): string => {
  const [variant, head] = FAMILIES[String(type)] ?? ['vit_auto', HEAD];
  return `use std\nmodel M {\n  base = ${variant}() from "./own"\n${head}}\n`;
};
const ADAPTER = `use std
model M {
  base = vit_auto() from "./vit-fashion"
  head = classify(base, pool: cls)
  adapt base.blocks[*].attn.qkv.q, base.blocks[*].attn.qkv.v with lora(rank: 8, alpha: 16) from "./own"
  tune head from "./own"
}
`;

export const config: Kind = {
  weight: 15,
  make: (random) => ({
    mode: random.weighted([
      [1, 'open'],
      [8, 'analyse'],
      [1, 'load'],
    ]),
    files: makeFolder(random),
  }),
  async run(files, mode) {
    const folder = memoryFolder('own', files);
    const opened = await openCheckpoint(folder);
    if (mode === 'open') return [];
    const host = memoryHost({}, folder);
    const type = opened.facts.config?.json.model_type;
    const spec = { text: opened.kind === 'peft' ? ADAPTER : backbone(type), path: 'spec.peft' };
    const { value, diagnostics } = await analyse(spec, { host });
    const errors = diagnostics.filter((d) => d.severity === 'error').map((d) => d.code);
    if (errors.length > 0) return errors;
    if (!value?.elaborated) throw new Broken('neither a value nor an error');
    if (mode === 'load') await loadParameters({ ...value, elaborated: value.elaborated });
    return [];
  },
};

// ---- IDX and images -------------------------------------------------------------------------------------------------

function idxFile(random: Random): Uint8Array {
  const shape = Array.from({ length: random.below(5) }, () =>
    random.chance(0.1) ? Math.abs(Math.trunc(someNumber(random))) : random.below(5),
  );
  const size = shape.reduce((a, b) => a * b, 1);
  const bytes = new Uint8Array(4 + 4 * shape.length + Math.min(size || 0, 4096));
  bytes.set([0, 0, 8, shape.length]);
  shape.forEach((n, i) => {
    new DataView(bytes.buffer).setUint32(4 + 4 * i, n % 2 ** 32, false);
  });
  return random.chance(0.6) ? mutateBytes(random, bytes) : bytes;
}

export const idx: Kind = {
  weight: 4,
  make: (random) => ({ mode: '', files: { 'x.idx': idxFile(random) } }),
  async run(files) {
    const { shape, data } = await readIdx(memorySource('x.idx', files['x.idx']!) satisfies ByteSource);
    if (sizeOf(shape) !== data.length) throw new Broken('another size than the shape says');
    return [];
  },
};

const IMAGES: readonly Uint8Array[] = [
  'examples/fashion/images/digits/0/00003.png',
  'examples/fashion/images/clothes/Bag/00018.png',
].map((path) => new Uint8Array(readFileSync(join(ROOT, path))));
const SVG = new TextEncoder().encode(
  '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="7"><rect width="5" height="4" fill="red"/></svg>',
);
const GIF = new Uint8Array(Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64'));

export const image: Kind = {
  weight: 3,
  make: (random) => ({
    mode: '',
    files: { 'x.png': mutateBytes(random, random.pick([...IMAGES, ...IMAGES, GIF, SVG])) },
  }),
  async run(files) {
    const { data, width, height } = await decodeImage(files['x.png']!, 'x.png');
    if (data.length !== 4 * width * height) throw new Broken('not four bytes a pixel');
    return [];
  },
};
