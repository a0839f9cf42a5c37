/** Which sites a statement means, what options change about it, and what `--set` takes. */
import { describe, expect, it } from 'vitest';
import { good, wrongs } from './helper.js';
import { TINY, tiny } from './tiny.js';

const sitesOf = (body: string) => tiny(body).adapters.map((a) => a.site.replace('base.', ''));

describe('selectors', () => {
  it.each([
    ['base.blocks[1].attn.qkv', ['blocks.1.attn.qkv']],
    ['base.blocks[1..3].mlp.fc1', ['blocks.1.mlp.fc1', 'blocks.2.mlp.fc1']],
    ['base.blocks[0, 3].mlp.fc1', ['blocks.0.mlp.fc1', 'blocks.3.mlp.fc1']],
    ['base.blocks[-1].mlp.fc1', ['blocks.3.mlp.fc1']],
    ['base.blocks[2..].attn.proj', ['blocks.2.attn.proj', 'blocks.3.attn.proj']],
    ['base.blocks[0].{attn.*, mlp.fc1}', ['blocks.0.attn.qkv', 'blocks.0.attn.proj', 'blocks.0.mlp.fc1']],
    ['base.blocks[0].*.fc1', ['blocks.0.mlp.fc1']],
    ['base.blocks[0].**', ['blocks.0.attn.qkv', 'blocks.0.attn.proj', 'blocks.0.mlp.fc1', 'blocks.0.mlp.fc2']],
    ['**.blocks[2].**.fc2', ['blocks.2.mlp.fc2']],
    ['base.blocks[0].attn.qkv.{q, v}', ['blocks.0.attn.qkv.q', 'blocks.0.attn.qkv.v']],
    ['base.blocks[0..1].attn.{qkv, qkv}', ['blocks.0.attn.qkv']],
  ])('%s', (selector, expected) => {
    expect(sitesOf(`  adapt ${selector} with lora(rank: 2)`)).toEqual(expected);
  });

  it('begin at each site of an `in`, which nests', () => {
    expect(sitesOf('  in base.blocks[0..2] {\n    in mlp { adapt fc1, fc2 with lora(rank: 2) }\n  }')).toEqual([
      'blocks.0.mlp.fc1',
      'blocks.1.mlp.fc1',
      'blocks.0.mlp.fc2',
      'blocks.1.mlp.fc2',
    ]);
  });

  it('may use options, and statements may depend on them', () => {
    const text = `use std\n${TINY}
model M(from: int = 2, deep: bool = true, kind: plain | fancy = plain) {
  base = tiny()
  if deep { adapt base.blocks[from..4].mlp.fc1 with lora(rank: 2) } else { adapt base.norm with ssf() }
  if kind == fancy { tune base.norm }
}`;
    expect(good(text).adapters).toHaveLength(2);
    expect(good(text, { set: { from: '1' } }).adapters).toHaveLength(3);
    const other = good(text, { set: { deep: 'false', kind: 'fancy' } });
    expect(other.adapters.map((a) => a.id)).toEqual(['base.norm@ssf']);
    expect(other.module.params.get('base.norm.weight')!.role).toBe('trainable');
  });
});

describe('--set', () => {
  const text = (type: string, use: string) => `use std\n${TINY}\nmodel M(x: ${type}) {\n  base = tiny()\n  ${use}\n}`;
  it.each([
    ['int', '3', 'adapt base.blocks[x].mlp.fc1 with lora(rank: 2)', 1],
    ['float', '2e-1', 'adapt base.blocks[0].mlp.fc1 with alore(scale: x, experts: 2)', 1],
    ['bool', 'true', 'if x { adapt base.blocks[0].mlp.fc1 with lora(rank: 2) }', 1],
    ['[int]', '[2, 4]', 'adapt base.blocks[0].mlp.fc1 with lora(rank: x[1])', 1],
    ['none | one', 'one', 'if x != none { adapt base.blocks[0].mlp.fc1 with lora(rank: 2) }', 1],
    ['int | [string]', 'a, b', 'head = classify(base, classes: x)', 0],
  ])('%s %s', (type, value, use, adapters) => {
    expect(good(text(type, use), { set: { x: value } }).adapters).toHaveLength(adapters);
  });

  it.each([
    ['int', '3.5'],
    ['int', ''],
    ['bool', 'yes'],
    ['none | one', 'two'],
    ['[int]', '1, x'],
  ])('%s refuses %j', (type, value) => {
    expect(wrongs(text(type, ''), { set: { x: value } }).map((d) => d.code)).toContain('ESP0240');
  });
});
