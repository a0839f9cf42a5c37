/**
 * What has to name a new operator, a new pass, a new backbone. Each is added here, and the files that had to change are counted: an operator by
 * the type checker, which names every table that lacks it; a pass and a backbone by running with them.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Project, SyntaxKind } from 'ts-morph';
import { describe, expect, it } from 'vitest';
import { STD } from '../../src/dsl/std.generated.js';
import { build } from '../../src/ir/build.js';
import { input, rootsOf, topological } from '../../src/ir/graph.js';
import { tensor } from '../../src/ir/run/tensor.js';
import { optimize, PASSES } from '../../src/passes/index.js';
import { overFunc, type Pass } from '../../src/passes/pass.js';
import { simplified } from '../../src/passes/simplify.js';
import { good, run } from '../dsl/semantics/helper.js';
import { Net } from '../passes/models.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const AFFINE = ['src/ir/affine/operator.ts', 'src/ir/affine/parse.ts', 'src/ir/affine/rules.ts'];

describe('a new operator', () => {
  const project = new Project({ tsConfigFilePath: `${ROOT}tsconfig.json`, skipAddingFilesFromTsConfig: true });
  project.addSourceFilesAtPaths(`${ROOT}src/{ir,passes,codegen}/**/*.ts`);
  project.resolveSourceFileDependencies();
  const edited = new Set<string>();
  /** Puts text in front of the first place where some stands. */
  const edit = (path: string, before: string, text: string): void => {
    const file = project.getSourceFileOrThrow(`${ROOT}${path}`);
    const at = file.getFullText().indexOf(before);
    expect(at, `${before} in ${path}`).toBeGreaterThanOrEqual(0);
    file.insertText(at, text);
    edited.add(path);
  };
  const wrong = (): string[] => {
    const found = project
      .getProgram()
      .compilerObject.getSourceFiles()
      .filter((f) => f.fileName.startsWith(`${ROOT}src`));
    const { compilerObject } = project.getProgram();
    return found
      .filter((f) => compilerObject.getSemanticDiagnostics(f).length > 0)
      .map((f) => f.fileName.slice(ROOT.length))
      .sort();
  };
  const entry = (more: string): string => `export const softplus = {
  ...unary<'softplus'>('log(1 + e^x)', 'float', 3, (x) => Math.log1p(Math.exp(x)), 'decompose', {}),${more}
} satisfies OpDef<'softplus'>;
`;
  const DECOMPOSES = '\n  decompose: (b, [x]) => b.log(b.add(b.exp(x!), 1)),';
  /** Another entry in its place. */
  const instead = (before: string, after: string): void => {
    const file = project.getSourceFileOrThrow(`${ROOT}src/ir/ops/pointwise.ts`);
    file.replaceWithText(file.getFullText().replace(entry(before), entry(after)));
  };

  // That specs call it, passes take it and kernels compute it without another file, planted.test.ts shows.
  it('is an entry of the table, in one file', () => {
    // A name alone is nothing: its entry is missing.
    edit('src/ir/ops/pointwise.ts', "| 'silu'", "| 'softplus'\n  ");
    expect(wrong()).toContain('src/ir/ops/index.ts');
    edit('src/ir/ops/pointwise.ts', 'const SQRT_HALF', entry(DECOMPOSES));
    expect(wrong()).toEqual([]);
    expect([...edited]).toEqual(['src/ir/ops/pointwise.ts']);
  }, 120_000);

  it.each([
    ['is linear', "traits: { ...ARITHMETIC, linear: 'jointly' },", [...AFFINE, 'src/passes/merge/absorb.ts']],
    [
      'moves elements',
      "traits: { ...ARITHMETIC, pointwise: false, moves: 'once' },",
      ['src/codegen/epilogue.ts', 'src/ir/affine/layout.ts'],
    ],
    [
      'has other axes than its operand',
      'mixes: () => null,',
      ['src/ir/affine/channels.ts', 'src/ir/gather.ts', 'src/passes/lift.ts', 'src/passes/narrow.ts'],
    ],
  ])(
    'that %s needs the rules for that',
    (_, more, files) => {
      instead(DECOMPOSES, `${DECOMPOSES}\n  ${more}`);
      expect(wrong()).toEqual(files);
      instead(`${DECOMPOSES}\n  ${more}`, DECOMPOSES);
    },
    120_000,
  );

  it('that does not decompose needs a way to be generated', () => {
    instead(DECOMPOSES, '');
    expect(wrong()).toEqual(['src/codegen/read/rules.ts']);
    edit('src/codegen/read/pointwise.ts', 'export const FUNCTIONS = {', SOFTPLUS);
    edit('src/codegen/read/pointwise.ts', '  erf: library', '  softplus,\n');
    expect(wrong()).toEqual([]);
    expect([...edited].sort()).toEqual(['src/codegen/read/pointwise.ts', 'src/ir/ops/pointwise.ts']);
  }, 120_000);
});

const SOFTPLUS = `const softplus: Rule = unary((x) => builtin('log', operation('+', one, builtin('exp', x))));

