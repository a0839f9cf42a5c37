/**
 * A new backbone: one `.peft` file beside a folder of its checkpoint, and nothing else, opens, compiles, runs, merges and is written back
 * as it was.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { analyseModel } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { compile, inspect, merge } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import type { EspalierError } from '../../src/diagnostics/types.js';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Tensor } from '../../src/ir/types.js';
import { infer, host as nodeHost, random } from '../api/support.js';
import { memoryFolder } from '../folders.js';
import { maxDifference } from '../tensors.js';

const TOY = fileURLToPath(new URL('./toy.peft', import.meta.url));

const CONFIG = {
  kind: 'toy',
  sizes: { image: [6, 6], patch: 3, channels: 1 },
  act: { name: 'gelu' },
  width: 4,
  depths: [1, 2],
  gated: true,
  classes: { 0: 'cat', 1: 'dog', 2: 'eel' },
  note: 'kept until the classes change',
};
const STEM = { 'toy.stem.conv.weight': [4, 1, 3, 3], 'toy.stem.conv.bias': [4], 'toy.stem.scale': [1, 4, 1, 1] };
const layer = (at: string, d: number) => ({
  [`${at}.blocks.0.norm.weight`]: [d],
  [`${at}.blocks.0.norm.bias`]: [d],
  [`${at}.blocks.0.gate`]: [1, d],
  [`${at}.blocks.1.first.weight`]: [d, d],
  [`${at}.blocks.1.first.bias`]: [d],
  [`${at}.blocks.1.second.weight`]: [d, d],
  [`${at}.blocks.1.second.bias`]: [d],
});
const moved = (shapes: Record<string, number[]>) =>
  Object.fromEntries(
    Object.entries(shapes).map(([n, s]) => [n.replace('blocks.0', 'blocks.2').replace('blocks.1', 'blocks.3'), s]),
  );
const SHAPES: Record<string, number[]> = {
  ...STEM,
  ...layer('toy.stages.1', 4),
  'toy.stages.1.widen.weight': [8, 4],
  ...layer('toy.stages.2', 8),
  ...moved(layer('toy.stages.2', 8)),
  'toy.pooler.dense.weight': [8, 8],
  'toy.stem.bn.num_batches_tracked': [1],
  'head.weight': [3, 8],
  'head.bias': [3],
};
const WEIGHTS = new Map(Object.entries(SHAPES).map(([n, s]) => [n, random(n, s, 0.5)]));

interface Made {
  readonly config?: object;
  readonly processor?: object;
  /** The name that a tensor has in the file. */
  readonly rename?: (name: string) => string;
  readonly body?: string;
}

function made({ config = {}, processor, rename = (n) => n, body = '' }: Made = {}) {
  const tensors = new Map([...WEIGHTS].map(([n, t]) => [rename(n), storeTensor(t)]));
  const folder = memoryFolder('toy-folder', {
    'config.json': JSON.stringify({ ...CONFIG, ...config }),
    ...(processor ? { 'preprocessor_config.json': JSON.stringify(processor) } : {}),
    'model.safetensors': encodeSafetensors(tensors),
  });
  const host: Host = {
    ...nodeHost,
    openCheckpoint: (path) => (path.endsWith('folder') ? openCheckpoint(folder) : nodeHost.openCheckpoint(path)),
  };
  const text = `use std\nuse "${TOY}"\nmodel M {\n  base = toy_auto() from "./folder"\n  head = classify(base, pool: mean)\n${body}\n}\n`;
  return { spec: { text, path: 'spec.peft' }, host };
}

