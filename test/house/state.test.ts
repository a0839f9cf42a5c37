/** No module of ours keeps state that outlives a call, and no value is changed after it was made, but for what is listed here with its reason. */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Expression, Node, Project, type SourceFile, SyntaxKind } from 'ts-morph';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

const STATE: Readonly<Record<string, string>> = {
  // Counters and what belongs to the process as a whole.
  'src/ir/graph.ts next': 'numbers values; no result depends on where it stands',
  'src/cli/main.ts code': 'the exit code of the process',
  'src/formats/node/leftovers.ts ours':
    'names of temporary files that this process uses, which other calls must not remove',
  'src/formats/node/interrupt.ts unfinished': 'what a signal to the process removes',
  // Made once, always the same.
  'src/dsl/parse.ts grammar': 'the parser: building it costs more than reading a spec',
  'src/dsl/semantics/names/library.ts stdFiles': 'the standard library, parsed',
  'src/api/node/write.ts bundle': 'the runtime of this checkout, bundled',
  // What follows from a value that never changes, kept as long as the value: it cannot be wrong, and no caller can tell.
  'src/ir/affine/channels.ts known': 'channels of a value',
  'src/ir/affine/parse.ts known': 'matrices of a builder',
  'src/codegen/kernel/print.ts TEXTS': 'texts of functions that variants share',
  // Bits of one number: written and read in one expression, and made anew for each number it would cost more than the work.
  'src/ir/run/half.ts scratch': 'a number whose bits are read',
  'src/prune/select.ts number': 'the same',
  'src/prune/select.ts words': 'its bits, through which nothing is written',
};

const ASSIGNED: Readonly<Record<string, string>> = {
  'src/formats/node/writing.ts': 'the code of an error that was made for it',
  'runtime/node/driver.ts': 'the globals of the process, which WebGPU needs',
  'runtime/session.ts': 'the same',
};

const CHANGES = new Set(['set', 'add', 'delete', 'clear', 'push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'fill']);

function files(): SourceFile[] {
  const project = new Project({ skipAddingFilesFromTsConfig: true });
  return project.addSourceFilesAtPaths([join(root, 'src/**/*.ts'), join(root, 'runtime/**/*.ts')]);
}

/** Whether something is done to what a name stands for that changes it. */
function isChanged(file: SourceFile, name: string): boolean {
  return file.getDescendantsOfKind(SyntaxKind.Identifier).some((id) => {
    if (id.getText() !== name) return false;
    let at: Node = id;
    let parent = at.getParent();
    while (
      parent &&
      (Node.isPropertyAccessExpression(parent) || Node.isElementAccessExpression(parent)) &&
      parent.getExpression() === at
    ) {
      const call = parent.getParent();
      const member = Node.isPropertyAccessExpression(parent) ? parent.getName() : '';
      if (CHANGES.has(member) && Node.isCallExpression(call) && call.getExpression() === parent) return true;
      at = parent;
      parent = at.getParent();
    }
    return (
      at !== id &&
      Node.isBinaryExpression(parent) &&
      parent.getLeft() === at &&
      parent.getOperatorToken().getText().endsWith('=') &&
      !['==', '===', '!=', '!==', '<=', '>='].includes(parent.getOperatorToken().getText())
    );
  });
}

function* stateOf(file: SourceFile): Generator<string> {
  for (const statement of file.getVariableStatements()) {
    const mutable = statement.getDeclarationKind() !== 'const';
    for (const d of statement.getDeclarations()) {
      const holder = [SyntaxKind.NewExpression, SyntaxKind.ArrayLiteralExpression, SyntaxKind.ObjectLiteralExpression];
      const held = holder.includes((d.getInitializer() as Expression | undefined)?.getKind() ?? SyntaxKind.Unknown);
      if (mutable || (held && isChanged(file, d.getName()))) yield d.getName();
    }
  }
  for (const c of file.getClasses()) {
    for (const p of c.getStaticProperties()) {
      if (Node.isPropertyDeclaration(p) && (!p.isReadonly() || isChanged(file, p.getName())))
        yield `${c.getName()}.${p.getName()}`;
    }
  }
}

const paths = (f: SourceFile) => relative(root, f.getFilePath());

test('modules keep no state', () => {
  const found = files().flatMap((f) => [...stateOf(f)].map((name) => `${paths(f)} ${name}`));
  expect(found.sort()).toEqual(Object.keys(STATE).sort());
});

test('what was made is not changed by Object.assign', () => {
  const changed = (f: SourceFile) =>
    f.getDescendantsOfKind(SyntaxKind.CallExpression).some((call) => {
      const [target] = call.getArguments();
      return call.getExpression().getText() === 'Object.assign' && !Node.isObjectLiteralExpression(target);
    });
  expect(files().filter(changed).map(paths).sort()).toEqual(Object.keys(ASSIGNED).sort());
});

test('each kind of state is found', () => {
  const planted = new Project({ useInMemoryFileSystem: true }).createSourceFile(
    'planted.ts',
    `const memo = new WeakMap(); export const f = (x) => memo.get(x) ?? memo.set(x, 1);
let flag = false; export const g = () => { flag = true; };
const table = { a: [1] }; export const h = () => { table.a[0] = 2; };
const list = []; export const i = (x) => list.push(x);
class C { static seen = new Set(); }
const fixed = new Map([[1, 2]]); export const j = (x) => fixed.get(x) === 2;
`,
  );
  expect([...stateOf(planted)]).toEqual(['memo', 'flag', 'table', 'list', 'C.seen']);
});
