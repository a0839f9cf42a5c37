/** What an ONNX file says beside its graph: names of classes, and what is done to pictures first. `export --onnx` writes both; of other files nothing is read. */
import * as v from 'valibot';
import { type PreprocessStep, preprocessStep } from '../../../runtime/program/program.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { Facts } from '../types.js';
import type { OnnxModel } from './types.js';

/** How the producer of our own files begins. */
const OURS = /^espalier\b/;

/** In the metadata of a file: JSON. */
export const LABELS = 'labels';
export const PREPROCESS = 'preprocess';

const labelList = v.pipe(v.array(v.string()), v.minLength(1));
const stepList = v.array(preprocessStep);

type Described = Pick<OnnxModel, 'file' | 'producer' | 'metadata'>;

/** Class names and steps that a file of ours names. @throws EspalierError ESP1236 for metadata that are none */
export function described(model: Described): { labels?: readonly string[]; steps?: readonly PreprocessStep[] } {
  if (!OURS.test(model.producer)) return {};
  const labels = fieldOf(model, LABELS, labelList, 'is not a list of names');
  const steps = fieldOf(model, PREPROCESS, stepList, 'is not a list of steps');
  return { ...(labels ? { labels } : {}), ...(steps ? { steps } : {}) };
}

/** The same for the language. @throws EspalierError ESP1236 */
export function onnxFacts(model: Described): Facts {
  const { labels, steps } = described(model);
  return {
    ...(labels ? { labels } : {}),
    ...(steps ? { processor: { file: model.file, json: {}, steps: stepsFor(model.file, steps) } } : {}),
  };
}

function fieldOf<T>(
  { file, metadata }: Described,
  field: string,
  schema: v.GenericSchema<unknown, T>,
  why: string,
): T | undefined {
  const text = metadata[field];
  if (text === undefined) return undefined;
  const refuse = () => new EspalierError([diagnostic('ESP1236', { file, field, why })]);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw refuse();
  }
  const parsed = v.safeParse(schema, json);
  if (!parsed.success) throw refuse();
  return parsed.output;
}

/** The steps, for pictures of as many channels and of the size that the model takes. */
const stepsFor =
  (file: string, steps: readonly PreprocessStep[]): NonNullable<Facts['processor']>['steps'] =>
  (_, channels, size) => {
    const wrong = (why: string): never => {
      throw new EspalierError([diagnostic('ESP1236', { file, field: PREPROCESS, why })]);
    };
    for (const step of steps) {
      if (step.step === 'normalize' && (step.mean.length !== channels || step.std.length !== channels))
        wrong(`is for pictures of ${step.mean.length} channels, and the model takes ${channels}`);
    }
    const last = steps.findLast((s) => s.step === 'resize' || s.step === 'crop' || s.step === 'pad');
    // A resize to one side alone is of no size that is known.
    const sides = last && Array.isArray(last.size) ? (last.size as readonly number[]) : size;
    if (sides.join() !== size.join())
      wrong(`makes pictures of ${sides.join(' x ')}, and the model takes ${size.join(' x ')}`);
    return { value: steps, diagnostics: [] };
  };
