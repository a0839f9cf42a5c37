/** What a project sees that installs the package: declarations alone, in which values have the operators that the files of the table add. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  skipLibCheck: true,
  types: ['node', '@webgpu/types'],
  typeRoots: [join(ROOT, 'node_modules/@types'), join(ROOT, 'node_modules')],
};

const USE = `import type { Compiled } from './index.js';

type Form = 'none' | 'tanh' | 'quick';
export function forms({ module }: Compiled): Form[] {
  const values = [...module.funcs.values()].flatMap((f) => f.results.map((r) => r.value));
  // @ts-expect-error there is no such operator
  if (values[0]?.op === 'nothing') return [];
  return values.flatMap((v) => (v.op === 'gelu' ? [v.attrs.form] : []));
}
`;

test('name every operator with its attributes', () => {
  const declarations = new Map<string, string>();
  const main = join(ROOT, 'src/api/index.ts');
  const program = ts.createProgram([main], {
    ...OPTIONS,
    declaration: true,
    emitDeclarationOnly: true,
    outDir: ROOT,
    rootDir: ROOT,
  });
  program.emit(undefined, (path, text) => declarations.set(path, text));
  expect(declarations.size).toBeGreaterThan(100);
  const use = join(ROOT, 'src/api/use.ts');
  declarations.set(use, USE);
  const host = ts.createCompilerHost(OPTIONS);
  const { fileExists, getSourceFile } = host;
  const ours = (path: string): boolean => path.startsWith(join(ROOT, 'src')) || path.startsWith(join(ROOT, 'runtime'));
  host.fileExists = (path) => (ours(path) ? declarations.has(path) : fileExists(path));
  host.readFile = (path) => declarations.get(path) ?? ts.sys.readFile(path);
  host.getSourceFile = (path, options) => {
    const text = declarations.get(path);
    return text === undefined ? getSourceFile(path, options) : ts.createSourceFile(path, text, options);
  };
  const checked = ts.createProgram([use], { ...OPTIONS, noEmit: true }, host);
  const wrong = checked.getSemanticDiagnostics(checked.getSourceFile(use));
  expect(wrong.map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'))).toEqual([]);
}, 120_000);
