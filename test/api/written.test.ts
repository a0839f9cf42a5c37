/** What `merge` records of itself and what writing cost; what halves cost a compiled program. */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseProgram } from '../../runtime/program/check.js';
import { analyseModel } from '../../src/api/analyse.js';
import { type Compiled, compile, merge, writeMerged } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import { describeCompiled } from '../../src/cli/summary.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { MERGED } from '../../src/formats/merged.js';
import { openFile } from '../../src/formats/node/files.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { ulpAt } from '../../src/formats/tensors/rounding.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { fromHalf, toHalf } from '../../src/ir/run/half.js';
import type { Tensor } from '../../src/ir/types.js';
import { cli } from '../cli/support.js';
import {
  adapted,
  FIXTURES,
  failure,
  host,
  random,
  randomAdapter,
  readTensors,
  scratch,
  type TextSpec,
  vitSpec,
} from './support.js';

const folder = scratch();
const LORA = 'base.blocks[1].mlp.fc1 with lora(rank: 2)';
const FC1 = 'vit.encoder.layer.1.intermediate.dense.weight';

/** The tiny ViT with its weights in this type, its metadata, and perhaps something changed. */
async function base(
  name: string,
  dtype: 'F32' | 'F16' | 'BF16',
  metadata: Record<string, string> = {},
  change: (tensors: Map<string, Tensor>) => void = () => {},
): Promise<string> {
  const path = join(folder, name);
  cpSync(join(FIXTURES, 'vit-grey'), path, { recursive: true });
  const tensors = await readTensors(join(path, 'model.safetensors'));
  change(tensors);
  const stored = new Map([...tensors].map(([n, t]) => [n, storeTensor(t, dtype)]));
  writeFileSync(join(path, 'model.safetensors'), encodeSafetensors(stored, { format: 'pt', ...metadata }));
  return path;
}

const metadataOf = async (path: string) =>
  (await openSafetensors(await openFile(join(path, 'model.safetensors')))).metadata;
const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

async function written(spec: TextSpec, name: string) {
  const merged = await merge(spec, { host });
  const path = join(folder, name);
  await writeMerged(merged, path);
  return { merged, path, metadata: await metadataOf(path) };
}

