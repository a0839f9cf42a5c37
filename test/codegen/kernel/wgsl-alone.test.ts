/** The printer alone holds WGSL: no other file of the compiler and the runtime does, save for what the printer has written. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** What WGSL has and TypeScript has not: attributes, address spaces, functions, types of vectors, functions of its own. */
const SYNTAX =
  /@(?:compute|group|binding|builtin|workgroup_size)\b|\bvar<|\bfn \w+ ?\(|\bvec[234](?:[fhiu]\b|<)|\barray<(?:[fiu]32|vec)|\b(?:workgroup|storage)Barrier\b|\bsubgroup(?:Add|Max|Min|Broadcast|Shuffle\w*)\b|\btexture(?:Load|Store|Sample)\b|\benable (?:f16|subgroups)\b/;

const root = new URL('../../../', import.meta.url);

it('stands in one file of src and runtime', () => {
  const files = ['src', 'runtime'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  const holding = files.filter((name) => SYNTAX.test(readFileSync(new URL(name, root), 'utf8')));
  expect(holding.sort()).toEqual(['runtime/images/preprocess.generated.ts', 'src/codegen/kernel/print.ts']);
});
