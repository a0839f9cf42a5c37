/** What campaigns found, made small: each stays answered. */
import { describe, expect, test } from 'vitest';
import { outcomeOfError } from './case.js';
import { KINDS } from './kinds.js';
import { LIMITS } from './protocol.js';

const ON_TINY = (adapter: string, rest = '') => `use std
${adapter}
model M {
  base = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)
  adapt base.blocks[*].attn.proj with own()
}
${rest}`;

describe('specs', () => {
  test.each<[what: string, text: string, codes: readonly string[]]>([
    [
      'a picture of many channels',
      'use std\nmodel M {\n  base = vit_auto(image: 8, patch: 4, channels: 60000000, dim: 1, depth: 1, heads: 1)\n}\n',
      ['ESP0301'],
    ],
    [
      'a stack of nothing',
      'module M() {\n  y = stack(i < 0: 0)\n  forward(x: [b, 1]) { x }\n}\nmodel A {\n  base = M()\n}\n',
      ['ESP0205'],
    ],
    [
      'far more arguments than options, which is one mistake',
      `use std\nmodel A {\n  base = vit_auto(${Array.from({ length: 20_000 }, () => '1').join(', ')})\n}\n`,
      ['ESP0209'],
    ],
    ['a layer of nothing', ON_TINY('adapter own() on base: Linear(in -> out) {\n  forward(x) { base(x - x) }\n}'), []],
    [
      'an index that is not on its axis',
      ON_TINY(
        'adapter own() on base: Linear(in -> out) {\n  p = param [in] ones\n  forward(x) { gather(p, table(i < out: i + 1)) * base(x) }\n}',
      ),
      ['ESP0317'],
    ],
    [
      'a mean subtracted from equal columns, which leaves rounding errors alone',
      ON_TINY(
        `adapter own() on base: Linear(in -> out) {
  p = param [out, out] ones
  forward(x) { base(0 * x) - base(x) @ p.T }
}
adapter centred() on base: Linear(in -> out) {
  forward(x) { base(x) - mean(base(x), axis: -1, keep: true) }
}`,
        'deploy M {\n}',
      ).replace('with own()', 'with own()\n  adapt base.blocks[*].attn.proj with centred()'),
      [],
    ],
    [
      'a singular matrix',
      ON_TINY(
        'adapter own() on base: Linear(in -> out) {\n  Z = param [out, out] zeros\n  forward(x) { base(x, weight: solve(Z, base.weight)) }\n}',
      ),
      ['ESP0317'],
    ],
  ])('%s', async (_, text, codes) => {
    const cpu = process.cpuUsage();
    const came = await KINDS.spec!.run({ 'spec.peft': Buffer.from(text) }, 'compile').catch((error: unknown) => {
      const outcome = outcomeOfError(error);
      if (outcome.kind === 'refused') return outcome.codes;
      throw error;
    });
    expect(came).toEqual(codes);
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1e6).toBeLessThan(LIMITS.seconds);
  });
});