/** The toy by hand, from the tensors as the file has them. */
function reference(pixels: Tensor): number[] {
  const w = (name: string) => WEIGHTS.get(name)!.data;
  const erf = (x: number): number => {
    if (Math.abs(x) > 5) return Math.sign(x);
    let [sum, term] = [x, x];
    for (let n = 1; n < 200; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  };
  const gelu = (x: number) => 0.5 * x * (1 + erf(x / Math.SQRT2));
  let tokens = [0, 1, 2, 3].map((t) =>
    [0, 1, 2, 3].map((d) => {
      let s = w('toy.stem.conv.bias')[d]!;
      for (let i = 0; i < 9; i++) {
        const [y, x] = [3 * Math.floor(t / 2) + Math.floor(i / 3), 3 * (t % 2) + (i % 3)];
        s += w('toy.stem.conv.weight')[d * 9 + i]! * pixels.data[y * 6 + x]!;
      }
      return w('toy.stem.scale')[d]! * s;
    }),
  );
  const block = (at: string, first: number): void => {
    const [norm, linear] = [`${at}.blocks.${first}`, `${at}.blocks.${first + 1}`];
    tokens = tokens.map((x) => {
      const n = x.length;
      const mean = x.reduce((a, b) => a + b) / n;
      const deviation = Math.sqrt(x.reduce((a, b) => a + (b - mean) ** 2, 0) / n + 1e-5);
      const y = x.map((v, i) => ((v - mean) / deviation) * w(`${norm}.norm.weight`)[i]! + w(`${norm}.norm.bias`)[i]!);
      // Weights are stored [in, out].
      const product = (part: string, o: number) =>
        y.reduce((s, v, i) => s + v * w(`${linear}.${part}.weight`)[i * n + o]!, w(`${linear}.${part}.bias`)[o]!);
      return x.map((v, o) => v + w(`${norm}.gate`)[o]! * (gelu(product('first', o)) + product('second', o)));
    });
  };
  block('toy.stages.1', 0);
  tokens = tokens.map((x) =>
    Array.from({ length: 8 }, (_, o) => x.reduce((s, v, i) => s + v * w('toy.stages.1.widen.weight')[o * 4 + i]!, 0)),
  );
  block('toy.stages.2', 0);
  block('toy.stages.2', 2);
  const pooled = Array.from({ length: 8 }, (_, d) => tokens.reduce((s, x) => s + x[d]!, 0) / 4);
  return [0, 1, 2].map((c) => pooled.reduce((s, v, d) => s + v * w('head.weight')[c * 8 + d]!, w('head.bias')[c]!));
}

const PIXELS = random('pixels', [1, 1, 6, 6]);

describe('a backbone in a file of the user’s own', () => {
  test('computes what its checkpoint means', async () => {
    const { spec, host } = made();
    const analysis = await analyseModel(spec, { host });
    expect(analysis.elaborated.labels).toEqual(['cat', 'dog', 'eel']);
    const { get } = await loadParameters(analysis);
    const logits = infer(analysis.elaborated.module, PIXELS, get);
    expect(maxDifference(tensor([3], logits), tensor([3], reference(PIXELS)))).toBeLessThan(1e-5);
  });

  test('is found without its prefix and under another spelling, and written back as it was', async () => {
    const rename = (name: string) =>
      name === 'toy.stages.1.blocks.1.second.weight' ? 'parts.0.0.second' : name.replace(/^toy\./, '');
    const { spec, host } = made({ rename });
    const { files, changed } = await merge(spec, { host });
    expect(changed).toEqual([]);
    const [before, after] = await Promise.all([
      host.openCheckpoint('folder'),
      openCheckpoint(
        memoryFolder(
          'm',
          Object.fromEntries([...files].map(([n, c]) => [n, Array.isArray(c) ? Buffer.concat(c as Uint8Array[]) : c])),
        ),
      ),
    ]);
    const shapes = (c: typeof after) => [...c.store.tensors].map(([n, e]) => `${n} ${e.dtype} ${e.shape}`).sort();
    expect(shapes(after)).toEqual(shapes(before));
    expect(shapes(after)).toContain('parts.0.0.second F32 4,4');
    expect(after.facts.config!.json).toEqual({ ...CONFIG, note: undefined });
  });

  test('takes adapters in, and compiles to the kernels of the plain one', async () => {
    const body = '  adapt base.stages[*].layers[*].fc with lora(rank: 2)\n  tune base.scale';
    const { spec, host } = made({ body });
    const { changed } = await merge(spec, { host });
    // LoRA starts at no change.
    expect(changed).toEqual([]);
    const [adapted, plain] = await Promise.all([compile(spec, { host }), compile(made().spec, { host })]);
    expect(adapted.report.map((a) => a.state)).toEqual([0, 1, 2].map(() => 'merged'));
    const kernels = (c: typeof plain) => c.program.entries[0]!.dispatches.length;
    expect(kernels(adapted)).toBe(kernels(plain));
  });

  test('shows its tensors in the tree', async () => {
    const { spec, host } = made();
    const text = JSON.stringify(await inspect(spec, { host }));
    expect(text).toContain('toy.stages.2.blocks.3.second.weight');
    expect(text).toContain('toy.stages.1.widen.weight');
  });

  test('reads its processor’s file with the defaults of its family', async () => {
    const { spec, host } = made({ processor: { image_processor_type: 'ToyProcessor', size: { edge: 6 } } });
    const { elaborated } = await analyseModel(spec, { host });
    expect(elaborated.preprocess).toEqual([
      { step: 'grayscale' },
      { step: 'resize', size: [6, 6], filter: 'bilinear' },
      { step: 'normalize', mean: [0.25], std: [0.5] },
    ]);
    const other = made({ processor: { image_processor_type: 'Other', size: { edge: 6 } } });
    await expect(analyseModel(other.spec, { host: other.host })).rejects.toThrow('leaves out resample');
  });

  test.each<[object, string]>([
    [{ kind: 'vit' }, '`vit_auto` reads it: write `vit_auto()`.'],
    [{ kind: 'nobodys' }, 'The variants in reach read: "toy", "toy-v2" (toy_auto), '],
    [{ sizes: { patch: [3, 2] } }, 'sizes.patch = [3,2] is not a square'],
    [{ act: { name: 'relu' } }, 'act.name = "relu" is not what `toy_auto` computes, which is "gelu"'],
    [{ depths: [1, 2.5] }, 'depths = [1,2.5] is not a list of whole numbers'],
    [{ gated: 1 }, 'gated = 1 is not true or false'],
    [{ window: 'x' }, 'window = "x" is not of the type int | none'],
    [{ width: null, hidden: -4 }, 'hidden = -4 is not a positive whole number'],
    [{ classes: { 0: 'cat', 2: 'eel' } }, 'classes has 2 entries but no name for class 1'],
  ])('a configuration with %j is refused at the place that names it', async (config, words) => {
    const { spec, host } = made({ config: { ...config, ...('kind' in config ? { model_type: config.kind } : {}) } });
    const error = await analyseModel(spec, { host }).then(
      () => undefined,
      (e: unknown) => e as EspalierError,
    );
    const said = error!.diagnostics.map((d) => [d.message, ...d.help].join('\n')).join('\n');
    expect(said).toContain(words);
    const { start, end } = error!.diagnostics[0]!.primary!.span;
    expect(spec.text.slice(start, end)).toBe('"./folder"');
  });

  test('a tensor of another shape is shown as the checkpoint has it', async () => {
    const { spec, host } = made({ config: { sizes: { image: 6, patch: 2, channels: 1 } } });
    await expect(analyseModel(spec, { host }).then((a) => loadParameters(a))).rejects.toThrow(
      'toy.stem.conv.weight is [4, 1, 3, 3], the model has [4, 1, 2, 2], for base.stem.weight',
    );
  });

  test('is named by one file', () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const files = execFileSync('git', ['ls-files', 'src', 'runtime'], { cwd: root, encoding: 'utf8' })
      .trim()
      .split('\n');
    const naming = files.filter((f) => /\btoy/i.test(readFileSync(join(root, f), 'utf8')));
    expect(naming).toEqual([]);
  });

  test('no family of models is named outside of the library', () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const files = execFileSync('git', ['ls-files', 'src', 'runtime'], { cwd: root, encoding: 'utf8' })
      .trim()
      .split('\n');
    // Explanations show examples; the library's text is carried as a string.
    const code = files.filter((f) => f.endsWith('.ts') && !/^src\/diagnostics\/|generated\.ts$/.test(f));
    const words =
      /\b(model_type|hidden_size|num_hidden_layers|id2label|num_labels|problem_type|ViTFor\w+|ViTImage\w+)\b/;
    const strip = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(code.filter((f) => words.test(strip(readFileSync(join(root, f), 'utf8'))))).toEqual([]);
  });
});
