/** Patterns mean what they mean to Python, or are refused, and take linear time whatever they are. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { namePattern, PatternError } from '../../src/formats/adapters/patterns.js';

interface Reference {
  readonly names: readonly string[];
  /** Names that Python's `re` matches; null for a pattern that it refuses. */
  readonly patterns: readonly { readonly pattern: string; readonly matches: readonly string[] | null }[];
}
const { names, patterns } = JSON.parse(
  readFileSync(new URL('../fixtures/patterns.json', import.meta.url), 'utf8'),
) as Reference;

/** Names of a list that a pattern matches; undefined if it is refused. */
function matched(pattern: string, of: readonly string[]): string[] | undefined {
  try {
    const { matches } = namePattern(pattern);
    return of.filter((name) => matches(name));
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    return undefined;
  }
}

describe('against Python', () => {
  const ascii = names.filter((name) => /^[\0-\x7f]*$/.test(name));
  test.each(patterns)('$pattern', ({ pattern, matches }) => {
    const found = matched(pattern, ascii);
    // To refuse is always right; to give another answer never is.
    if (found && matches) expect(found).toEqual(matches.filter((name) => ascii.includes(name)));
    if (!matches) expect(found).toBeUndefined();
  });

  test('refuses of those that Python takes only what is not linear, or written in ways of Python alone', () => {
    const refused = patterns
      .filter(({ pattern, matches }) => matches && !matched(pattern, ascii))
      .map((p) => p.pattern);
    expect(refused).toEqual([
      '[[:alpha:]]+',
      '\\u0071uery',
      '\\161uery',
      '(q)\\1uery',
      'a(?=.b)',
      '(?<=a)-b',
      '(?<!a)-b',
      'a++',
      'a*+',
      '(?>a)-b',
      '(?#no)query',
    ]);
  });

  test('a name that is not ASCII is refused where Python may say otherwise, and taken by plain names', () => {
    expect(matched('\\w+', ['aé.query'])).toBeUndefined();
    expect(matched('query', ['aé.query'])).toEqual(['aé.query']);
  });
});

describe('time', () => {
  test.each(['(a+)+', '(a*)*b', '(a|aa)+', '([a-z]+)*\\d', '(.*)(.*)(.*)(.*)(.*)x', '(a?){30}a{30}', '(x+x+)+y'])(
    '%s on a long name',
    (pattern) => {
      const { matches } = namePattern(pattern);
      const before = process.cpuUsage().user;
      for (const name of ['a'.repeat(5000), `${'a'.repeat(5000)}!`, 'x'.repeat(5000)]) matches(name);
      // Backtracking would take longer than the universe is old; this takes milliseconds.
      expect(process.cpuUsage().user - before).toBeLessThan(2e6);
    },
  );

  test('any text is a pattern or refused', () => {
    const pieces = fc.array(
      fc.constantFrom(...'()[]{}?*+|.\\^$,:<>=!P1aZbwdi-2q', '(?', '[^', '{,', '\\p', '(?P<n>', '[:'),
      { maxLength: 24 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        matched(parts.join(''), ['query', 'a.b', 'qa1', '', '2.q']);
      }),
      { numRuns: 5000 },
    );
  });
});
