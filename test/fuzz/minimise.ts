/** Makes a case smaller while it stays the same finding: files without what does not matter, by lines, tokens and bytes. */
import type { Case } from './case.js';
import { tokensOf } from './corpus.js';

export interface Effort {
  readonly tries: number;
  readonly seconds: number;
}

/**
 * @param holds whether a case is still the finding
 * @returns the smallest case found within the effort
 */
export async function minimise(from: Case, holds: (made: Case) => Promise<boolean>, effort: Effort): Promise<Case> {
  const end = Date.now() + 1000 * effort.seconds;
  let left = effort.tries;
  let best = from;
  const better = async (files: Case['files']): Promise<boolean> => {
    if (left <= 0 || Date.now() > end) return false;
    left--;
    const made = { ...best, files };
    if (!(await holds(made))) return false;
    best = made;
    return true;
  };

  for (const name of Object.keys(from.files)) {
    const { [name]: _, ...rest } = best.files;
    if (Object.keys(rest).length > 0) await better(rest);
  }
  for (const name of Object.keys(best.files)) {
    const put = (bytes: Uint8Array) => better({ ...best.files, [name]: bytes });
    const text = new TextDecoder().decode(best.files[name]);
    const encode = (parts: readonly string[]) => new TextEncoder().encode(parts.join(''));
    if (Buffer.from(text).equals(best.files[name]!)) {
      const lines = await reduce(text.split(/(?<=\n)/), (parts) => put(encode(parts)));
      const tokens = await reduce(tokensOf(lines.join('')), (parts) => put(encode(parts)));
      await reduce([...tokens.join('')], (parts) => put(encode(parts)));
    } else await reduce(Array.from(best.files[name]!), (parts) => put(Uint8Array.from(parts)));
  }
  return best;
}

/** Takes out stretches, halving their length, as long as `keeps` says that what is left will do. */
async function reduce<T>(all: readonly T[], keeps: (parts: readonly T[]) => Promise<boolean>): Promise<readonly T[]> {
  let parts = all;
  for (let size = Math.ceil(parts.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < parts.length; ) {
      const without = [...parts.slice(0, at), ...parts.slice(at + size)];
      if (without.length < parts.length && (await keeps(without))) parts = without;
      else at += size;
    }
  }
  return parts;
}
