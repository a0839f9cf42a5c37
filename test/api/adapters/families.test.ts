/**
 * A LoRA and a DoRA that the library peft made on a tiny model of each family (`test/reference/make_peft_families.py`): loaded here, and merged, they give the logits that peft
 * gives. A merged checkpoint has every tensor of the real model by name, type and shape; `ESPALIER_MERGED=DIR` keeps it, and the adapter as a folder that Espalier
 * exports, for that script's `--check`, which loads them with transformers, timm and peft.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exportAdapters, merge } from '../../../src/api/index.js';
import { openCheckpoint } from '../../../src/formats/checkpoint.js';
import { memorySource } from '../../../src/formats/tensors/bytes.js';
import type { Tensor } from '../../../src/ir/types.js';
import { resultOf } from '../../backbones/support.js';
import { memoryFolder } from '../../folders.js';
import { maxDifference } from '../../tensors.js';
import { FIXTURES, host, readTensors, type TextSpec } from '../support.js';

const FAMILIES = join(FIXTURES, 'peft', 'families');

interface Case {
  readonly base: string;
  readonly source: string;
  readonly head: string | null;
  /** Sites of the two adapters. */
  readonly lora: string;
  readonly dora: string;
  /** The file that has the pixels. */
  readonly pixels: string;
}
const read = (file: string) => JSON.parse(readFileSync(join(FAMILIES, file), 'utf8')) as unknown;
const CASES = Object.entries(read('cases.json') as Record<string, Case>);
const NAMES = read('names.json') as Record<string, Record<string, (string | number)[]>>;
const TYPES: Readonly<Record<string, string>> = { float32: 'F32', int64: 'I64', bool: 'BOOL' };

const far = (found: Tensor, want: Tensor): number =>
  maxDifference(found, want) / Math.max(...Array.from(want.data, Math.abs));
type Files = ReadonlyMap<string, string | Uint8Array | readonly Uint8Array[]>;
const whole = (files: Files): [string, string | Uint8Array][] =>
  [...files].map(([name, c]) => [name, typeof c === 'string' || c instanceof Uint8Array ? c : Buffer.concat(c)]);

/** Keeps files for the check in Python, where that is asked for. */
function keep(name: string, files: Files): void {
  const root = process.env.ESPALIER_MERGED;
  if (!root) return;
  mkdirSync(join(root, name), { recursive: true });
  for (const [file, content] of whole(files)) writeFileSync(join(root, name, file), content);
}

describe.each(CASES)('%s', (name, c) => {
  test.each(['lora', 'dora'] as const)('%s: the logits of peft, also when it is merged', async (kind) => {
    const from = join(FAMILIES, `${name}-${kind}`);
    const specOf = (body: string): TextSpec => ({
      text: `use std\nmodel M {\n  base = ${c.base} from "${join(FIXTURES, c.source)}"\n${c.head ? `  head = ${c.head}\n` : ''}${body}\n}\n`,
      path: 'families.peft',
    });
    const head = kind === 'lora' && c.head ? `  tune head from "${from}"` : '';
    const spec = specOf(`  adapt ${c[kind]} with ${kind}() from "${from}"\n${head}`);
    const pixels = (await readTensors(join(FIXTURES, c.pixels))).get('pixels')!;
    const want = (await readTensors(join(from, 'reference.safetensors'))).get('logits')!;
    expect(far(await resultOf(spec, pixels, want), want)).toBeLessThan(1e-5);

    const { files } = await merge(spec, { host });
    keep(`${name}-${kind}-merged`, files);
    const contents = Object.fromEntries(whole(files));
    const merged = await openCheckpoint(
      c.source.endsWith('.safetensors')
        ? memorySource('merged.safetensors', contents['model.safetensors'] as Uint8Array)
        : memoryFolder('merged', contents),
    );
    const tensors = [...merged.store.tensors].map(([n, e]) => `${n} ${e.dtype} ${e.shape}`);
    const wanted = Object.entries(NAMES[name]!).map(([n, [type, ...shape]]) => `${n} ${TYPES[String(type)]} ${shape}`);
    expect(tensors.toSorted()).toEqual(wanted.toSorted());
    const found = await resultOf(specOf(''), pixels, want, { ...host, openCheckpoint: async () => merged });
    expect(far(found, want)).toBeLessThan(1e-5);
    if (process.env.ESPALIER_MERGED) keep(`${name}-${kind}-exported`, (await exportAdapters(spec, { host })).files);
  });
});
