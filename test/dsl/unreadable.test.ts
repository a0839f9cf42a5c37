/** A `from` that cannot be opened: one message for it, none for what hangs on it, all others in the same run. */
import { describe, expect, it } from 'vitest';
import { analyse } from '../../src/api/analyse.js';
import type { Host } from '../../src/api/host.js';
import { diagnostic } from '../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../src/diagnostics/types.js';

/** Everything is cut off. */
const host: Host = {
  resolve: (_, location) => location,
  readText: () => undefined,
  openCheckpoint: (path) =>
    Promise.reject(new EspalierError([diagnostic('ESP0503', { file: path, tensor: 'w', problem: 'was cut off' })])),
  deviceLimits: () => Promise.resolve({}),
};

async function codes(body: string, more = ''): Promise<string[]> {
  const text = `use std\nmodel M {\n${body}\n}\n${more}`;
  const { value, diagnostics } = await analyse({ path: 'spec.peft', text }, { host });
  expect(value).toBeUndefined();
  for (const d of diagnostics) expect(d.primary, d.code).toBeDefined();
  return diagnostics.map((d) => d.code);
}
const CUT = 'ESP0503';

describe('a backbone that cannot be opened', () => {
  it.each([
    ['alone', ''],
    ['under a head, which takes its size and classes from it', 'head = classify(base)\n tune head.fc'],
    [
      'under adapters and masks',
      'adapt base.blocks[*].mlp.fc1 with lora(rank: 2)\n prune base.blocks[0].mlp.* with magnitude(sparsity: 50%)',
    ],
    ['in an `in`', 'in base.blocks[*] { adapt mlp.fc1 with lora(rank: 2) }'],
    ['named twice', 'other = vit_auto() from "./cut"'],
  ])('%s: one message', async (_, rest) => {
    expect(await codes(`  base = vit_auto() from "./cut"\n ${rest}`)).toEqual([CUT]);
  });

  it('whose own sizes are known is good for finding names in it', async () => {
    const base = 'base = vit_base_patch16() from "./cut"';
    expect(await codes(`${base}\n adapt base.blocks[*].mlp.fc1 with lora(rank: 2)`)).toEqual([CUT]);
    expect(await codes(`${base}\n adapt base.blocks[*].mlp.fc9 with lora(rank: 2)`)).toEqual([CUT, 'ESP0330']);
  });

  it('whose defaults are guesses has no messages of its own', async () => {
    // 28 pixels are no multiple of the default patch; the file may say 4.
    expect(await codes('base = vit(image: 28, dim: 8, depth: 1, heads: 2) from "./cut"')).toEqual([CUT]);
  });

  it('hides nothing else that is wrong', async () => {
    const found = await codes(
      `base = vit_auto(imgae: 28) from "./cut"
  head = classify(base, pool: clss)
  adapt base.blocks[*].mlp.fc1 with lora(rnk: 2)
  prune base.blocks[*].mlp.fc1 with magnitude(sparsity: -5%)`,
      'deploy M {\n  bath = [1]\n}\n',
    );
    expect(found).toEqual([CUT, 'ESP0203', 'ESP0210', 'ESP0203', 'ESP0226', 'ESP0250']);
  });
});

describe('an adapter, a head or a mask that cannot be opened', () => {
  const base = 'base = vit(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n head = classify(base, classes: 2)';
  it.each([
    ['an adapter', 'adapt base.blocks[0].mlp.fc1 with lora() from "./cut"'],
    ['an adapter whose default does not fit here', 'adapt base.blocks[0].mlp.fc1 with alore() from "./cut"'],
    ['a head', 'tune head from "./cut"'],
    ['a mask', 'prune base.blocks[0].mlp.fc1 with magnitude(sparsity: 50%) from "./cut"'],
  ])('%s: one message', async (_, rest) => {
    expect(await codes(`${base}\n ${rest}`)).toEqual([CUT]);
  });

  it('leaves the classes unknown, not missing', async () => {
    const open = base.replace(', classes: 2', '');
    expect(await codes(`${open}\n tune head from "./cut"\n adapt head.fc with lora(rank: 1)`)).toEqual([CUT]);
  });

  it('hides nothing else that is wrong', async () => {
    const found = await codes(
      `${base}\n adapt base.blocks[0].mlp.fc7 with lora() from "./cut"\n adapt base.norm with lora(rank: 1)`,
    );
    expect(found).toEqual([CUT, 'ESP0330', 'ESP0331']);
  });
});
