/** The declarations of a compiled folder, in projects of every kind, with libraries checked: none may need types that the project lacks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import type { Program } from '../../runtime/program/program.js';
import { hostModule } from '../../src/codegen/host.js';
import { scratch } from '../api/support.js';
import { copyProgram, tinyProgram } from '../runtime/program.js';

const folder = scratch();
/** Parsed once, since that is most of the time. */
const libraries = new Map<string, ts.SourceFile>();

/** What the compiler says of a consumer of a program's module. */
function problems(program: Program, code: string, options: ts.CompilerOptions): string[] {
  const at = join(folder, 'program');
  mkdirSync(at, { recursive: true });
  for (const [name, text] of Object.entries(hostModule(program))) writeFileSync(join(at, name), text);
  const main = join(folder, 'main.ts');
  writeFileSync(main, `import { load } from './program/index.js';\n${code}`);
  const all: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    noEmit: true,
    skipLibCheck: false,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    typeRoots: [join(process.cwd(), 'node_modules/@types'), join(process.cwd(), 'node_modules')],
    types: [],
    lib: ['lib.es2022.d.ts'],
    ...options,
  };
  const host = ts.createCompilerHost(all);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, ...rest) => {
    if (!name.includes('node_modules')) return read(name, ...rest);
    const file = libraries.get(name) ?? read(name, ...rest);
    if (file) libraries.set(name, file);
    return file;
  };
  return ts
    .getPreEmitDiagnostics(ts.createProgram([main], all, host))
    .map(({ messageText, file }) => `${file?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`);
}

const images = copyProgram([], 3, 2, 2).program;
const DOM = ['lib.es2022.d.ts', 'lib.dom.d.ts'];
const RAW = `
const session = await load({ golden: false, samples: 1 });
const { outputs } = await session.run({ image: { data: new Uint8Array(16), width: 2, height: 2 } });
const pixels: Float32Array = outputs.pixels;
const all = await session.run({ images: [] });
export const first: Float32Array | undefined = all[0]?.outputs.pixels ?? pixels;
`;
const PAGE = `${RAW}
declare const kinds: [ImageData, ImageBitmap, Blob, HTMLImageElement, HTMLCanvasElement, OffscreenCanvas, HTMLVideoElement, VideoFrame];
for (const image of kinds) await session.run({ image });
await load({ from: '/program/' });
await load({ from: new URL('https://example.org/program/') });
`;

test.each<[string, string, ts.CompilerOptions]>([
  ['without a DOM', RAW, {}],
  ['in Node', `${RAW}\nawait session.run({ image: new Blob([]) });`, { types: ['node'] }],
  [
    'in Node, resolved as Node does',
    RAW,
    { types: ['node'], module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  ],
  ['in a page', PAGE, { lib: DOM }],
  [
    'in a page with the types of WebGPU',
    `${PAGE}\ndeclare const device: GPUDevice;\nawait load({ device });`,
    { lib: DOM, types: ['@webgpu/types'] },
  ],
])('compiles %s', (_, code, options) => {
  if (options.module === ts.ModuleKind.NodeNext) writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  expect(problems(images, code, options)).toEqual([]);
});

test('what is wrong is refused', () => {
  const wrong = `
    const session = await load();
    await session.run({ image: 'cat.png' });
    await session.run({ tensors: { y: new Float32Array(4) } });
    await load({ device: {} });
    await load({ from: 3 });`;
  expect(problems(images, wrong, { lib: DOM, types: ['@webgpu/types'] })).toHaveLength(4);
  expect(problems(images, 'await (await load()).run({ image: new Blob([]) });', {})).toHaveLength(1);
});

test('names of classes are types, and without `preprocess` there are no images', () => {
  const { program } = tinyProgram({ labels: ['ant', "bee's", 'c\\d', 'e\nf'] });
  const code = (rest: string) => `const session = await load();
    const { classes } = await session.run({ tensors: { x: new Float32Array(4) } });
    ${rest}`;
  expect(
    problems(
      program,
      code(`const label: 'ant' | "bee's" | 'c\\\\d' | 'e\\nf' = classes[0]!.label; export { label };`),
      {},
    ),
  ).toEqual([]);
  expect(problems(program, code(`export const dog = classes[0]!.label === 'dog';`), {})).toHaveLength(1);
  expect(
    problems(program, code(`await session.run({ image: { data: new Uint8Array(4), width: 1, height: 1 } });`), {}),
  ).toHaveLength(1);
});

test('parameters can be replaced in a program that prepares its weights, and only there', () => {
  const code = `const session = await load();
await session.replace({ a: new Float32Array(4) });
await session.replace(new Uint8Array(8));
export const a: Float32Array | Int32Array | Uint32Array = await session.read('a');`;
  const { program } = tinyProgram();
  const [infer] = program.entries;
  const prepares = { ...program, entries: [infer!, { ...infer!, name: 'prepare', inputs: [], outputs: [] }] };
  expect(problems(prepares, code, {})).toEqual([]);
  expect(problems(program, code, {}).map((p) => /'(replace|read)' does not exist/.exec(p)?.[1])).toEqual([
    'replace',
    'replace',
    'read',
  ]);
});
