/** Checkpoints that do not fit the spec: what is said of each, and where. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { loadParameters } from '../../src/api/parameters.js';
import { type Diagnostic, EspalierError } from '../../src/diagnostics/types.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { type ByteSource, memorySource } from '../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { toHalves } from '../../src/formats/tensors/float16.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { Tensor } from '../../src/ir/types.js';
import { FIXTURES, host, readTensors } from '../api/support.js';
import { good } from '../dsl/semantics/helper.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';
import { resultOf } from './support.js';

const PLAIN = join(FIXTURES, 'timm', 'plain');
const saved = await readTensors(join(PLAIN, 'model.safetensors'));
const FC1 = 'blocks.1.mlp.fc1.weight';

const fileOf = (tensors: ReadonlyMap<string, Tensor>) =>
  encodeSafetensors(new Map([...tensors].map(([n, t]) => [n, storeTensor(t)])));
// Not all of the library: each variant in reach is looked at for what a file looks like.
const spec = (base: string, rest = '  head = classify(base)', parts = ['vit', 'heads', 'convnext']) => ({
  text: `${parts.map((p) => `use std.${p}\n`).join('')}model M {\n  base = ${base} from "f"\n${rest}\n}\n`,
  path: 's.peft',
});
const of = (files: Record<string, string | Uint8Array>): Host => ({
  ...host,
  openCheckpoint: () => openCheckpoint(memoryFolder('f', files)),
});
/** The plain folder, with its tensors changed. */
const changed = (change: (tensors: Map<string, Tensor>) => void): Host => {
  const tensors = new Map(saved);
  change(tensors);
  return of({ 'config.json': readFileSync(join(PLAIN, 'config.json'), 'utf8'), 'model.safetensors': fileOf(tensors) });
};

async function said(s: ReturnType<typeof spec>, on: Host): Promise<readonly Diagnostic[]> {
  try {
    await loadParameters(await analyseModel(s, { host: on }));
    return [];
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return error.diagnostics;
  }
}
const textOf = (diagnostics: readonly Diagnostic[]) =>
  diagnostics.map((d) => [`${d.code}: ${d.message}`, ...d.help].join('\n')).join('\n');

describe('tensors that do not fit', () => {
  test.each<[string, (t: Map<string, Tensor>) => void, RegExp]>([
    ['missing', (t) => t.delete(FC1), /ESP0510[\s\S]*missing \(1\):\n {4}blocks\.1\.mlp\.fc1\.weight \[32, 8\]/],
    [
      'under another name',
      (t) => t.set('blocks.1.mlp.fc_1.weight', t.get(FC1)!) && t.delete(FC1),
      /missing \(1\):[\s\S]*nearest: blocks\.1\.mlp\.fc_1\.weight[\s\S]*unexpected \(1\):\n {4}blocks\.1\.mlp\.fc_1\.weight \[32, 8\]/,
    ],
    [
      'extra',
      (t) => t.set('blocks.2.mlp.fc1.weight', t.get(FC1)!),
      /ESP0510[\s\S]*unexpected \(1\):\n {4}blocks\.2\.mlp\.fc1\.weight \[32, 8\][\s\S]*`ignore "blocks\.2\.mlp\.fc1\.weight"`/,
    ],
    [
      'transposed',
      (t) => t.set(FC1, { ...t.get(FC1)!, type: { dtype: 'f32', shape: [8, 32] } }),
      /ESP0510[\s\S]*of another shape \(1\):\n {4}blocks\.1\.mlp\.fc1\.weight is \[8, 32\], the model has \[32, 8\], the other way round/,
    ],
    [
      'of whole numbers',
      (t) => t.set(FC1, { type: { dtype: 'i32', shape: [32, 8] }, data: new Int32Array(256) }),
      /blocks\.1\.mlp\.fc1\.weight is stored as I32, the model has f32/,
    ],
  ])('%s', async (_, change, words) => {
    const found = await said(spec('vit_auto()'), changed(change));
    expect(textOf(found)).toMatch(words);
    expect(found.map((d) => d.primary?.span.file)).toEqual(['s.peft']);
  });

  test('half precision is read as it is', async () => {
    const { pixels, logits64 } = Object.fromEntries(await readTensors(join(PLAIN, 'reference.safetensors')));
    const halves = (narrow: (data: Float32Array) => Uint8Array, dtype: 'F16' | 'BF16'): Host => {
      const stored = [...saved].map(([name, t]) => {
        const data = Float32Array.from(t.data);
        return [name, { dtype, shape: t.type.shape, data: narrow(data) }] as const;
      });
      return of({
        'config.json': readFileSync(join(PLAIN, 'config.json'), 'utf8'),
        'model.safetensors': encodeSafetensors(new Map(stored)),
      });
    };
    const bf16 = (data: Float32Array) => {
      const bits = new Uint32Array(data.buffer);
      return new Uint8Array(Uint16Array.from(bits, (b) => (b + 0x8000) >>> 16).buffer);
    };
    const f16 = (data: Float32Array) => new Uint8Array(toHalves(data).buffer);
    for (const [on, most] of [
      [halves(f16, 'F16'), 5e-3],
      [halves(bf16, 'BF16'), 5e-2],
    ] as const) {
      const found = maxDifference(await resultOf(spec('vit_auto()'), pixels!, logits64!, on), logits64!);
      // What rounding the weights changes, and no more.
      expect(found).toBeGreaterThan(1e-6);
      expect(found).toBeLessThan(most);
    }
  });
});

