/**
 * Whoever asks what an operator is like asks the table. A list, a chain of comparisons or a `switch` that names several operators is a
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
  'src/formats/huggingface/preprocessor.ts: pad resize': 'steps of preprocessing, which are called so',
  'src/formats/onnx/facts.ts: pad resize': 'steps of preprocessing, which are called so',
  'src/onnx/import/operators/places/scatter.ts: add mul': 'words of an attribute of ONNX',
  'src/dsl/semantics/evaluate/arithmetic.ts: and or': 'words of the language',
  'src/ir/affine/parse.ts: add sub': 'one rule, in which the second operand counts once more or once less',
  'src/passes/merge/factor.ts: linear matmul': 'x·Wᵀ and x·M, the two forms of a weight that is taken apart',
};

const named = (node: Node | undefined): string[] =>
  Node.isStringLiteral(node) && isOpName(node.getLiteralValue()) ? [node.getLiteralValue()] : [];

/** Each place of a file that names several operators beside each other. */
function groups(file: SourceFile): string[] {
  const found: string[][] = [];
  file.forEachDescendant((node) => {
    if (Node.isArrayLiteralExpression(node)) found.push(node.getElements().flatMap(named));
    if (Node.isSwitchStatement(node) && /\bop$/.test(node.getExpression().getText()))
      found.push(node.getClauses().flatMap((c) => (Node.isCaseClause(c) ? named(c.getExpression()) : [])));
    const parent = node.getParent();
    const chain =
      Node.isBinaryExpression(node) && !(Node.isBinaryExpression(parent) || Node.isParenthesizedExpression(parent));
    if (chain) found.push(...compared(node));
  });
  return found.map((names) => [...new Set(names)].sort().join(' ')).filter((names) => names.includes(' '));
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
    ["switch (v.op) { case 'sin': case 'cos': return 8; case 'add': return 1; default: return 0; }", ['add cos sin']],
    ["switch (v.op) { case 'sin': return 8; default: return 0; }", []],
    ["switch (e.kind) { case 'slice': return 8; case 'select': return 1; }", []],
    ["const two = v.op === 'slice' && x.op === 'concat';", []],
    ["const other = ['a', 'add'];", []],
  ])('are found in %s', (text, expected) => {
    const file = new Project({ useInMemoryFileSystem: true }).createSourceFile('a.ts', text);
    expect(groups(file)).toEqual(expected);
  });
});
