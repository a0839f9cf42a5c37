/** Names that every JavaScript object has are names as any other: declared, asked for, and never found where nobody put them. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyse, compile, inspect } from '../../src/api/index.js';
import { OPERATORS } from '../../src/dsl/semantics/builtins/operators.js';
import { FIXTURES, host, vitSpec } from './support.js';

const ODD = ['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];

/** A spec that names everything that can be named, with a word for each. */
const named = (w: readonly string[]) =>
  `use std
adapter ${w[0]}(${w[1]}: int = 2, ${w[2]}: ${w[3]} | plain = plain) on base: Linear(in -> out) {
  ${w[3]} = param [${w[1]}, in] normal(0.02)
  ${w[4]} = param [out, ${w[1]}] normal(0.02)
  forward(${w[5]}) { base(${w[5]}) + ${w[5]} @ ${w[3]}.T @ ${w[4]}.T }
}
module ${w[1]}(${w[0]}: int) {
  ${w[2]} = Linear(${w[0]} -> {${w[0]}: 4, ${w[1]}: 4})
  forward(${w[3]}: [n, ${w[0]}]) { ${w[2]}(${w[3]}) }
}
backbone ${w[2]}(${w[3]}: int) {
  ${w[0]} = ${w[1]}(${w[3]})
  forward(${w[5]}: [n, ${w[3]}]) {
    ${w[1]} = ${w[0]}(${w[5]})
    ${w[1]}
  }
}
variant ${w[5]} = ${w[2]}(${w[3]}: 4) {
  names ${w[4]} {
    "a.{${w[0]}}" = ${w[0]}.${w[2]}.${w[1]}
  }
}
model ${w[4]}(${w[5]}_: int = 1) {
  ${w[0]} = ${w[5]}()
  adapt ${w[0]}.${w[0]}.${w[2]}.{${w[0]}, ${w[1]}} with ${w[0]}(${w[1]}: 2)
}
deploy ${w[4]} {
  batch = [2]
}
`.replace(`{${w[0]}}"`, `${w[0]}"`);

const compiled = async (words: readonly string[]) => {
  const spec = { text: named(words), path: 'spec.peft' };
  const { program, files, report } = await compile(spec, { host });
  const tree = JSON.stringify(await inspect(spec, { host }));
  return { program, files, report, tree };
};

describe('a spec whose every name is odd', () => {
  test.each(ODD.map((_, i) => [...ODD.slice(i), ...ODD.slice(0, i)]))('%s, ...', async (...words) => {
    const odd = await compiled(words);
    const plain = await compiled(['na', 'nb', 'nc', 'nd', 'ne', 'nf']);
    expect(odd.program.summary).toEqual(plain.program.summary);
    expect(odd.report.map((a) => a.state)).toEqual(plain.report.map((a) => a.state));
    const entry = odd.program.entries[0]!;
    expect([entry.inputs.map((t) => t.name), entry.outputs.map((t) => t.name)]).toEqual([[words[5]], [words[1]]]);
    // Parameters are counted by name: none was lost on the way into the tree.
    for (const w of [words[3], words[4]]) expect(odd.tree).toContain(`@${words[0]}.${w}`);
  });
});

describe('where nobody declared them', () => {
  const wrong = async (text: string) => {
    const { diagnostics } = await analyse({ text, path: 'spec.peft' }, { host, library: true });
    return diagnostics.map((d) => d.code);
  };

  test.each(ODD)('an option called %s of a backbone with a configuration', async (odd) => {
    const { text } = vitSpec('vit-shards');
    expect(await wrong(text.replace('vit_auto()', `vit_auto(${odd}: 1)`))).toEqual(['ESP0203']);
    const own = `backbone own(${odd}: int = 4) {
  fc = Linear(${odd} -> 4)
  forward(x: [n, ${odd}]) { fc(x) }
}
model M { base = own() from "${join(FIXTURES, 'vit-shards')}" }`;
    expect(await wrong(own)).toEqual(['ESP0258']);
    // Read by a field that the configuration does not have, whatever a JavaScript object has of that name.
    const read = `${own.replace('own() from', 'v() from')}
variant v = own() { config huggingface { ${odd} = count("${odd}") or 7 } }`;
    expect(await wrong(read)).toEqual([]);
  });

  test.each(ODD)('%s as an option of every operator and layer', async (odd) => {
    const calls = [...OPERATORS.keys(), 'Linear', 'Conv2d'].map((name) => `  y${name} = ${name}(x, ${odd}: tanh)`);
    const codes = await wrong(`module A(x: int) {\n${calls.join('\n')}\n  forward(x: [n]) { x }\n}`);
    expect(codes.length).toBeGreaterThan(50);
    for (const code of codes) expect(code).toMatch(/^ESP02/);
  });

  test.each(ODD)('%s as a type, step, setting, form, library, layout, member', async (odd) => {
    const text = `use std
use std.${odd}
adapter a(rank: ${odd}) on base: ${odd}(in -> out) { forward(x) { base.${odd} } }
variant v = vit(dim: 8, depth: 1, heads: 1, image: 8, patch: 4) { preprocess = ${odd}(1) }
model M {
  base = v()
  adapt base.${odd} with ${odd}()
  prune base.norm.${odd} with ${odd}(${odd}: 1)
}
deploy M { ${odd} = 1 }
train M {
  ${odd} = 1
  optimizer = ${odd}(lr: 1)
  loss = mse(${odd}: 4)
}`;
    const codes = await wrong(text);
    const wanted = ['ESP0211', 'ESP0202', 'ESP0207', 'ESP0330', 'ESP0250', 'ESP0252', 'ESP0203'];
    expect(codes).toEqual(expect.arrayContaining(wanted));
    expect(codes.filter((c) => c === 'ESP0250')).toHaveLength(2);
  });

  test.each(ODD)('--set %s', async (odd) => {
    const options = { host, set: Object.fromEntries([[odd, '1']]) };
    const { diagnostics } = await analyse(vitSpec('vit-shards'), options);
    expect(diagnostics.map((d) => d.code)).toEqual(['ESP0239']);
  });
});