describe('a file that looks like something else', () => {
  /** A file of a published size, whose tensors nobody has to read to see that they do not fit. */
  const published = (call: string, layout: string, head: string): Host => {
    const { sources, module } = good(`use std\nmodel M {\n  base = ${call}() from "./weights"\n${head}\n}`);
    const names = sources[0]!.layouts[layout]!;
    let end = 0;
    const places = names.map(({ tensor, param, stored, rows }) => {
      const whole = module.params.get(param)!.type.shape;
      const shape = stored?.shape ?? (rows ? [rows[1] - rows[0], ...whole.slice(1)] : whole);
      const start = end;
      end += 4 * shape.reduce((a, b) => a * b, 1);
      return [tensor, { dtype: 'F32', shape, data_offsets: [start, end] }];
    });
    const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(places)));
    const first = new Uint8Array(8 + json.length);
    new DataView(first.buffer).setBigUint64(0, BigInt(json.length), true);
    first.set(json, 8);
    const source: ByteSource = {
      name: 'w.safetensors',
      size: first.length + end,
      read: async (offset, length) => first.slice(offset, offset + length),
    };
    return { ...host, openCheckpoint: () => openCheckpoint(source) };
  };
  const HEAD = '  head = classify(base, classes: 1000)';
  /** What a spec uses where a file is of this family. */
  const PARTS: Readonly<Record<string, string[]>> = {
    as: ['as_mlp', 'heads'],
    swin: ['vit', 'heads', 'swin'],
    dinov2: ['dinov2', 'heads'],
    swinv2: ['swin', 'swinv2', 'heads'],
    clip: ['vit', 'clip', 'heads'],
    siglip: ['siglip', 'siglip_sizes', 'heads'],
  };

  test.each([
    ['another size', 'vit_small_patch16', 'timm', 'vit_base_patch16()', '`vit_small_patch16`.'],
    ['another family', 'convnext_small', 'timm', 'vit_base_patch16()', '`convnext_small`.'],
    ['another size, by its authors', 'as_mlp_small', 'authors', 'as_mlp_tiny()', '`as_mlp_small`.'],
    ['another family, in windows', 'swin_small', 'huggingface', 'vit_base_patch16()', '`swin_small`.'],
    [
      'its family with registers',
      'dinov2_registers_small',
      'transformers5',
      'dinov2_small()',
      '`dinov2_registers_small`.',
    ],
    ['the other version', 'swinv2_tiny_window8_256', 'authors', 'swin_tiny()', '`swinv2_tiny_window8_256`'],
    ['images only', 'clip_vit_large_patch14', 'openai', 'vit_large_patch16()', '`clip_vit_large_patch14`'],
    [
      'another size, with images twice as large',
      'siglip_large_patch16_384',
      'huggingface',
      'siglip_base_patch16_384()',
      '`siglip_large_patch16_384`',
    ],
  ])('of %s: which one is said', async (_, call, layout, base, looks) => {
    const parts = PARTS[call.split('_')[0]!] ?? ['vit', 'heads', 'convnext'];
    const found = await said(spec(base, HEAD, parts), published(call, layout, HEAD));
    expect(found.map((d) => d.code)).toEqual([expect.stringMatching(/^ESP051[01]$/)]);
    expect(found[0]!.help.at(-1)).toContain(`It looks like ${looks}`);
  });

  test('with a configuration of another size: where spec and file disagree', async () => {
    const on = of({
      'config.json': JSON.stringify({
        model_type: 'vit',
        hidden_size: 384,
        num_attention_heads: 6,
        intermediate_size: 1536,
      }),
      'model.safetensors': fileOf(new Map()),
    });
    expect(textOf(await said(spec('vit_base_patch16()', ''), on))).toMatch(
      /ESP0230: `dim` is 768 in the spec and 384 in `f`, `heads` 12 and 6/,
    );
  });

  test('with a configuration, and tensors, of another size: which one is said too', async () => {
    const on = published('vit_small_patch16', 'huggingface', HEAD);
    const config = { model_type: 'vit', hidden_size: 384, num_attention_heads: 6, intermediate_size: 1536 };
    const opened = await on.openCheckpoint('f');
    const facts = { ...opened.facts, config: { file: 'f/config.json', json: config } };
    const found = await said(spec('vit_base_patch16()', HEAD), {
      ...on,
      openCheckpoint: async () => ({ ...opened, facts }),
    });
    expect(found.map((d) => d.code)).toEqual(['ESP0230']);
    expect(found[0]!.help.at(-1)).toMatch(/^It looks like `vit_small_patch16`/);
  });

  test('with options that neither says: which one is said too', async () => {
    const found = await said(spec('vit_auto()', HEAD), published('vit_small_patch16', 'timm', HEAD));
    expect(found.map((d) => d.code)).toEqual(['ESP0204']);
    expect(found[0]!.help.at(-1)).toMatch(/^It looks like `vit_small_patch16`/);
  });

  test.each([
    ['another family', { model_type: 'convnext' }, '`convnext_auto` reads it'],
    ['a family that nobody reads', { model_type: 'resnet' }, 'The variants in reach read'],
  ])('with a configuration of %s', async (_, config, words) => {
    const on = of({ 'config.json': JSON.stringify(config), 'model.safetensors': fileOf(new Map()) });
    const found = textOf(await said(spec('vit_base_patch16()', ''), on));
    expect(found).toContain('ESP0508');
    expect(found).toContain(words);
  });
});