describe('the record of a merge', () => {
  test('is added to what a base says of itself and of merges before', async () => {
    const from = await base('owned', 'F32', { trained_by: 'somebody', format: 'np' });
    const first = await adapted(folder, from, LORA);
    const one = await written(first, 'one');
    const file = first.text.match(/with lora.*from "(.*)"/)![1]!;
    const record = { method: 'lora', name: file.split('/').at(-1)!, sha256: sha(file), espalier: '0.1.0' };
    expect(one.metadata).toEqual({
      trained_by: 'somebody',
      format: 'pt',
      writer: 'espalier',
      [MERGED]: JSON.stringify([record]),
    });
    expect(one.merged.merged).toEqual([record]);
    expect(one.metadata[MERGED]).not.toContain(folder);

    const two = await written(
      await adapted(folder, one.path, 'base.blocks[*].attn.proj with karst(kernels: 1, rank: 2, rescale: none)'),
      'two',
    );
    const records = JSON.parse(two.metadata[MERGED]!) as { method: string; sha256: string }[];
    expect(records.map((r) => r.method)).toEqual(['lora', 'karst']);
    expect(records[0]).toEqual(record);
    expect(records[1]!.sha256).not.toBe(record.sha256);
    expect(two.metadata.trained_by).toBe('somebody');
  });

  test('tells that an adapter is in the base already, and is silent about others', async () => {
    const first = await adapted(folder, 'vit-grey', LORA);
    const { path } = await written(first, 'before');
    const base = first.text.match(/base = .* from "(.*)"/)![1]!;
    const warned = async (text: string) => {
      const { warnings } = await loadParameters(await analyseModel({ ...first, text }, { host }));
      return warnings.filter((d) => d.code === 'ESP1285').map((d) => d.message);
    };
    const again = first.text.replace(base, path);
    expect(await warned(again)).toEqual([
      expect.stringMatching(/was merged into .*before.* \(lora\), and is put on it once more/),
    ]);
    expect(await warned(first.text)).toEqual([]);
    const other = await adapted(folder, path, 'base.blocks[0].mlp.fc1 with lora(rank: 2)');
    expect(await warned(other.text)).toEqual([]);
  });

  test('is the same bytes each time', async () => {
    const spec = await adapted(folder, 'vit-grey', LORA);
    const [a, b] = [await written(spec, 'same-a'), await written(spec, 'same-b')];
    expect(sha(join(a.path, 'model.safetensors'))).toBe(sha(join(b.path, 'model.safetensors')));
  });

  test('has the digest of a folder’s file of weights, once for all statements that load it', async () => {
    const fashion = join(FIXTURES, '../../examples/fashion');
    const spec = readFileSync(join(fashion, 'lora.peft'), 'utf8');
    const { merged } = await merge({ text: spec, path: join(fashion, 'lora.peft') }, { host });
    expect(merged).toEqual([
      {
        method: 'lora',
        name: 'lora-mnist',
        sha256: sha(join(fashion, 'adapters/lora-mnist/adapter_model.safetensors')),
        espalier: '0.1.0',
      },
    ]);
  });

  test('of what a run trained has the digest of its adapter file', async () => {
    const spec = vitSpec('vit-grey', `adapt ${LORA}`);
    const trained = await randomAdapter(spec);
    const labels = ['a', 'b'];
    const sha256 = createHash('sha256').update(encodeAdapter(trained, labels)).digest('hex');
    const { merged } = await merge(spec, { host, trained, labels });
    expect(merged).toEqual([{ method: 'lora', name: 'adapter.safetensors', sha256, espalier: '0.1.0' }]);
  });

  test('names an adapter that was not loaded, and nothing where there is none', async () => {
    const { merged } = await merge(vitSpec('vit-grey', `adapt ${LORA}`), { host });
    expect(merged).toEqual([{ method: 'lora', espalier: '0.1.0' }]);
    const plain = await written(vitSpec('vit-grey'), 'plain');
    expect(plain.merged.merged).toEqual([]);
    expect(plain.metadata).not.toHaveProperty(MERGED);
  });

  test('of shards keeps what they all say', async () => {
    const path = join(folder, 'shards');
    cpSync(join(FIXTURES, 'vit-shards'), path, { recursive: true });
    for (const [i, file] of ['model-00001-of-00002', 'model-00002-of-00002'].entries()) {
      const at = join(path, `${file}.safetensors`);
      const tensors = await readTensors(at);
      const stored = new Map([...tensors].map(([n, t]) => [n, storeTensor(t)]));
      writeFileSync(at, encodeSafetensors(stored, { format: 'pt', owner: 'we', [`shard${i}`]: 'yes' }));
    }
    const { metadata } = await written(vitSpec(path), 'from-shards');
    expect(metadata).toEqual({ format: 'pt', owner: 'we', shard0: 'yes', shard1: 'yes', writer: 'espalier' });
  });

  test('that is none is said, and left out', async () => {
    const from = await base('odd-record', 'F32', { [MERGED]: 'yesterday' });
    const { merged, metadata } = await written(await adapted(folder, from, LORA), 'after-odd');
    const said = merged.warnings.find((d) => d.code === 'ESP1305')!;
    expect(said).toMatchObject({ severity: 'warning', primary: { text: 'loaded here' } });
    expect(said.message).toContain('yesterday');
    expect(JSON.parse(metadata[MERGED]!)).toEqual(merged.merged);
    expect(merged.merged).toHaveLength(1);
  });
});

