/** What goes to a terminal, and what to a pipe. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { csvLine, startProgress, table, terminalOutput } from '../../src/cli/output.js';

/** Gives the standard streams the looks of terminals or pipes; what is written to standard error is returned. */
function streams(out: boolean, err: boolean, columns = 80): string[] {
  const written: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  for (const [stream, isTTY] of [
    [process.stdout, out],
    [process.stderr, err],
  ] as const) {
    Object.defineProperty(stream, 'isTTY', { value: isTTY, configurable: true });
    Object.defineProperty(stream, 'columns', { value: columns, configurable: true });
  }
  return written;
}
const before = [process.stdout, process.stderr].map((stream) => [stream, stream.isTTY, stream.columns] as const);
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  vi.useRealTimers();
  for (const [stream, isTTY, columns] of before) {
    Object.defineProperty(stream, 'isTTY', { value: isTTY, configurable: true, writable: true });
    Object.defineProperty(stream, 'columns', { value: columns, configurable: true, writable: true });
  }
});

describe('colour', () => {
  test.each([
    ['both are terminals', true, true, {}, true],
    ['results go to a file, messages to a terminal', false, true, {}, true],
    ['messages go to a file', true, false, {}, false],
    ['NO_COLOR is set', true, true, { NO_COLOR: '1' }, false],
    ['NO_COLOR is empty', true, true, { NO_COLOR: '' }, true],
    ['the terminal is dumb', true, true, { TERM: 'dumb' }, false],
  ])('when %s', (_, out, err, env, expected) => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('TERM', 'xterm');
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    streams(out, err);
    expect(terminalOutput().colour).toBe(expected);
  });
});

describe('progress', () => {
  test('is drawn after a second, never wider than the terminal, and erased', () => {
    vi.useFakeTimers();
    const written = streams(true, true, 40);
    const progress = startProgress();
    progress.report('reading', 0.1);
    expect(written).toEqual([]);
    vi.advanceTimersByTime(1500);
    progress.report('reading ./a/folder/with/a/long/name/indeed', 0.5);
    expect(written).toHaveLength(1);
    expect(written[0]!.replace('\r\x1b[K', '')).toHaveLength(39);
    progress.done();
    expect(written.at(-1)).toBe('\r\x1b[K');
  });

  test('is not there in a pipe', () => {
    vi.useFakeTimers();
    const written = streams(true, false);
    const progress = startProgress();
    vi.advanceTimersByTime(5000);
    progress.report('reading', 0.5);
    progress.done();
    expect(written).toEqual([]);
  });
});

test('a CSV cell is quoted where it must be, and empty where a number is not known', () => {
  expect(csvLine(['a,b', 'say "no"', 'plain', 1.5, Number.NaN, 'two\nlines'])).toBe(
    '"a,b","say ""no""",plain,1.5,,"two\nlines"',
  );
});

test('a table puts numbers to the right', () => {
  expect(
    table(
      [
        ['cat', 7],
        ['horse', 12],
        ['none', '-'],
      ],
      ['class', 'n'],
    ),
  ).toBe('class   n\ncat     7\nhorse  12\nnone    -');
});
