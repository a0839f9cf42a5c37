/** What a spec says of tensors that nobody wants: the line of a model that waives them. */

/** Names that are written out; more of them are said by what they begin with. */
const FEW = 3;

/** @param names of tensors or modules, as the file has them */
export function waive(names: readonly string[]): string {
  return `If nobody wants them, say so in the model: \`ignore ${patterns(names)
    .map((p) => JSON.stringify(p))
    .join(', ')}\`. \`*\` stands for any characters.`;
}

/** As few patterns as match the names and are no wider than what each group of them begins with. */
function patterns(names: readonly string[]): string[] {
  if (names.length <= FEW) return [...names];
  const groups = new Map<string, string[][]>();
  for (const name of names) {
    const parts = name.split('.');
    groups.set(parts[0]!, [...(groups.get(parts[0]!) ?? []), parts]);
  }
  return [...groups.values()].map((group) => {
    const [first, ...others] = group as [string[], ...string[][]];
    if (others.length === 0) return first.join('.');
    let common = 0;
    while (common < first.length - 1 && others.every((o) => o[common] === first[common])) common++;
    // One of them is what the others begin with.
    return common === 0 ? `${first[0]}*` : `${first.slice(0, common).join('.')}.*`;
  });
}
