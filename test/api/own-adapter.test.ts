/** A user's own adapter, defined in `.peft` alone: it merges, and gives what the same arithmetic in plain TypeScript gives. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { relativeError } from '../../src/api/golden/rows.js';
import { compile } from '../../src/api/index.js';
import { STD } from '../../src/dsl/std.generated.js';
import { encodeAdapter } from '../../src/formats/adapters/adapter.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { interpret } from '../../src/ir/run/interpret.js';
import type { Tensor } from '../../src/ir/types.js';
import { host, random, scratch } from './support.js';

const folder = scratch();
const [IN, OUT, RANK, TOKENS] = [6, 5, 2, 4];
const STRENGTH = 0.75;

// Low rank with a gate for each direction, behind a shift of the input; then a gain for each channel.
const SPEC = `use std

adapter tides(rank: int, strength: float = 1) on base: Linear(in -> out) {
  shift = param [in] zeros
  down = param [rank, in] kaiming_uniform(1)
  gate = param [rank] ones
  up = param [out, rank] zeros
  gain = param [out] ones
  forward(x) {
    z = x - shift
    gain * (base(z) + strength * (gate * (z @ down.T)) @ up.T) + 0.5
  }
}

backbone one_layer() {
  fc = Linear(${IN} -> ${OUT})
  forward(x: [b, ${TOKENS}, ${IN}]) { fc(x) }
}

model Own {
  base = one_layer() from "${join(folder, 'base.safetensors')}"
  adapt base.fc with tides(rank: ${RANK}, strength: ${STRENGTH}) from "${join(folder, 'tides.safetensors')}"
}
`;

const base = { 'base.fc.weight': random('w', [OUT, IN]), 'base.fc.bias': random('b', [OUT]) };
const own = {
  shift: random('shift', [IN]),
  down: random('down', [RANK, IN]),
  gate: random('gate', [RANK]),
  up: random('up', [OUT, RANK]),
  gain: random('gain', [OUT]),
};

/** The adapter's formula for one token, index by index. */
function tides(x: ArrayLike<number>): number[] {
  const at = (t: Tensor, i: number) => t.data[i]!;
  const z = Array.from({ length: IN }, (_, i) => x[i]! - at(own.shift, i));
  const dot = (t: Tensor, row: number) => z.reduce((sum, zi, i) => sum + at(t, row * IN + i) * zi, 0);
  return Array.from({ length: OUT }, (_, o) => {
    const plain = dot(base['base.fc.weight'], o) + at(base['base.fc.bias'], o);
    let low = 0;
    for (let r = 0; r < RANK; r++) low += at(own.gate, r) * dot(own.down, r) * at(own.up, o * RANK + r);
    return at(own.gain, o) * (plain + STRENGTH * low) + 0.5;
  });
}

test('merges, and computes its formula', async () => {
  expect(Object.values(STD).join('\n')).not.toContain('tides');
  const stored = Object.entries(base).map(([name, t]) => [name, storeTensor(t)] as const);
  writeFileSync(join(folder, 'base.safetensors'), encodeSafetensors(new Map(stored)));
  const trained = Object.entries(own).map(([name, t]) => [`base.fc@tides.${name}`, t] as const);
  writeFileSync(join(folder, 'tides.safetensors'), encodeAdapter(new Map(trained)));

  const compiled = await compile({ text: SPEC, path: 'own.peft' }, { host, adapters: 'merged' });
  expect(compiled.report).toEqual([{ id: 'base.fc@tides', name: 'tides', site: 'base.fc', state: 'merged' }]);
  expect(compiled.program.entries[0]!.dispatches).toHaveLength(1);
  expect(compiled.warnings).toEqual([]);

  const x = random('x', [1, TOKENS, IN]);
  const expected = Array.from({ length: TOKENS }, (_, t) => tides(x.data.slice(t * IN, (t + 1) * IN))).flat();
  const all: Record<string, Tensor> = { ...base, ...Object.fromEntries(trained) };
  const module = compiled.module;
  const prepared = interpret(module, 'prepare', { params: (name) => all[name]! });
  const [result] = interpret(module, 'infer', {
    inputs: new Map([['x', x]]),
    params: (name) => prepared.get(name) ?? all[name]!,
  }).values();
  expect(result!.type.shape).toEqual([1, TOKENS, OUT]);
  expect(relativeError(expected, result!.data)).toBeLessThan(1e-12);
});
