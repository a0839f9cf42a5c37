/**
 * What expressions give, without a spec around them: for those who write specs (`onnx/import`) and have to know the types of what they have
 * written before they go on. An expression is elaborated over inputs of given types, by the same code as any other.
 */
import type { Diagnostic } from '../diagnostics/types.js';
import { BATCH } from '../ir/batch.js';
import { input } from '../ir/graph.js';
import { showType } from '../ir/ops/shapes.js';
import type { TensorType } from '../ir/types.js';
import type { FunctionDecl } from './ast.js';
import { parse } from './parse.js';
import { BUILTINS } from './semantics/builtins/builtins.js';
import { num, Scope, tensorVal, type Val } from './semantics/evaluate/values.js';
import { makeEngine } from './semantics/make-engine.js';
import { Library } from './semantics/names/library.js';
import { resolveNames } from './semantics/names/resolve.js';
import { Exhausted, Report } from './semantics/report.js';

/** Types of an expression's value, one for each item where it is a list; or what is wrong with it. */
export type Typed = { readonly types: readonly TensorType[] } | { readonly errors: readonly Diagnostic[] };

const FILE = 'expression.peft';
/** The size of the batch, in expressions. */
export const BATCH_NAME = 'b';

export class Scratch {
  /** By expression and types: a network has the same ones many times. */
  readonly #known = new Map<string, Typed>();

  /** @param names types of what the expression calls by these names; besides, `b` is the batch */
  typed(expression: string, names: ReadonlyMap<string, TensorType>): Typed {
    const key = `${expression}|${[...names].map(([n, t]) => `${n}: ${showType(t)}`).join()}`;
    let found = this.#known.get(key);
    if (!found) {
      found = elaborated(expression, names);
      this.#known.set(key, found);
    }
    return found;
  }
}

function elaborated(expression: string, names: ReadonlyMap<string, TensorType>): Typed {
  const params = [...names.keys(), BATCH_NAME].map((n) => `${n}: tensor`).join(', ');
  const { file, diagnostics } = parse(FILE, `use std\nfunction it(${params}) = ${expression}\n`);
  const report = new Report(FILE);
  for (const d of diagnostics) report.push(d);
  const decl = file.decls.find((d): d is FunctionDecl => d.kind === 'function');
  const none = { readFile: () => undefined, facts: () => undefined };
  const library = new Library(file, report, none);
  const engine = makeEngine(report, library, resolveNames(library, report, BUILTINS), none);
  const scope = new Scope();
  scope.set(BATCH_NAME, num(BATCH));
  for (const [name, type] of names) scope.set(name, tensorVal(input(name, type)));
  const types = (value: Val): TensorType[] =>
    value.kind === 'list' ? value.items.flatMap(types) : [engine.tensor(value, decl!.value.span).type];
  try {
    const found = decl && !report.failed && report.attempt(() => types(engine.evaluate(decl.value, scope)));
    if (found && !report.failed) return { types: found };
  } catch (error) {
    if (!(error instanceof Exhausted)) throw error;
  }
  return { errors: report.diagnostics.filter((d) => d.severity === 'error') };
}
