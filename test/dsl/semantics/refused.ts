/** Specs that are refused, row by row: how they are written in short, and how each is tried. */
import { describe, test } from 'vitest';
import { expectOne } from '../marked.js';
import { PATH, type Setup, wrongs } from './helper.js';

export type Row = readonly [code: string, words: RegExp, text: string, setup?: Setup];

/** A module with these lines and this forward, on its own. */
export const mod = (body: string, forward = 'x', shape = 'k, 4') =>
  `module A() {\n${body}\n  forward(x: [${shape}]) { ${forward} }\n}\nmodel M {\n  base = A()\n}\n`;
/** A model on a backbone of the library. */
export const std = (body: string, before = '') =>
  `use std\n${before}\nmodel M {\n  base = vit_base_patch16()\n${body}\n}\n`;
/** A layer with this adapter on it. */
export const adapter = (body: string, on = 'Linear(in -> out)', at = 'base.fc') =>
  `module A() {\n  fc = Linear(4 -> 4)\n  act = Mlp()\n  forward(x: [k, 4]) { act(fc(x)) }\n}\nmodule Mlp() {\n  forward(x: [k, 4]) { relu(x) }\n}\nadapter a() on base: ${on} {\n${body}\n}\nmodel M {\n  base = A()\n  adapt ${at} with a()\n}\n`;
/** An adapter that asks for the weight of a layer on which another one is. */
export const twice = (layer: string, shape: string, below: string) =>
  `module A() {\n  c = ${layer}\n  forward(x: [${shape}]) { c(x) }\n}\nadapter low() on base: Layer(in -> out) {\n  p = param [out, 8, 8] zeros\n  forward(x) { ${below} }\n}\nadapter high() on base: Layer(in -> out) {\n  forward(x) { base(x, weight: 2 * base.weight) }\n}\nmodel M {\n  base = A()\n  adapt base.c with low()\n  adapt base.c with high()\n}\n`;
export const prune = (options: string) => std(`  prune base.blocks[*].mlp.fc1 with magnitude(${options})`);
/** A layer that is pruned by this criterion. */
export const criterion = (value: string, asks = 'input', use = 'm') =>
  `criterion m(weight: [out, in], ${asks}) = ${value}\n${mod('  fc = Linear(4 -> 4)', 'fc(x)').replace('base = A()', `base = A()\n  prune base.fc with ${use}(sparsity: 50%, calibration: "./i")`)}`;
export const conv = (options: string) => mod(`  c = Conv2d(4 -> 4, kernel: 3, ${options})`, 'c(x)', 'k, 4, 8, 8');
export const deploy = (line: string) => `${std('')}deploy M {\n  ${line}\n}\n`;
export const BOTH = 'optimizer = adamw(lr: 1e-3)\n  schedule = constant(epochs: 2)';
export const train = (line: string, before = '') =>
  `${std('  head = classify(base, classes: 3)\n  tune head', before)}train M {\n  ${line}\n}\n`;
export const optimizer = (body: string, options = 'lr: float = 1') =>
  train('optimizer = own()\n  schedule = constant(epochs: 2)', `optimizer own(${options}) {\n  ${body}\n}\n`);
export const variant = (body: string, from = 'vit(dim: 8, depth: 1, heads: 1, image: 16)') =>
  `use std\nvariant v = ${from} {\n  ${body}\n}\nmodel M {\n  base = v() from "./x"\n}\n`;

/** A variant that no model fills in. */
export const unused = (body: string) =>
  `${std('')}variant v = vit(dim: 8, depth: 1, heads: 1, image: 16) {\n  ${body}\n}\n`;

/** In a file that is used, a body is checked when it is worked out, not before. */
export const used = (body: string, forward: string): [string, Setup] => [
  'use "./a.peft"\nmodel M {\n  base = A()\n}\n',
  { files: { 'a.peft': `module A() {\n${body}\n  forward(x: [k, 4]) { ${forward} }\n}\n` } },
];

/** A test for each row: its spec has one error, this one, at its mark. */
export function refused(groups: Readonly<Record<string, readonly Row[]>>): void {
  describe.each(Object.entries(groups))('%s', (_, rows) => {
    test.each(rows.map((row, i) => [i + 1, ...row] as const))('%i: %s %s', (_, code, words, source, setup) => {
      expectOne(source, code, words, PATH, (text) => wrongs(text, setup));
    });
  });
}
