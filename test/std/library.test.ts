/** The library's files: they parse, check, stand as the formatter writes them, and the embedded table is fresh. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generate, libraryFiles, shipped, target } from '../../scripts/embed-std.js';
import { check } from '../../src/dsl/elaborate.js';
import { format } from '../../src/dsl/format.js';
import { parse } from '../../src/dsl/parse.js';
import { STD } from '../../src/dsl/std.generated.js';

const files = libraryFiles();
const names = [...files.keys()];

describe('standard library', () => {
  it('is embedded as it stands in src/dsl/std', () => {
    expect(readFileSync(target, 'utf8')).toBe(generate());
    expect(Object.keys(STD)).toEqual(names);
    expect(names).toContain('vit');
  });

  it('is shipped without its comments, all else in its line and column', () => {
    let left = 0;
    for (const [name, path] of files) {
      const lines = readFileSync(path, 'utf8').split('\n');
      const bare = shipped(name, lines.join('\n')).split('\n');
      expect(bare).toHaveLength(lines.length);
      for (const [i, line] of lines.entries()) {
        expect(line.startsWith(bare[i]!), `${name}:${i + 1}`).toBe(true);
        expect(line.slice(bare[i]!.length), `${name}:${i + 1}`).toMatch(/^( *\/\/.*)?$/);
        if (/\/\//.test(bare[i]!)) left++;
      }
    }
    expect(shipped('a', 'function f() = g("//") // why\n// more\n')).toBe('function f() = g("//")\n\n');
    expect(left).toBe(0);
  });

  it('declares each name once: its files see one another, and `use std` sees all of them', () => {
    const declared = names.flatMap((name) =>
      parse(name, readFileSync(files.get(name)!, 'utf8')).file.decls.flatMap((d) => ('name' in d ? [d.name.name] : [])),
    );
    expect(declared.length).toBeGreaterThan(100);
    expect(declared.filter((name, i) => declared.indexOf(name) !== i)).toEqual([]);
  });

  it.each(names)('%s parses and checks', (name) => {
    const parsed = parse(`std/${name}.peft`, readFileSync(files.get(name)!, 'utf8'));
    expect(parsed.diagnostics).toEqual([]);
    const text = `use std\n${parsed.file.text}`;
    // The text is a file of its own here, whose names stand for the library's.
    const found = check(parse(name, text).file, { readFile: () => undefined });
    expect(found.filter((d) => d.code !== 'ESP1311')).toEqual([]);
  });

  it.each(names)('%s stands as the formatter writes it', (name) => {
    const text = readFileSync(files.get(name)!, 'utf8');
    expect(format(parse(name, text).file)).toBe(text);
  });
});
