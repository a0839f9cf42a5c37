/** What a fuzz case is, what can come of it, and how both are written down. */

import { RuntimeError } from '../../runtime/errors.js';
import { EspalierError } from '../../src/diagnostics/types.js';
import { Random } from './random.js';

/** Some files, and what is done with them. Everything that a run depends on is in here, so a case can be cut down and kept. */
export interface Case {
  readonly kind: string;
  /** What the kind does with the files, where it can do several things. */
  readonly mode: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
}

export interface Kind {
  /** Share of the cases. */
  readonly weight: number;
  make(random: Random): Omit<Case, 'kind'>;
  /** Gives the codes of what was refused (none: the input is good), or throws; a typed error is as good as its codes. */
  run(files: Case['files'], mode: string): Promise<readonly string[]>;
}

export type Kinds = Readonly<Record<string, Kind>>;

export type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'refused'; readonly codes: readonly string[] }
  /** `signature` is the same for the same fault: a message without its particulars, and where it came from. */
  | { readonly kind: 'finding'; readonly signature: string; readonly detail: string };

/** Thrown by kinds for what no input may do though nothing crashed. */
export class Broken extends Error {
  override readonly name = 'Broken';
}

/** A message without what differs between inputs. */
function general(message: string): string {
  return (
    message
      .split('\n')[0]!
      .replace(/(["'`]).*?\1/g, '$1…$1')
      .replace(/-?\d[\d.,e+]*/g, 'N')
      // V8 names the value that was no object, or what is at its place.
      .replace(/ (in|is not a count:) .*$/, ' $1 …')
      .slice(0, 160)
  );
}

/** The first place of ours in a stack, without its line, which moves. */
function placeOf(stack: string): string {
  for (const line of stack.split('\n')) {
    const found =
      /at (?:async )?(?:([\w.<>$ ]+) )?\(?(?:file:\/\/)?.*?\/((?:src|runtime)\/[\w/.-]+?)(?:\?[^:]*)?:\d+:\d+\)?$/.exec(
        line,
      );
    if (found && !line.includes('node_modules')) return ` at ${found[1] ?? '?'} (${found[2]})`;
  }
  return '';
}

export function outcomeOfError(error: unknown): Outcome {
  if (error instanceof EspalierError) {
    const codes = error.diagnostics.map((d) => d.code);
    if (codes.length > 0 && !codes.includes('ESP0900')) return { kind: 'refused', codes };
  }
  if (error instanceof RuntimeError && /^ESP07\d\d$/.test(error.code)) return { kind: 'refused', codes: [error.code] };
  if (!(error instanceof Error))
    return { kind: 'finding', signature: `thrown: ${general(String(error))}`, detail: String(error) };
  const stack = error.stack ?? '';
  return {
    kind: 'finding',
    signature: `${error.name}: ${general(error.message)}${placeOf(stack)}`,
    detail: `${error.message.slice(0, 2000)}\n${stack.slice(-3000)}`,
  };
}

/** Case `index` of a seed. @param only this kind alone */
export function makeCase(kinds: Kinds, seed: number, index: number, only?: string): Case {
  const random = new Random(seed, index);
  const drawn = random.weighted(Object.entries(kinds).map(([name, { weight }]) => [weight, name] as const));
  const kind = only ?? drawn;
  return { kind, ...kinds[kind]!.make(random) };
}

/** Runs a case to its outcome; what kills or stops the process is for whoever watches it. */
export async function runCase(kinds: Kinds, { kind, mode, files }: Case): Promise<Outcome> {
  try {
    const codes = await kinds[kind]!.run(files, mode);
    if (codes.includes('ESP0900')) throw new Broken('a fault of Espalier was reported (ESP0900)');
    return codes.length === 0 ? { kind: 'ok' } : { kind: 'refused', codes };
  } catch (error) {
    return outcomeOfError(error);
  }
}

/** A case as JSON; files that are text are kept as text, for people. */
export function encodeCase({ kind, mode, files }: Case): string {
  const written = Object.entries(files).map(([name, bytes]) => {
    const text = new TextDecoder().decode(bytes);
    const same = Buffer.from(text).equals(bytes);
    return [name, same ? { text } : { base64: Buffer.from(bytes).toString('base64') }];
  });
  return JSON.stringify({ kind, mode, files: Object.fromEntries(written) }, null, 1);
}

export function decodeCase(json: string): Case {
  const { kind, mode, files } = JSON.parse(json) as {
    kind: string;
    mode: string;
    files: Record<string, { text?: string; base64?: string }>;
  };
  const read = Object.entries(files).map(([name, f]) => [
    name,
    f.text === undefined ? Buffer.from(f.base64!, 'base64') : Buffer.from(f.text),
  ]);
  return { kind, mode, files: Object.fromEntries(read) };
}
