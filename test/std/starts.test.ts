/**
 * The files that methods of fine-tuning are compared from (test/reference/methods_table.py) are of the models that their specs mean: the adapters'
 * parameters by name and shape, and what is not in them starts as 0.
 */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import { good } from '../dsl/semantics/helper.js';

const STEPS_AN_EPOCH = 31;
const BATCH = 32;

describe.each([0, 1, 2])('seed %d', async (seed) => {
  const file = fileURLToPath(new URL(`../../examples/fashion/methods/seed-${seed}.safetensors`, import.meta.url));
  const { tensors, metadata } = await openSafetensors(await openFile(file));
  const methods = Object.entries(JSON.parse(metadata.methods!) as Record<string, string>);

  it.each(methods)('%s', (method, statements) => {
    const { module } = good(`use std
model M {
  base = vit_auto(image: 28, patch: 4, channels: 1, dim: 128, depth: 4, heads: 4)
  head = classify(base, classes: 10)
  ${statements}
}`);
    const own = [...module.params.values()].filter((p) => p.role === 'trainable' && p.name.includes('@'));
    const given = [...tensors].filter(([name]) => name.startsWith(`${method}/`));
    const known = new Map(given.map(([name, t]) => [name.slice(method.length + 1), t.shape]));
    for (const p of own) {
      if (known.has(p.name)) expect(known.get(p.name), p.name).toEqual(p.type.shape);
      else expect(p.init, p.name).toEqual({ kind: 'zeros' });
      known.delete(p.name);
    }
    expect([...known.keys()]).toEqual([]);
  });

  it('has a thousand images, each once an epoch but for a batch that is not full', async () => {
    const images = await tensors.get('images')!.read();
    expect(new Set(images.data).size).toBe(1000);
    const { type, data } = await tensors.get('order')!.read();
    expect(type.shape[1]).toBe(BATCH);
    expect(type.shape[0]! % STEPS_AN_EPOCH).toBe(0);
    for (let at = 0; at < data.length; at += STEPS_AN_EPOCH * BATCH) {
      const epoch = data.slice(at, at + STEPS_AN_EPOCH * BATCH);
      expect(new Set(epoch).size).toBe(epoch.length);
      expect(Math.max(...epoch)).toBeLessThan(1000);
    }
  });
});
