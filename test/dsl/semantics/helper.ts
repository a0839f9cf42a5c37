/** Elaborating small specs in tests, running what they trace, and printing what is wrong with them. */
import { render } from '../../../src/diagnostics/render.js';
import type { Diagnostic } from '../../../src/diagnostics/types.js';
import { elaborate } from '../../../src/dsl/elaborate.js';
import type { Elaborated, ElaborateOptions } from '../../../src/dsl/elaborated.js';
import { parse } from '../../../src/dsl/parse.js';
import { STD } from '../../../src/dsl/std.generated.js';
import { initialise } from '../../../src/ir/run/init.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import type { Tensor } from '../../../src/ir/types.js';
import { verifyModule } from '../../../src/ir/verify.js';

export interface Setup extends Partial<Omit<ElaborateOptions, 'readFile'>> {
  /** Files that `use` may name. */
  readonly files?: Readonly<Record<string, string>>;
}

export const PATH = 'spec.peft';

function optionsOf(setup: Setup): ElaborateOptions {
  const { files, ...rest } = setup;
  return { ...rest, readFile: (path) => files?.[path] };
}

/** What is wrong with a spec. */
export function wrongs(text: string, setup: Setup = {}): readonly Diagnostic[] {
  const parsed = parse(PATH, text);
  return [...parsed.diagnostics, ...elaborate(parsed.file, optionsOf(setup)).diagnostics];
}

export const codes = (text: string, setup: Setup = {}): string[] => wrongs(text, setup).map((d) => d.code);

/** Diagnostics as a person sees them. */
export const rendered = (text: string, setup: Setup = {}): string => shown(wrongs(text, setup), text, setup);

/** Diagnostics of a spec, from whatever stage, as a person sees them. */
export function shown(diagnostics: readonly Diagnostic[], text: string, setup: Setup = {}): string {
  const texts = (file: string) =>
    file === PATH ? text : (setup.files?.[file] ?? STD[file.replace(/^std\//, '').replace(/\.peft$/, '')]);
  return render([...diagnostics], { texts, color: false });
}

/** A spec that must be right; its program is verified. */
export function good(text: string, setup: Setup = {}): Elaborated {
  const parsed = parse(PATH, text);
  const result = elaborate(parsed.file, optionsOf(setup));
  const errors = [...parsed.diagnostics, ...result.diagnostics].filter((d) => d.severity === 'error');
  if (!result.value || errors.length > 0) throw new Error(rendered(text, setup));
  const problems = verifyModule(result.value.module);
  if (problems.length > 0) throw new Error(JSON.stringify(problems, null, 2));
  return result.value;
}

/** Runs `infer`; parameters that are not given start as they are declared to. */
export function run(
  e: Elaborated,
  inputs: Readonly<Record<string, Tensor>>,
  params: Readonly<Record<string, Tensor>> = {},
  seed = 1,
): Map<string, Tensor> {
  const memo = new Map<string, Tensor>(Object.entries(params));
  const get = (name: string): Tensor => {
    const known = memo.get(name);
    if (known) return known;
    const t = initialise(e.module.params.get(name)!, seed, e.module, get);
    memo.set(name, t);
    return t;
  };
  for (const name of Object.keys(params)) if (!e.module.params.has(name)) throw new Error(`no parameter ${name}`);
  return interpret(e.module, 'infer', { inputs: new Map(Object.entries(inputs)), params: get });
}

/** Elements of the parameters for which `which` holds. */
export function count(e: Elaborated, which: (name: string, role: string) => boolean): number {
  let n = 0;
  for (const p of e.module.params.values()) {
    if (which(p.name, p.role)) n += p.type.shape.reduce((a, b) => a * b, 1);
  }
  return n;
}