describe('a bare file does not show', () => {
  const warned = async (base: string, file: string, head = 'classify(base, classes: 5)') => {
    const source = () => openCheckpoint(memorySource('w', readFileSync(join(FIXTURES, file))));
    const { warnings } = await analyseModel(spec(base, `  head = ${head}`, ['vit', 'heads', 'convnextv2']), {
      host: { ...host, openCheckpoint: source },
    });
    return warnings.map((d) => `${d.code}: ${d.message.replace(/^.*taken for it: /, '')}`);
  };
  const VIT = 'image: 30, patch: 6, dim: 36, depth: 3, hidden: 100';

  test.each([
    [
      "transformers' ViT",
      `vit_auto(${VIT}, heads: 2)`,
      'vit-odd/model.safetensors',
      'classify(base, classes: 7)',
      'eps: 0.000001, activation: gelu',
    ],
    [
      "timm's ConvNeXt V2",
      'convnextv2_auto(image: 32, dims: [6, 8, 10, 12], depths: [1, 2, 1, 1])',
      'convnextv2/timm/model.safetensors',
      'classify(base, classes: 5)',
      'norm_eps: 0.000001, eps: 0.000001, activation: gelu, norm_first: false',
    ],
    [
      "transformers' ConvNeXt V2",
      'convnextv2_auto(image: 32, dims: [6, 8, 10, 12], depths: [1, 2, 1, 1])',
      'convnextv2/classifier/model.safetensors',
      'classify(base, classes: 5)',
      'eps: 0.000001, activation: gelu',
    ],
  ])('of %s: what is taken for it is said', async (_, base, file, head, assumed) => {
    expect(await warned(base, file, head)).toEqual([`ESP0541: ${assumed}`]);
  });

  test('how positions are resampled is said where they are', async () => {
    const call = `vit_auto(${VIT.replace('image: 30', 'image: 36, table_image: 30')}, heads: 2)`;
    expect(await warned(call, 'vit-odd/model.safetensors', 'classify(base, classes: 7)')).toEqual([
      'ESP0541: eps: 0.000001, activation: gelu, position_antialias: true',
    ]);
  });

  test('what the spec says is not said again', async () => {
    const call = `vit_auto(${VIT}, heads: 2, eps: 1e-12, activation: gelu)`;
    expect(await warned(call, 'vit-odd/model.safetensors', 'classify(base, classes: 7)')).toEqual([]);
  });
});

