/** Tables of ours that are asked for words of the user: `constructor` and `__proto__` are no entries of them. */
export function lookup<T>(table: Readonly<Record<string, T>>, word: string): T | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
