/**
 * What is found out of a graph in walks over it. Whoever works on a function makes one summary of it and passes it on; what is rebuilt is another
 * graph, with a summary of its own.
 */
import { rootsOf, topological } from './graph.js';
import type { Func, Value } from './types.js';

export class Summary {
  /** Every value that the roots need, operands first. */
  readonly order: readonly Value[];
  readonly #roots: ReadonlySet<Value>;
  /** Of each value, those that read it, each once, in the order above. */
  readonly #readers = new Map<Value, Value[]>();
  /** Roots, and values that are read at several places: by several values, or twice by one. */
  readonly #shared: Set<Value>;

  /** @param roots what is wanted of the graph: of a function, its results and what its states become */
  constructor(readonly roots: readonly Value[]) {
    this.order = topological(roots);
    this.#roots = new Set(roots);
    this.#shared = new Set(roots);
    for (const v of this.order) {
      this.#readers.set(v, []);
      for (const x of v.inputs) {
        const readers = this.#readers.get(x)!;
        if (readers.length > 0) this.#shared.add(x);
        if (readers.at(-1) !== v) readers.push(v);
      }
    }
  }

  static of(func: Func): Summary {
    return new Summary(rootsOf(func));
  }

  /** The values that read a value, each once; being a root is no reading. None of what is not in the graph. */
  readers(v: Value): readonly Value[] {
    return this.#readers.get(v) ?? [];
  }

  isRoot(v: Value): boolean {
    return this.#roots.has(v);
  }

  /** Whether something besides one operand of one value needs it: what is done to it there may not be done to it elsewhere. */
  isShared(v: Value): boolean {
    return this.#shared.has(v);
  }
}