describe('what writing into the types of the base does', () => {
  /** `W + scale * B @ A` in f64, by hand. */
  async function product(spec: TextSpec, from: string): Promise<Float64Array> {
    const w = (await readTensors(join(from, 'model.safetensors'))).get(FC1)!;
    const adapter = await readTensors(spec.text.match(/with lora.*from "(.*)"/)![1]!);
    const [A, B] = ['A', 'B'].map((h) => adapter.get(`base.blocks.1.mlp.fc1@lora.${h}`)!);
    const [rows, columns] = w.type.shape as [number, number];
    const rank = A!.type.shape[0]!;
    return Float64Array.from({ length: rows * columns }, (_, i) => {
      let sum = 0;
      for (let r = 0; r < rank; r++)
        sum += B!.data[Math.floor(i / columns) * rank + r]! * A!.data[r * columns + (i % columns)]!;
      return w.data[i]! + sum;
    });
  }

  test.each(['F32', 'F16', 'BF16'] as const)('%s: the figures are those of the bytes in the file', async (dtype) => {
    const from = await base(`round-${dtype}`, dtype);
    // A scale of 1: alpha is the rank.
    const spec = await adapted(folder, from, 'base.blocks[1].mlp.fc1 with lora(rank: 2, alpha: 2)');
    const { merged, path } = await written(spec, `rounded-${dtype}`);
    const exact = await product(spec, from);
    const file = (await readTensors(join(path, 'model.safetensors'))).get(FC1)!;
    const changes = [...exact].map((x, i) => Math.abs(file.data[i]! - x));
    const largest = Math.max(...changes);
    const [figures, ...others] = merged.rounding;
    expect(others).toEqual([]);
    expect(figures).toMatchObject({ dtype, elements: exact.length, largest: { tensor: FC1 } });
    expect(figures!.largest!.change / largest).toBeCloseTo(1, 6);
    const { at, written: number, ulps } = figures!.largest!;
    const i = at[0]! * file.type.shape[1]! + at[1]!;
    expect(number).toBe(file.data[i]);
    expect(changes[i]! / largest).toBeCloseTo(1, 6);
    expect(ulps).toBeCloseTo(largest / ulpAt(exact[i]!, dtype), 4);
    expect(figures!.relative!.share).toBeLessThanOrEqual(
      { F32: 2 ** -24, F16: 2 ** -11, BF16: 2 ** -8 }[dtype] * 1.001,
    );
    const shares = changes.map((c, k) => c / Math.abs(exact[k]!));
    if (figures!.subnormal + figures!.zeros === 0)
      expect(figures!.relative!.share / Math.max(...shares)).toBeCloseTo(1, 5);
  });

  test('counts a head that was trained in f32 and is stored in less', async () => {
    const from = await base('head-base', 'BF16');
    const spec = vitSpec(from, 'tune head');
    const { elaborated } = (await compile(spec, { host, golden: false })) as Compiled;
    const names = [...elaborated.module.params.keys()].filter((n) => n.startsWith('head.'));
    const trained = new Map(names.map((n) => [n, random(n, elaborated.module.params.get(n)!.type.shape)]));
    const { rounding } = await merge(spec, { host, trained });
    expect(rounding).toHaveLength(1);
    expect(rounding[0]!.largest!.tensor).toMatch(/^classifier\./);
    expect(rounding[0]!.largest!.ulps).toBeGreaterThan(0.4);
  });

  test('is printed by the command, in words and as JSON', async () => {
    const from = await base('cli-base', 'F16');
    const spec = join(folder, 'cli.peft');
    writeFileSync(spec, (await adapted(folder, from, LORA)).text);
    const { out } = await cli('merge', spec, '-o', join(folder, 'cli-out'));
    expect(out).toMatch(/holds +lora of \S+\.safetensors \(sha256 [0-9a-f]{12}\.\.\.\)/);
    expect(out).toMatch(
      /rounding +to F16, by \S+e-\d at the most, 0\.\d+ ulp: vit\.encoder\.layer\.1\S+\[\d+, \d+\], \S+ becomes/,
    );
    expect(out).toMatch(/in proportion by 4\.\de-4 at the most/);
    const json = JSON.parse((await cli('merge', spec, '-o', join(folder, 'cli-out'), '--json')).out);
    expect(json.merged).toMatchObject([{ method: 'lora' }]);
    expect(json.rounding).toMatchObject([{ dtype: 'F16', largest: { tensor: FC1 } }]);
  });
});

