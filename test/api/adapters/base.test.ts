/** An adapter that says of which base it is, on that one and on another. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { analyseModel } from '../../../src/api/analyse.js';
import { loadParameters } from '../../../src/api/parameters.js';
import { FIXTURES, host, scratch } from '../support.js';

const folder = scratch();

/** A copy of a fixture, with a field of one of its files set. */
function withField(from: string, name: string, file: string, field: string, value: string): string {
  const to = join(folder, name);
  cpSync(join(FIXTURES, from), to, { recursive: true });
  const json = JSON.parse(readFileSync(join(to, file), 'utf8')) as object;
  writeFileSync(join(to, file), JSON.stringify({ ...json, [field]: value }));
  return to;
}

test.each([
  ['google/one', 'Google/One', 0],
  ['google/one', 'google/another', 1],
  ['../vit-grey', 'google/another', 0],
  ['/home/me/vit', 'google/another', 0],
  ['google/one', './somewhere', 0],
])('trained on %s, put on %s', async (trained, called, warnings) => {
  const id = `${trained}-${called}`.replace(/\W/g, '_');
  const base = withField('vit-grey', `base-${id}`, 'config.json', '_name_or_path', called);
  const adapter = withField('peft/theirs-dora', id, 'adapter_config.json', 'base_model_name_or_path', trained);
  const text = `use std
model M {
  base = vit_auto() from "${base}"
  head = classify(base, classes: 3)
  adapt base.blocks[*].{attn.qkv.q, attn.qkv.v, mlp.fc2} with dora() from "${adapter}"
  tune head from "${adapter}"
}`;
  const loaded = await loadParameters(await analyseModel({ text, path: 'm.peft' }, { host }));
  const found = loaded.warnings.filter((d) => d.code === 'ESP1286').map((d) => d.message);
  expect(found).toHaveLength(warnings);
  for (const message of found) expect(message).toContain('trained on google/one, and the base is google/another');
});
