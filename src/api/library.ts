/** The standard library's own text, for diagnostics that point into it. */
import { lookup } from '../dsl/lookup.js';
import { STD } from '../dsl/std.generated.js';

/** The text of `std/<name>.peft`; undefined for any other path. */
export function libraryText(path: string): string | undefined {
  const name = /^std\/(\w+)\.peft$/.exec(path)?.[1];
  return name === undefined ? undefined : lookup(STD, name);
}