describe('what `weights = f16` costs', () => {
  const halves = (spec: TextSpec) => compile(spec, { host, weights: 'f16', golden: false });
  const own = 'base.blocks.1.mlp.fc1.weight';

  test('is the largest change of any weight, and in proportion, as its file has them', async () => {
    const from = await base('half-base', 'F32');
    const compiled = await halves(vitSpec(from));
    const { rounding } = compiled;
    const tensors = await readTensors(join(from, 'model.safetensors'));
    const stored = compiled.program.weights.filter((w) => w.dtype === 'f16').map((w) => w.parameter);
    expect(stored).toContain(own);
    let [change, share] = [0, 0];
    for (const [name, { data, type }] of tensors) {
      // Matrices are stored in halves, but for the table of positions.
      if (type.shape.length < 2 || /embedding|token/.test(name)) continue;
      for (const v of data) {
        const w = fromHalf(toHalf(v));
        if (v !== 0 && Math.abs(w) >= 2 ** -14) share = Math.max(share, Math.abs(w - v) / Math.abs(v));
        change = Math.max(change, Math.abs(w - v));
      }
    }
    expect(rounding!.largest!.change).toBeGreaterThanOrEqual(change);
    expect(rounding!.relative!.share).toBeGreaterThanOrEqual(share);
    expect(rounding!.relative!.share).toBeLessThanOrEqual(2 ** -11);
    // The folder holds the same, and a session reads it.
    const { summary } = parseProgram(compiled.files.get('program.json') as string);
    expect(summary.rounding).toEqual(rounding);
    expect(rounding!.small).toEqual([]);
    const { value, written: number, ulps } = rounding!.largest!;
    expect(number).toBe(fromHalf(toHalf(value)));
    expect(ulps).toBeLessThanOrEqual(0.5);
    expect(describeCompiled(compiled, 'out')).toMatch(
      /rounding +to F16, by \S+ at the most, 0\.\d+ ulp: \S+\[.*\], \S+ becomes \S+\n +in proportion by 4\.\de-4 at the most: /,
    );
  });

  test('is not said of f32', async () => {
    const compiled = await compile(vitSpec('vit-grey'), { host, golden: false });
    expect(compiled.rounding).toBeUndefined();
    expect(compiled.program.summary).not.toHaveProperty('rounding');
    expect(describeCompiled(compiled, 'out')).not.toContain('rounding');
  });

  test('names a weight of which many numbers are too small, and counts them', async () => {
    const shrunk = (by: number, of: number) => (tensors: Map<string, Tensor>) => {
      const { data } = tensors.get(FC1)!;
      for (let i = 0; i < data.length; i++) data[i] = i % of === 0 ? by * (1 + i / data.length) : 0.5;
    };
    const from = await base('small', 'F32', {}, shrunk(1e-9, 10));
    const { warnings, rounding } = await halves(vitSpec(from));
    const [said, ...others] = warnings.filter((d) => d.code === 'ESP1306');
    expect(others).toEqual([]);
    expect(said!.message).toMatch(
      /^10\.\d% of base\.blocks\.1\.mlp\.fc1\.weight .* such as \[0, 0\] = \S+e-9, which becomes 0$/,
    );
    expect(said).toMatchObject({ severity: 'warning', primary: { text: 'its numbers come from here' } });
    expect(rounding!.zeros).toBeGreaterThan(0);
    const [small, ...rest] = rounding!.small;
    expect(rest).toEqual([]);
    expect(small).toMatchObject({ tensor: own, at: [0, 0], written: 0 });
    expect(small!.share).toBeCloseTo(0.1, 2);
    // Below the share, only the figures say it.
    const few = await halves(vitSpec(await base('few', 'F32', {}, shrunk(1e-9, 25))));
    expect(few.warnings.filter((d) => d.code === 'ESP1306')).toEqual([]);
    expect(few.rounding!.zeros).toBeGreaterThan(0);
    expect(describeCompiled(few, 'out')).toMatch(
      /of [\d,]+ numbers [\d,]+ lie below the normal range of F16 .* become 0/,
    );
    // Halves that are subnormal lose digits too.
    const sub = await halves(vitSpec(await base('sub', 'F32', {}, shrunk(1.2345e-6, 10))));
    expect(sub.warnings.some((d) => d.code === 'ESP1306')).toBe(true);
    expect(sub.rounding!.subnormal).toBeGreaterThan(sub.rounding!.zeros);
  });

  test('refuses one that is too large where the spec has it from', async () => {
    const from = await base('large', 'F32', {}, (tensors) => {
      tensors.get(FC1)!.data[1] = 65_520;
    });
    const spec = vitSpec(from);
    const error = await halves(spec).then(
      () => undefined,
      (e: unknown) => (e instanceof EspalierError ? e : undefined),
    );
    const [d] = error!.diagnostics;
    expect(d).toMatchObject({ code: 'ESP0925', primary: { text: 'its numbers come from here' } });
    expect(d!.message).toContain(`${own}[0, 1] = 65520`);
    expect(spec.text.slice(d!.primary!.span.start, d!.primary!.span.end)).toContain(from);
  });

  test('and a merged one at its adapter', async () => {
    const file = join(folder, 'large.safetensors');
    const tensors = await randomAdapter(vitSpec('vit-grey', `adapt ${LORA}`));
    for (const half of ['A', 'B']) tensors.get(`base.blocks.1.mlp.fc1@lora.${half}`)!.data.fill(400);
    writeFileSync(file, encodeAdapter(tensors));
    const found = await failure(() => halves(vitSpec('vit-grey', `adapt ${LORA} from "${file}"`)));
    expect(found.codes).toEqual(['ESP0925']);
    expect(found.text).toMatch(/fc1\.weight.*\[0, 0\] = \d{6}/);
  });
});