`;

describe('a new pass', () => {
  it('is one object, and one word in the list', () => {
    const negations: string[] = [];
    const noNegation: Pass = {
      name: 'no-negation',
      doc: 'A test.',
      run: overFunc((func) => {
        negations.push(...topological(rootsOf(func)).flatMap((v) => (v.op === 'neg' ? [v.op] : [])));
        return simplified(func);
      }),
    };
    const net = new Net();
    const module = net.module(build.neg(input('x', { dtype: 'f32', shape: [2, 2] })));
    const seen: string[] = [];
    const passes = [...PASSES.slice(0, 2), noNegation, ...PASSES.slice(2)];
    optimize(module, { adapters: 'merged', passes, verify: true, after: (pass) => seen.push(pass) });
    expect(seen).toEqual(passes.map((p) => p.name));
    expect(negations).toEqual(['neg']);
  });

  it('has the files of the passes that there are named in the list alone', () => {
    const project = new Project();
    const files = project.addSourceFilesAtPaths(`${ROOT}src/**/*.ts`);
    const imports = (path: string): string[] =>
      files
        .filter((f) => f.getImportDeclarations().some((d) => d.getModuleSpecifierSourceFile()?.getFilePath() === path))
        .map((f) => f.getFilePath().slice(ROOT.length));
    for (const name of ['erase', 'merge/factor', 'merge/reparameterize'])
      expect(imports(`${ROOT}src/passes/${name}.ts`), name).toEqual(['src/passes/index.ts']);
  });
});

describe('a new backbone', () => {
  const MIXER = `backbone mixer(width: int = 4, depth: int = 2) {
  dim = width
  class_tokens = 0
  register_tokens = 0
  blocks = repeat i < depth { Linear(width -> width) }
  forward(x: [b, 3, width]) { blocks(x) }
}
`;

  it('is a file of the library or of a person, and no other file knows it', () => {
    const spec = 'use "./mixer.peft"\nmodel M {\n  base = mixer(width: 6)\n}\n';
    const made = good(spec, { files: { 'mixer.peft': MIXER } });
    const x = tensor(
      [1, 3, 6],
      Array.from({ length: 18 }, (_, i) => i),
    );
    expect([...run(made, { x }).values()][0]!.type.shape).toEqual([1, 3, 6]);
    const own = Object.values(STD).flatMap((text) =>
      [...text.matchAll(/^(?:backbone|variant) (\w+)/gm)].map((m) => m[1]!),
    );
    expect(own.length).toBeGreaterThan(4);
    // Examples of specs, in messages and for a first spec.
    const examples = /^src\/(diagnostics\/|cli\/commands\/project\.ts|dsl\/std\.generated\.ts)/;
    const files = new Project().addSourceFilesAtPaths(`${ROOT}src/**/*.ts`);
    const words = new Set(own);
    const naming = files.filter((f) =>
      [SyntaxKind.StringLiteral, SyntaxKind.NoSubstitutionTemplateLiteral, SyntaxKind.Identifier].some((kind) =>
        f.getDescendantsOfKind(kind).some((n) => (n.getText().match(/\w+/g) ?? []).some((word) => words.has(word))),
      ),
    );
    expect(naming.map((f) => f.getFilePath().slice(ROOT.length)).filter((path) => !examples.test(path))).toEqual([]);
  });
});

describe('the folders', () => {
  it('have at most sixteen files each', () => {
    const folders = [join(ROOT, 'src'), join(ROOT, 'runtime')];
    for (const folder of folders) {
      const entries = readdirSync(folder, { withFileTypes: true });
      for (const e of entries) if (e.isDirectory()) folders.push(join(folder, e.name));
      const files = entries.filter((e) => e.isFile() && e.name.endsWith('.ts'));
      expect(files.length, folder.slice(ROOT.length)).toBeLessThanOrEqual(16);
    }
    expect(folders.length).toBeGreaterThan(30);
  });
});
