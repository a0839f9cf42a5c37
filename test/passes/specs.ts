/** Small specs of a backbone of one's own, merged and compared: with the model as it is written, and with the model without adapters. */
import { expect } from 'vitest';
import { correspond } from '../../src/api/merge.js';
import type { Diagnostic } from '../../src/diagnostics/types.js';
import type { Module } from '../../src/ir/types.js';
import { optimize } from '../../src/passes/index.js';
import { good } from '../dsl/semantics/helper.js';
import { operators, parameters, relative, run } from './models.js';

export interface Merging {
  readonly text: string;
  readonly module: Module;
  readonly plain: Module;
  /** `merged` or `kept` of every adapter. */
  readonly states: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Merges the spec's one model in whatever way the compiler finds; the numbers must stay. `adapt` statements take a line each. */
export function mergedSpec(text: string): Merging {
  const before = good(text).module;
  const params = parameters(before);
  const y = run(before, params);
  const { module, report } = optimize(before, { adapters: 'merged', verify: true });
  expect(relative(y, run(module, params))).toBeLessThan(1e-11);
  const without = good(text.replaceAll(/^\s*adapt .*$/gm, '')).module;
  expect(relative(y, run(without, params)), 'the adapters matter').toBeGreaterThan(1e-6);
  const plain = optimize(without, { adapters: 'merged' }).module;
  return { text, module, plain, states: report.adapters.map((a) => a.state), diagnostics: report.diagnostics };
}

/** Every adapter is merged, what runs are the operators of the plain model, and a checkpoint in its layout can hold the result. */
export function expectPlain(text: string): Merging {
  const made = mergedSpec(text);
  const said = made.diagnostics.map((d) => `${d.message} ${d.help.join(' ')}`).join('\n');
  expect(made.states, said).toEqual(made.states.map(() => 'merged'));
  expect(made.states.length).toBeGreaterThan(0);
  expect(operators(made.module)).toEqual(operators(made.plain));
  expect(correspond(made.plain, made.module)).toBeInstanceOf(Map);
  return made;
}

/** Not one adapter is merged; what is said, with help. */
export function expectKept(text: string): string {
  const made = mergedSpec(text);
  expect(made.states).toEqual(made.states.map(() => 'kept'));
  return made.diagnostics.map((d) => [d.message, ...d.help].join('\n')).join('\n');
}

/** The text that a diagnostic points at. */
export function pointed({ text }: Merging, d: Diagnostic): string {
  return text.slice(d.primary!.span.start, d.primary!.span.end);
}
