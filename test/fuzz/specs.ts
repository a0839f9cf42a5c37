/** The kind `spec`: text in the language, through all that is done with it before a GPU is needed. */

import { parseProgram } from '../../runtime/program/check.js';
import { analyse } from '../../src/api/analyse.js';
import { compile } from '../../src/api/compile.js';
import { inspect } from '../../src/api/inspect/inspect.js';
import { libraryText } from '../../src/api/library.js';
import { merge } from '../../src/api/merge.js';
import { render, toJson } from '../../src/diagnostics/render.js';
import { type Diagnostic, EspalierError } from '../../src/diagnostics/types.js';
import { format } from '../../src/dsl/format.js';
import { parse } from '../../src/dsl/parse.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { Broken, type Kind } from './case.js';
import { LINES, type Piece, POOL, piecesOf, type Sort, SPECS, TOKENS, tokensOf } from './corpus.js';
import { anyExpression, anyStatement, wholeSpec } from './grammar.js';
import { memoryHost } from './host.js';
import { mutateBytes, mutateParts, someNumber } from './mutate.js';
import type { Random } from './random.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('utf8');

/** Some nodes of a text's tree replaced by others of their sort, from other specs or made. */
function mutateTree(random: Random, text: string): string {
  let out = text;
  for (let n = random.few(); n > 0; n--) {
    const pieces = piecesOf(out);
    const sorts = [...pieces.keys()];
    if (sorts.length === 0) break;
    // Names and items are many and small: expressions and statements are where meaning is.
    const sort = random.pick<Sort>(
      random.chance(0.7) ? sorts.filter((s) => s === 'expression' || s === 'statement') : sorts,
    );
    const all = pieces.get(sort);
    if (!all) continue;
    const at: Piece = random.pick(all);
    const there = out.slice(at.start, at.end);
    const other = random.pick(all);
    const put = random.weighted<() => string>([
      [4, () => random.pick(POOL.get(sort) ?? [''])],
      [3, () => (sort === 'expression' ? anyExpression(random) : sort === 'statement' ? anyStatement(random) : there)],
      [2, () => out.slice(other.start, other.end)],
      [1, () => `${there}\n${there}`],
      [1, () => ''],
      [1, () => (sort === 'expression' ? `${random.pick(['sum', 'relu', 'size', 'repeat i <'])}(${there})` : there)],
      [2, () => there.replace(/\d+(\.\d+)?/, String(someNumber(random)))],
    ])();
    out = out.slice(0, at.start) + put + out.slice(at.end);
  }
  return out;
}

function makeText(random: Random): string {
  return random.weighted<() => string>([
    [1, () => textOf(mutateBytes(random, bytesOf(random.pick(SPECS))))],
    [3, () => mutateParts(random, tokensOf(random.pick(SPECS)), TOKENS).join('')],
    [2, () => mutateParts(random, random.pick(SPECS).split('\n'), LINES).join('\n')],
    [5, () => mutateTree(random, random.pick(SPECS))],
    [2, () => random.pick(SPECS).replace(/\d+(\.\d+)?/g, (n) => (random.chance(0.1) ? String(someNumber(random)) : n))],
    [4, () => wholeSpec(random)],
    [2, () => mutateTree(random, wholeSpec(random))],
    [0.5, () => `module M() {\n  y = ${anyExpression(random, 5)}\n  forward(x) { y }\n}\nmodel A {\n  base = M()\n}\n`],
    [0.2, () => Array.from({ length: random.below(200) }, () => random.pick(TOKENS)).join(random.pick(['', ' ']))],
  ])();
}

/** What a person is shown; every diagnostic has to come out as one. @param given where its words may come from */
function show(diagnostics: readonly Diagnostic[], text: string, given = text): string[] {
  const texts = (path: string) => (path === 'spec.peft' ? text : libraryText(path));
  render(diagnostics, { texts, color: true, width: 80 });
  toJson(diagnostics, texts);
  for (const { code, message, primary } of diagnostics) {
    // ESP0919 is about values that are NaN.
    const said = code === 'ESP0919' ? undefined : /\bundefined\b|\bNaN\b|\[object /.exec(message)?.[0];
    if (said && !given.includes(said.trim())) throw new Broken(`${code} says ${said}`);
    const span = primary?.span;
    if (span?.file === 'spec.peft' && !(span.start >= 0 && span.start <= span.end && span.end <= text.length))
      throw new Broken(`${code} points outside of the text`);
  }
  return diagnostics.filter((d) => d.severity === 'error').map((d) => d.code);
}

/** What parses clean is formatted, reads back, and is then as it stays. */
function holdFormat(text: string): void {
  const { file, diagnostics } = parse('spec.peft', text);
  if (diagnostics.length > 0) return;
  const once = format(file);
  const again = parse('spec.peft', once);
  if (again.diagnostics.length > 0) throw new Broken(`formatting breaks the spec (${again.diagnostics[0]!.code})`);
  if (format(again.file) !== once) throw new Broken('formatting twice is not formatting once');
}

/** Only what compiles in a moment is compiled: elements of parameters, and how many of these there are. */
const MOST_ELEMENTS = 150_000;
const MOST_PARAMETERS = 500;

async function runText(text: string, mode: string): Promise<readonly string[]> {
  holdFormat(text);
  const models = [...text.matchAll(/^model (\w+)/gm)];
  const model = models.length > 1 ? models.at(-1)![1] : undefined;
  const spec = { text, path: 'spec.peft' };
  const options = { host: memoryHost(), ...(model === undefined ? {} : { model }) };
  const { value, diagnostics } = await analyse(spec, { ...options, library: true });
  const errors = show(diagnostics, text);
  if (errors.length === 0 && !value) throw new Broken('neither a value nor an error');
  if (errors.length > 0 && value) throw new Broken('a value in spite of an error');
  if (mode === 'check' || !value?.elaborated) return errors;
  const { module } = value.elaborated;
  const size = [...module.params.values()].reduce((sum, p) => sum + sizeOf(p.type.shape), 0);
  if (size > MOST_ELEMENTS || module.params.size > MOST_PARAMETERS) return [];
  try {
    if (mode === 'merge') await merge(spec, options);
    else if (mode === 'inspect') await inspect(spec, options);
    else {
      const compiled = await compile(spec, { ...options, golden: mode === 'golden' });
      show(compiled.warnings, text);
      parseProgram(compiled.files.get('program.json') as string);
    }
    return [];
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    const refused = show(error.diagnostics, text);
    // Rounding explains a merge that differs only where numbers are large or small, or halves.
    if (refused.includes('ESP0403') && !/e[+-]?\d|\d{5}|f16/.test(text))
      throw new Broken('a merge that differs (ESP0403)');
    throw error;
  }
}

export const spec: Kind = {
  weight: 40,
  make: (random) => ({
    mode: random.weighted([
      [16, 'check'],
      [2, 'compile'],
      [0.5, 'golden'],
      [1, 'inspect'],
      [1, 'merge'],
    ]),
    files: { 'spec.peft': bytesOf(makeText(random)) },
  }),
  run: (files, mode) => runText(textOf(files['spec.peft']), mode),
};
