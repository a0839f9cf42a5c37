/**
 * Functions that call themselves, over graphs that are deeper than the stack. Where the order in which operands are needed is known,
 * `topological` is simpler; this is for rules that ask for what they need while they run.
 */

/** Calls within one another, each a handful of frames. */
const MOST = 100;

/** Thrown when calls stand too deep: what was asked for is computed first, with the stack to itself. */
class Unfinished<A> {
  constructor(readonly args: A) {}
}

/**
 * `compute`, remembered by `keyOf` its arguments. It may call the function that is returned to any depth: beyond `MOST` calls what it is
 * in is given up, and begins again when the inner one is known. So `compute` must be repeatable.
 */
export function deep<A extends readonly unknown[], V>(
  keyOf: (...args: A) => string,
  compute: (...args: A) => V,
): (...args: A) => V {
  const known = new Map<string, V>();
  let depth = 0;
  const run = (args: A): V => {
    depth++;
    try {
      const made = compute(...args);
      known.set(keyOf(...args), made);
      return made;
    } finally {
      depth--;
    }
  };
  /** From the bottom of the stack. */
  const drive = (args: A): V => {
    const pending = [args];
    for (;;) {
      try {
        const made = run(pending.at(-1)!);
        pending.pop();
        if (pending.length === 0) return made;
      } catch (error) {
        if (!(error instanceof Unfinished)) throw error;
        pending.push(error.args as A);
      }
    }
  };
  return (...args) => {
    const key = keyOf(...args);
    if (known.has(key)) return known.get(key)!;
    if (depth === 0) return drive(args);
    if (depth >= MOST) throw new Unfinished(args);
    return run(args);
  };
}
