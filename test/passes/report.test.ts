/**
 * What is said of each adapter, where several have one value or one tensor: those that share parameters, that sit on one layer, that compute
 * the same. Nothing may be said of the first alone.
 */
import { describe, expect, test } from 'vitest';
import { type AdapterMode, optimize } from '../../src/passes/index.js';
import { good } from '../dsl/semantics/helper.js';

const ADAPTERS = `adapter tied(rank: int) on base: Linear(in -> out) {
  U = shared param [rank, in] default
  V = shared param [out, rank] default
  core = param [rank, rank] default
  forward(x) { base(x, weight: base.weight + V @ core @ U) }
}
adapter allshared(rank: int) on base: Linear(in -> out) {
  U = shared param [rank, in] default
  V = shared param [out, rank] default
  forward(x) { base(x, weight: base.weight + V @ U) }
}
adapter sharedact(rank: int) on base: Linear(in -> out) {
  U = shared param [rank, in] default
  V = shared param [out, rank] default
  forward(x) { base(x) + x @ U.T @ V.T }
}
adapter whole(rank: int) on base: Linear(in -> out) {
  U = shared param [rank, in] default
  V = shared param [out, rank] default
  forward(x) { base(x, weight: V @ U) }
}
adapter lw(rank: int) on base: Linear(in -> out) {
  A = param [rank, in] default
  B = param [out, rank] default
  forward(x) { base(x, weight: base.weight + B @ A) }
}
adapter kw() on base: Linear(in -> out) {
  C = param [2, 2] default
  D = param [out / 2, in / 2] default
  forward(x) { base(x, weight: base.weight + kron(C, D)) }
}
adapter nrm() on base: Linear(in -> out) {
  g = param [out] default
  forward(x) { base(x, weight: base.weight / norm(base.weight, axis: 1)[:, new]) * g }
}
adapter act() on base: Linear(in -> out) { forward(x) { base(relu(x)) } }
adapter actafter() on base: Linear(in -> out) { forward(x) { relu(base(x)) } }
adapter half() on base: Linear(in -> out) { forward(x) { 0.5 * base(x) } }
adapter idt() on base: Linear(in -> out) { forward(x) { base(x) } }
adapter kronx() on base: (x: [b, n, dim]) {
  C = param [2, 2] default
  D = param [4, 4] default
  forward(x) { base(x) + x @ kron(C, D) }
}
adapter kronx2() on base: (x: [b, n, dim]) {
  C = param [4, 4] default
  D = param [2, 2] default
  forward(x) { base(x) + x @ kron(C, D) }
}
`;

const spec = (body: string) => `use std
module Block() {
  qkv = Linear(8 -> {q: 8, k: 8, v: 8}, bias: false)
  fc = Linear(24 -> 8, bias: false)
  forward(x) { fc(relu(qkv(x))) }
}
backbone net() {
  layers = repeat i < 3 { Linear(8 -> 8, bias: false) }
  blocks = repeat i < 2 { Block() }
  forward(x: [b, 4, 8]) { blocks(layers(x)) }
}
${ADAPTERS}
model M {
  base = net()
  ${body}
}
`;

type State = 'merged' | 'factored' | 'kept';

/** States that occur, by adapter, and the codes of what is said. */
function said(body: string, adapters: AdapterMode) {
  const { report } = optimize(good(spec(body)).module, { adapters });
  const states = new Map<string, Set<State>>();
  for (const { name, state } of report.adapters) {
    states.set(name, (states.get(name) ?? new Set<State>()).add(state));
  }
  return {
    states: [...states].map(([name, s]) => `${name} ${[...s]}`),
    codes: report.diagnostics.map((d) => d.code),
    report,
  };
}

const layers = 'adapt base.layers[*] with';
const parts = 'adapt base.blocks[*].qkv.{q, v} with';

describe('with `factored`, every site of a statement is said to be what it is', () => {
  test.each<[string, readonly string[], (readonly string[])?]>([
    [`${layers} tied(rank: 2)`, ['tied factored']],
    [`${layers} allshared(rank: 2)`, ['allshared factored']],
    [`${layers} sharedact(rank: 2)`, ['sharedact factored']],
    [`${layers} whole(rank: 2)`, ['whole factored']],
    [`${parts} tied(rank: 2)`, ['tied factored']],
    [`${parts} allshared(rank: 2)`, ['allshared factored']],
    // Two on one layer.
    [`${layers} lw(rank: 2)\n  ${layers} kw()`, ['lw factored', 'kw factored']],
    [`${layers} kw()\n  ${layers} lw(rank: 2)`, ['kw factored', 'lw factored']],
    // The same value for both.
    [`${parts} act()`, ['act factored']],
    // A mask over the sum needs it; one over the base does not.
    [
      `${layers} tied(rank: 2)\n  prune base.layers[*] with magnitude(sparsity: 50%, over: sum)`,
      ['tied merged'],
      ['ESP0406'],
    ],
    [`${layers} tied(rank: 2)\n  prune base.layers[*] with magnitude(sparsity: 50%)`, ['tied factored']],
    [
      `${layers} tied(rank: 2)\n  prune base.layers[1] with magnitude(sparsity: 50%, over: sum)`,
      ['tied factored,merged'],
      ['ESP0406'],
    ],
  ])('%s', (body, states, codes = []) => {
    const found = said(body, 'factored');
    expect([found.states, found.codes]).toEqual([states, codes]);
  });

  test('the site that a warning names is the one', () => {
    const body = `${layers} tied(rank: 2)\n  prune base.layers[1] with magnitude(sparsity: 50%, over: sum)`;
    const { report } = said(body, 'factored');
    expect(report.diagnostics[0]!.message).toContain('tied at base.layers[1] cannot');
    expect(report.adapters.map((a) => a.state)).toEqual(['factored', 'merged', 'factored']);
  });
});

describe.each(['merged', 'auto'] as const)('with `%s`', (mode) => {
  test.each<[string, readonly string[], readonly string[]]>([
    [`${layers} tied(rank: 2)`, ['tied merged'], []],
    [`${layers} whole(rank: 2)`, ['whole merged'], []],
    [`${layers} lw(rank: 2)\n  ${layers} kw()`, ['lw merged', 'kw merged'], []],
    [`${parts} half()`, ['half merged'], []],
    // One relu is left for both parts, and stands in the way of both.
    [`${parts} act()`, ['act kept'], ['ESP0401']],
    [`${parts} actafter()`, ['actafter kept'], ['ESP0401']],
  ])('%s', (body, states, codes) => {
    const found = said(body, mode);
    expect([found.states, found.codes]).toEqual([states, codes]);
  });

  test('of two around a block, both are left in what they have become together', () => {
    const { states } = said('adapt base.blocks[*] with kronx()\n  adapt base.blocks[*] with kronx2()', mode);
    expect(states).toEqual(['kronx kept', 'kronx2 kept']);
  });
});
