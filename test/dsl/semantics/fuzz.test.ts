/** Whatever a spec says, elaboration ends, soon, with diagnostics and not with an exception. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { check } from '../../../src/dsl/elaborate.js';
import { parse } from '../../../src/dsl/parse.js';

const fixture = (name: string) => readFileSync(new URL(`./fixtures/${name}.peft`, import.meta.url), 'utf8');
const SMALL = `use std
variant tiny = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 2, heads: 2)
model M(rank: int = 2) {
  base = tiny() from "./x"
  head = classify(base, classes: 3)
  in base.blocks[0..2] {
    adapt attn.qkv.q, mlp.fc1 with karst(rank: rank, factor: 2, rescale: scalar)
    adapt mlp_branch with adaptformer(hidden: 2)
    prune mlp.fc1, mlp.fc2 with magnitude(sparsity: 50%, scope: global, shape: block(2, 2), over: sum)
  }
  tune head
}
deploy M {
  batch = [1, 8]
}
`;
const TEXTS = [SMALL, fixture('swin'), fixture('stacked'), fixture('branches')].map(
  (t) => t.match(/\w+|\s+|[^\w\s]/g)!,
);
/** What a slip may put in place of a token. */
const POOL = [
  '0',
  '-1',
  '1e9',
  '2:0',
  'none',
  'base',
  'x',
  'in',
  '"s"',
  'new',
  '*',
  '**',
  '[',
  ']',
  '{',
  '}',
  '(',
  ')',
  '.',
  '..',
  ',',
  '@',
  '/',
  '%',
  '\n',
  'true',
  'table',
  'i',
  'size',
  'Linear',
  'param',
  'repeat',
  'forward',
  'weight',
  '.T',
];

describe('mutated specs', () => {
  it('never throw and end soon', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.constantFrom('drop', 'twice', 'pool', 'swap'), fc.nat()), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.nat({ max: TEXTS.length - 1 }), edits, (which, list) => {
        const tokens = [...TEXTS[which]!];
        for (const [at, kind, with_] of list) {
          const i = at % tokens.length;
          if (kind === 'drop') tokens.splice(i, 1);
          else if (kind === 'twice') tokens.splice(i, 0, tokens[i]!);
          else if (kind === 'pool') tokens[i] = POOL[with_ % POOL.length]!;
          else {
            const j = with_ % tokens.length;
            [tokens[i], tokens[j]] = [tokens[j]!, tokens[i]!];
          }
        }
        const text = tokens.join('');
        const start = performance.now();
        const found = check(parse('f.peft', text).file, { readFile: () => undefined });
        expect(performance.now() - start).toBeLessThan(30_000);
        for (const d of found) expect(d.message).not.toMatch(/undefined|NaN|\[object/);
      }),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 250) },
    );
  });
});
