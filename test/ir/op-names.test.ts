/**
 * Whoever asks what an operator is like asks the table. A list, a chain of comparisons or a shared `case` that names several operators is a
 * private answer to such a question, of which a new operator would silently not be part. Tables of rules are not meant: their type says which
 * operators they have, and does not compile without one.
 */
import { fileURLToPath } from 'node:url';
import { Node, Project, type SourceFile, SyntaxKind } from 'ts-morph';
import { describe, expect, it } from 'vitest';
import { isOpName } from '../../src/ir/ops/index.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What names several operators and is no such answer, and why. */
const ALLOWED: Readonly<Record<string, string>> = {
  'src/dsl/semantics/builtins/math.ts: floor sign': 'functions of numbers of the language',
  'src/dsl/semantics/evaluate/arithmetic.ts: and or': 'words of the language',
  'src/ir/affine/operator.ts: add sub': 'one rule, in which the second operand counts once more or once less',
  'src/ir/affine/parse.ts: add sub': 'the same',
  'src/ir/affine/steps.ts: reduce_mean reduce_sum': 'one rule for what is a sum but for a factor',
  'src/passes/merge/absorb.ts: add mul': 'how an adapter changes a value: what the pass is about',
  'src/passes/merge/absorb.ts: add sub': 'the same',
  'src/passes/merge/factor.ts: linear matmul': 'x·Wᵀ and x·M, the two forms of a weight that is taken apart',
};

const named = (node: Node | undefined): string[] =>
  Node.isStringLiteral(node) && isOpName(node.getLiteralValue()) ? [node.getLiteralValue()] : [];

/** Each place of a file that names several operators beside each other. */
function groups(file: SourceFile): string[] {
  const found: string[][] = [];
  file.forEachDescendant((node) => {
    if (Node.isArrayLiteralExpression(node)) found.push(node.getElements().flatMap(named));
    if (Node.isCaseClause(node) && !Node.isCaseClause(node.getPreviousSibling())) found.push(...sharedCases(node));
    const parent = node.getParent();
    const chain =
      Node.isBinaryExpression(node) && !(Node.isBinaryExpression(parent) || Node.isParenthesizedExpression(parent));
    if (chain) found.push(...compared(node));
  });
  return found.map((names) => [...new Set(names)].sort().join(' ')).filter((names) => names.includes(' '));
}

/** Names of cases that fall through to the same statements, from the first case of a switch on. */
function sharedCases(first: Node): string[][] {
  const runs: string[][] = [[]];
  for (let clause: Node | undefined = first; clause; clause = clause.getNextSibling()) {
    if (!Node.isCaseClause(clause)) break;
    runs.at(-1)!.push(...named(clause.getExpression()));
    if (clause.getStatements().length > 0) runs.push([]);
  }
  return runs;
}

/** Names that one expression is compared with within a condition. */
function compared(condition: Node): string[][] {
  const by = new Map<string, string[]>();
  for (const node of [condition, ...condition.getDescendantsOfKind(SyntaxKind.BinaryExpression)]) {
    if (!Node.isBinaryExpression(node) || !/^[!=]==$/.test(node.getOperatorToken().getText())) continue;
    const subject = node.getLeft().getText();
    by.set(subject, [...(by.get(subject) ?? []), ...named(node.getRight())]);
  }
  return [...by.values()];
}

const sources = (paths: string): SourceFile[] =>
  new Project({ useInMemoryFileSystem: false }).addSourceFilesAtPaths(`${ROOT}${paths}`);

describe('names of operators', () => {
  it('stand in groups in the table alone', () => {
    const found = sources('src/**/*.ts').flatMap((file) => {
      const path = file.getFilePath().slice(ROOT.length);
      return path.startsWith('src/ir/ops/') ? [] : groups(file).map((names) => `${path}: ${names}`);
    });
    expect([...new Set(found)].sort()).toEqual(Object.keys(ALLOWED).sort());
  });

  it.each([
    ["const SET = new Set(['add', 'mul']);", ['add mul']],
    ["const yes = v.op === 'roll' || (v.op === 'pad' && x.op === 'sin');", ['pad roll']],
    ["if (v.op !== 'roll' && v.op !== 'pad') stop();", ['pad roll']],
    ["switch (v.op) { case 'sin': case 'cos': return 8; case 'add': return 1; default: return 0; }", ['cos sin']],
    ["const two = v.op === 'slice' && x.op === 'concat';", []],
    ["const other = ['a', 'add'];", []],
  ])('are found in %s', (text, expected) => {
    const file = new Project({ useInMemoryFileSystem: true }).createSourceFile('a.ts', text);
    expect(groups(file)).toEqual(expected);
  });
});
