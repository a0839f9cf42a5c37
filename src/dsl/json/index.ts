/** Specs as JSON and as objects of a program; `document.ts` says how. */
import { EspalierError } from '../../diagnostics/types.js';
import { format } from '../format.js';
import { type Parsed, parse } from '../parse.js';
import { jsonOf } from './define.js';
import { isJsonSpec } from './document.js';
import { printJson } from './print.js';
import { peftOf, readJson } from './read.js';
import { specSchema } from './schema.js';
import { writeJson } from './write.js';

export { type DefinedSpec, defineModel } from './define.js';
export type {
  DeployDocument,
  ExpressionDocument,
  ModelDocument,
  SectionDocument,
  SpecDocument,
  StatementDocument,
  TrainDocument,
} from './document.js';
export { specSchema } from './schema.js';

/** Reads a spec, `.peft` or JSON. */
export const parseSpec = (path: string, text: string): Parsed =>
  isJsonSpec(path, text) ? readJson(path, text) : parse(path, text);

/** A spec as it is written in one of the forms. */
export interface ConvertedSpec {
  readonly text: string;
  /** Comments that stand in the spec and have no place in the other form. */
  readonly lost: number;
}

/**
 * A spec as JSON or as `.peft`, formatted.
 * @param to default: what it is
 * @throws EspalierError with what is wrong with its text, or ESP1309 where JSON cannot say what it says
 */
export function convertSpec(path: string, text: string, to?: 'json' | 'peft'): ConvertedSpec {
  const json = isJsonSpec(path, text);
  const wrong = (found: Parsed['diagnostics']): void => {
    const errors = found.filter((d) => d.severity === 'error');
    if (errors.length > 0) throw new EspalierError(errors);
  };
  if (!json) {
    const { file, diagnostics } = parse(path, text);
    wrong(diagnostics);
    return to === 'json' ? writeJson(file) : { text: format(file), lost: 0 };
  }
  const read = readJson(path, text);
  wrong(read.diagnostics);
  const peft = peftOf(read);
  if (to === 'peft') return { text: peft, lost: 0 };
  // By way of the language, so that there is one way to write each spec.
  return writeJson(parse(path, peft).file);
}

/** The schema as text. */
export const schemaText = (): string => printJson(jsonOf(specSchema()));
