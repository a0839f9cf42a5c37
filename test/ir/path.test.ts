import { expect, it } from 'vitest';
import { bindingOf, commonPath, isWithin, lastStep, showPath } from '../../src/ir/path.js';

it('shows a path as specs write it, once or twice', () => {
  const shown = {
    '': '',
    base: 'base',
    'base.blocks.3.attn.qkv': 'base.blocks[3].attn.qkv',
    'base.stages.0.blocks.12': 'base.stages[0].blocks[12]',
    'base.grid.1.2': 'base.grid[1][2]',
    'base.fc1.q2': 'base.fc1.q2',
    'base.blocks.3.attn.qkv@lora2': 'base.blocks[3].attn.qkv@lora2',
  };
  for (const [path, text] of Object.entries(shown)) {
    expect(showPath(path)).toBe(text);
    expect(showPath(text)).toBe(text);
  }
});

it('knows steps, bindings and what lies in what', () => {
  expect(['', 'base', 'base.blocks.3', 'base.blocks.3.attn'].map(lastStep)).toEqual(['', 'base', 'blocks[3]', 'attn']);
  expect(bindingOf('base.blocks.3')).toBe('base');
  expect(isWithin('base.blocks.1.attn', 'base.blocks.1')).toBe(true);
  expect(isWithin('base.blocks.1', 'base.blocks.1')).toBe(true);
  expect(isWithin('base.blocks.11', 'base.blocks.1')).toBe(false);
  expect(commonPath(['base.blocks.3.attn.qkv', 'base.blocks.3.mlp', 'base.blocks.3'])).toBe('base.blocks.3');
  expect(commonPath(['base.norm', 'head.fc'])).toBe('');
  expect(commonPath([])).toBe('');
});
