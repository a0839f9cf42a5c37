/**
 * Writes src/dsl/std.generated.ts: the standard library's text, without its comments, as a table, so that the compiler needs no files to
 * have it (in a browser there are none). Run it after a change in src/dsl/std: `npx tsx scripts/embed-std.ts`. A test checks that the table is fresh.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from '../src/dsl/parse.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'src/dsl/std');

/** The library's files by their names, which are theirs in `use std.NAME` whatever folder they lie in. */
export function libraryFiles(): ReadonlyMap<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((n) => n.endsWith('.peft'));
  const named = new Map(files.map((n) => [basename(n, '.peft'), join(folder, n)]));
  if (named.size !== files.length) throw new Error('two files of src/dsl/std have one name');
  return new Map([...named].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A file of the library as it is shipped: without comments, which are a quarter of what pages would load, and with all else in its line and column. */
export function shipped(name: string, text: string): string {
  const { comments } = parse(name, text).file;
  const bare = comments.reduceRight((kept, { span }) => kept.slice(0, span.start) + kept.slice(span.end), text);
  return bare.replaceAll(/[ ]+$/gm, '');
}

/** The generated file's text. */
export function generate(): string {
  const entries = [...libraryFiles()].map(([name, path]) => {
    const text = shipped(name, readFileSync(path, 'utf8'))
      .replaceAll('\\', '\\\\')
      .replaceAll('`', '\\`')
      .replaceAll('${', '\\${');
    return `  ${name}: \`${text}\`,\n`;
  });
  return `/** Generated from src/dsl/std by scripts/embed-std.ts; do not edit. */\nexport const STD: Readonly<Record<string, string>> = {\n${entries.join('')}};\n`;
}

export const target = join(root, 'src/dsl/std.generated.ts');

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) writeFileSync(target, generate());
