/** The typed host module of a compiled folder, as the TypeScript compiler sees it. */
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { beforeAll, expect, test } from 'vitest';
import { compile, writeCompiled } from '../../src/api/index.js';
import { host, scratch, vitSpec } from './support.js';

const out = join(scratch(), 'out');
beforeAll(async () => writeCompiled(await compile(vitSpec('vit-grey'), { host, golden: false }), out));

/** Messages of a strict compilation of `text` beside the folder's index.d.ts. */
function messages(text: string): string[] {
  const path = join(out, 'user.ts');
  writeFileSync(path, text);
  const program = ts.createProgram([path], {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [dirname(createRequire(import.meta.url).resolve('@webgpu/types/package.json'))],
  });
  return ts.getPreEmitDiagnostics(program).map((d) => ts.flattenDiagnosticMessageText(d.messageText, '\n'));
}

test('a program that uses it rightly has no errors', () => {
  const text = `
    import { type Label, isSupported, labels, load } from './index.js';
    const wanted: Label = 'class 2';
    const first: 'class 0' = labels[0];
    export async function use(image: ImageData): Promise<boolean> {
      if (!isSupported()) return false;
      const session = await load({ golden: false });
      const { outputs, classes } = await session.run({ image });
      const logits: Float32Array = outputs.logits;
      const many = await session.run({ images: [image, image] });
      const { outputs: raw } = await session.run({ tensors: { pixels: new Float32Array(400) } });
      session.dispose();
      return classes[0]?.label === wanted && logits.length + many.length + raw.logits.length > 0 && first !== null;
    }`;
  expect(messages(text)).toEqual([]);
});

test.each([
  ["import { type Label } from './index.js'; export const l: Label = 'class 3';", /"class 3".*not assignable/],
  [
    "import { load } from './index.js'; export const r = (await load()).run({ tensors: { pixel: new Float32Array(400) } });",
    /No overload|does not exist/,
  ],
  [
    "import { load } from './index.js'; export const r = (await (await load()).run({ images: [] }))[0]!.outputs.scores;",
    /'scores' does not exist/,
  ],
])('and one that does not has: %s', (text, message) => {
  expect(messages(text).join('\n')).toMatch(message);
});
