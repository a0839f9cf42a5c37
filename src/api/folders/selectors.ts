/** Selectors that mean exactly these sites, in as few words as their indices allow. */

type Indices = readonly number[];

/** A path with its indices left out, and the indices. */
function split(path: string): { readonly key: string; readonly at: Indices } {
  const at: number[] = [];
  const key = path.replace(/\.(\d+)(?=\.|$)/g, (_, i: string) => {
    at.push(Number(i));
    return '[#]';
  });
  return { key, at };
}

function grouped(paths: Iterable<string>): Map<string, Indices[]> {
  const groups = new Map<string, Indices[]>();
  for (const path of paths) {
    const { key, at } = split(path);
    groups.set(key, [...(groups.get(key) ?? []), at]);
  }
  return groups;
}

/**
 * @param paths `base.blocks.0.mlp.fc1`
 * @param all every path of the model, from which it follows what `[*]` means
 * @returns such as `base.blocks[*].{attn.qkv.q, mlp.fc1}`
 */
export function selectorsFor(paths: readonly string[], all: Iterable<string>): string[] {
  const every = grouped(all);
  /** Up to the last index, and what stands after it. */
  const heads = new Map<string, string[]>();
  for (const [key, found] of grouped(paths)) {
    for (const spec of specsOf(found, every.get(key) ?? found)) {
      const parts = key.split('[#]');
      const tail = parts.pop()!.replace(/^\./, '');
      const head = parts.map((text, i) => text + spec[i]!).join('');
      heads.set(head, [...(heads.get(head) ?? []), tail]);
    }
  }
  return [...heads].flatMap(([head, tails]) => {
    if (head === '') return tails;
    const named = tails.filter((t) => t !== '');
    const own = named.length < tails.length ? [head] : [];
    if (named.length === 0) return own;
    return [...own, `${head}.${named.length === 1 ? named[0] : `{${named.join(', ')}}`}`];
  });
}

/** What stands in the brackets of a path, for each of the selectors that it takes: a list of texts, one for each index. */
function specsOf(found: readonly Indices[], all: readonly Indices[]): string[][] {
  const depth = all[0]!.length;
  if (depth === 0) return [[]];
  const firsts = [...new Set(found.map((at) => at[0]!))].sort((a, b) => a - b);
  const rest = (of: readonly Indices[], i: number) => of.filter((at) => at[0] === i).map((at) => at.slice(1));
  const byRest = new Map<string, { readonly inner: string[][]; readonly firsts: number[] }>();
  for (const i of firsts) {
    const inner = specsOf(rest(found, i), rest(all, i));
    const key = JSON.stringify(inner);
    byRest.set(key, { inner, firsts: [...(byRest.get(key)?.firsts ?? []), i] });
  }
  const count = new Set(all.map((at) => at[0])).size;
  return [...byRest.values()].flatMap(({ inner, firsts: own }) => {
    const first = own.length === count ? '[*]' : rangeOf(own);
    return inner.map((spec) => [first, ...spec]);
  });
}

/** `[2]`, `[0..6]`, `[0, 3, 5]` */
function rangeOf(sorted: readonly number[]): string {
  const [first] = sorted as readonly [number, ...number[]];
  const last = sorted.at(-1)!;
  if (sorted.length > 2 && last - first === sorted.length - 1) return `[${first}..${last + 1}]`;
  return `[${sorted.join(', ')}]`;
}
