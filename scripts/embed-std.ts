/**
 * Writes src/dsl/std.generated.ts: the standard library's text as a table, so that the compiler needs no files to have it (in a browser
 * there are none). Run it after a change in src/dsl/std: `npx tsx scripts/embed-std.ts`. A test checks that the table is fresh.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'src/dsl/std');

/** The generated file's text. */
export function generate(): string {
  const names = readdirSync(folder)
    .filter((n) => n.endsWith('.peft'))
    .sort();
  const entries = names.map((n) => {
    const text = readFileSync(join(folder, n), 'utf8')
      .replaceAll('\\', '\\\\')
      .replaceAll('`', '\\`')
      .replaceAll('${', '\\${');
    return `  ${n.slice(0, -'.peft'.length)}: \`${text}\`,\n`;
  });
  return `/** Generated from src/dsl/std/*.peft by scripts/embed-std.ts; do not edit. */\nexport const STD: Readonly<Record<string, string>> = {\n${entries.join('')}};\n`;
}

export const target = join(root, 'src/dsl/std.generated.ts');

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) writeFileSync(target, generate());
