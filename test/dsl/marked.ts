/** Specs with the place of their one mistake marked: « and » stand around what the message has to point at. */
import { expect } from 'vitest';
import type { Diagnostic } from '../../src/diagnostics/types.js';

/** The spec without marks says this and nothing else, about the marked place if there is one. `file`: the name it is read under. */
export function expectOne(
  source: string,
  code: string,
  words: RegExp,
  file: string,
  wrongs: (text: string) => readonly Diagnostic[],
): void {
  const text = source.replace(/[«»]/g, '');
  const found = wrongs(text);
  const said = expect.stringMatching(new RegExp(`^${code} .*${words.source}`, 's'));
  expect(found.map((d) => `${d.code} ${d.message}`)).toEqual([said]);
  const [before, place, after] = source.split(/[«»]/);
  if (after === undefined) return;
  const span = found[0]!.primary?.span;
  const shown = span && `${span.file}:${span.start} ${text.slice(span.start, span.end)}`;
  expect(shown).toBe(`${file}:${before!.length} ${place}`);
}
