/** Kinds that fail in every way there is, for the test of the machinery: `--kinds test/fuzz/broken-kinds.ts`. */

import { diagnostic } from '../../src/diagnostics/catalogue.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import type { Kind, Kinds } from './case.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz \n';

/** Text in which `needle` is in about one of `every` cases. */
const kind = (weight: number, needle: string, every: number, fail: (text: string) => unknown): Kind => ({
  weight,
  make: (random) => {
    const some = () => Array.from({ length: 40 }, () => random.pick([...LETTERS])).join('');
    const text = random.chance(1 / every) ? `${some()}${needle}${some()}` : some();
    return { mode: '', files: { 'x.txt': new TextEncoder().encode(text) } };
  },
  run: async (files) => {
    const text = new TextDecoder().decode(files['x.txt']);
    if (text.includes(needle)) await fail(text);
    return [];
  },
});

const deep = (n: number): number => 1 + deep(n + 1);

export const KINDS: Kinds = {
  fine: kind(100, 'REFUSED', 2, () => {
    throw new EspalierError([diagnostic('ESP0901', { path: 'x' })]);
  }),
  crash: kind(10, 'CRASH', 4, () => (undefined as unknown as string[]).length),
  stack: kind(10, 'DEEP', 20, () => deep(0)),
  hang: kind(1, 'HANG', 2, () => {
    for (;;);
  }),
  wait: kind(1, 'WAIT', 2, () => new Promise(() => {})),
  memory: kind(1, 'LARGE', 2, () => new Float64Array(2 ** 27)),
  heap: kind(1, 'HEAP', 2, () => {
    for (const all: unknown[] = []; ; ) all.push(Array.from({ length: 1000 }, (_, i) => ({ i })));
  }),
  death: kind(1, 'EXIT', 2, () => process.exit(3)),
};