describe("a head that is the user's own", () => {
  const own = (head: string) =>
    `module ${head}(base: module) {\n  layer = Linear(base.dim -> 5)\n  forward(pixels) { layer(base(pixels)[:, 0]) }\n}\n`;
  const of = async (body: string) => {
    const text = `use std\n${own('mine')}model M {\n  base = vit_auto() from "${PLAIN}"\n${body}}\n`;
    const { warnings } = await analyseModel({ text, path: 's.peft' }, { host });
    return warnings.map((d) => [d.code, d.message, text.slice(d.primary!.span.start, d.primary!.span.end)] as const);
  };

  test('called `head`, without the layer that the file has weights for: said at its line', async () => {
    const [[code, message, at], ...rest] = (await of('  head = mine(base)\n')) as [readonly [string, string, string]];
    expect([code, rest]).toEqual(['ESP0542', []]);
    expect(message).toContain('`head.fc`');
    expect(at).toContain('head');
  });

  test('of another name takes nothing of the file, and is not spoken of', async () => {
    expect(await of('  other = mine(base)\n')).toEqual([]);
    expect(await of('  head = mine(base)\n  tune head\n')).toEqual([]);
  });
});

describe('classes that have no names, or names that are numbers', () => {
  const at = async (fields: object, classes: number) => {
    const config = JSON.parse(readFileSync(join(FIXTURES, 'vit-grey', 'config.json'), 'utf8'));
    const { id2label: _, label2id: __, ...plain } = config;
    const weights = new Map(await readTensors(join(FIXTURES, 'vit-grey', 'model.safetensors')));
    for (const name of ['classifier.weight', 'classifier.bias']) {
      const [, ...rest] = weights.get(name)!.type.shape;
      const size = classes * rest.reduce((a, b) => a * b, 1);
      weights.set(name, { type: { dtype: 'f32', shape: [classes, ...rest] }, data: new Float32Array(size) });
    }
    const on = of({ 'config.json': JSON.stringify({ ...plain, ...fields }), 'model.safetensors': fileOf(weights) });
    const analysis = await analyseModel(spec('vit_auto()'), { host: on });
    await loadParameters(analysis);
    return analysis.elaborated.labels;
  };

  // transformers does not write what is its default: two classes, called so.
  test('two', async () => {
    expect(await at({}, 2)).toEqual(['LABEL_0', 'LABEL_1']);
    await expect(at({}, 3)).rejects.toThrow(/ESP0510[\s\S]*classifier\.weight is \[3, \d+\], the model has \[2, \d+\]/);
  });

  test.each([
    [{ 0: 3, 1: 5, 2: 8 }, ['3', '5', '8']],
    [{ 0: 0.5, 1: true, 2: 'x' }, ['0.5', 'true', 'x']],
  ])('%j', async (id2label, labels) => {
    expect(await at({ id2label }, 3)).toEqual(labels);
  });

  test.each([[{ 0: null, 1: 'b' }], [{ 0: ['a'], 1: 'b' }], [{ 0: 'a', 2: 'b' }]])(
    '%j is refused',
    async (id2label) => {
      await expect(at({ id2label }, 2)).rejects.toThrow(/ESP0507.*no name for class \d/);
    },
  );
});
