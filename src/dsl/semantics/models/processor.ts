/**
 * Preprocessing as the files beside a checkpoint's weights say it, with what `processor` blocks of the variant know of its family: what is meant by
 * fields that are left out, and, where a layout keeps preprocessing in the configuration, what the fields of that mean.
 */
import type { PreprocessStep } from '../../../../runtime/program/program.js';
import { EspalierError } from '../../../diagnostics/types.js';
import type { ConfigBlock, Span, VariantDecl } from '../../ast.js';
import type { JsonFile, ProcessorSteps, SourceFacts } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import { type ModuleSite, Scope } from '../evaluate/values.js';
import { alternatives, processorsFor, readingOf } from '../names/readings.js';
import { configsOf, entriesOf, isFor } from './blocks.js';
import { type Reading, read } from './config.js';
import { fieldAt, jsonOf, valOf } from './fields.js';
import { matchHolds } from './matching.js';
import { variantChain } from './variants.js';

/** A model that preprocessing is for. */
interface Model {
  readonly variant: VariantDecl | undefined;
  /** The backbone, whose options blocks see. */
  readonly site: ModuleSite | undefined;
  readonly channels: number;
  /** Height and width of the images that it takes. */
  readonly size: readonly [height: number, width: number];
  /** The spec itself says them. */
  readonly sized: boolean;
}

/**
 * The steps that the files mean; undefined where none says anything of preprocessing, `failed` where that went wrong, which is reported.
 * @param facts what stands beside the weights
 * @param span where the spec names it
 */
export function stepsOf(
  engine: Engine,
  model: Model,
  facts: SourceFacts,
  span: Span,
): readonly PreprocessStep[] | 'failed' | undefined {
  const { processor, config, steps = processor?.steps } = facts;
  const place = { primary: { span, text: 'named here' } };
  const file = engine.report.attempt(() => ({
    found: processor ? completed(engine, model, processor, span) : within(engine, model, config, span),
  }));
  if (!file) return 'failed';
  if (!file.found || !steps) return undefined;
  try {
    const { value, diagnostics } = (steps satisfies ProcessorSteps)(file.found, model.channels, model.size);
    for (const d of diagnostics) engine.report.push({ ...d, ...place });
    return value;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    for (const d of error.diagnostics) engine.report.push({ ...d, ...place });
    return 'failed';
  }
}

/**
 * What the image processor of the model's class does by itself, where a folder has a configuration and no file of preprocessing: the fields that its block
 * fills in, all of them left out. Undefined where the family says nothing of it, or the class's pictures are not of the model's size.
 */
export function classDefaults(
  engine: Engine,
  model: Model,
  { config, processor, steps }: SourceFacts,
  span: Span,
): readonly PreprocessStep[] | undefined {
  const { variant } = model;
  if (!variant || !config || processor || !steps) return undefined;
  const layout = configsOf(engine, variant).find((c) => isFor(c, config))?.layout;
  const file: JsonFile = { file: config.file, json: {} };
  const block = blocksOf(engine, variant).find(
    (b) => b.layout.name === layout && entriesOf(b, 'match').every((m) => matchHolds(file, m).holds),
  );
  if (!block) return undefined;
  const json = engine.report.attempt(() => said({ engine, file, variant, span }, block, model));
  if (!json) return undefined;
  try {
    return (steps satisfies ProcessorSteps)({ file: config.file, json }, model.channels, model.size).value;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return undefined;
  }
}

/** Steps in words, for messages. */
export const stepsText = (steps: readonly PreprocessStep[]): string => steps.map(stepText).join(', ');

function stepText(step: PreprocessStep): string {
  const numbers = (list: readonly number[]): string => {
    const short = list.map((x) => Number(x.toPrecision(4)));
    return short.every((x) => x === short[0]) ? String(short[0]) : short.join(', ');
  };
  switch (step.step) {
    case 'colour':
      return 'converted by their color profiles to sRGB';
    case 'resize': {
      const { size, filter } = step;
      if (typeof size === 'number') return `resized by the shorter side to ${size} (${filter})`;
      return `resized ${'longest' in size ? `by the longer side to ${size.longest}` : `to ${size.join(' x ')}`} (${filter})`;
    }
    case 'crop':
      return `cropped to ${step.size.join(' x ')}`;
    case 'pad':
      return `padded to ${step.size.join(' x ')}`;
    case 'grayscale':
      return 'made grey';
    case 'normalize':
      return `normalized by mean ${numbers(step.mean)} and std ${numbers(step.std)}`;
  }
}

const blocksOf = (engine: Engine, variant: VariantDecl): ConfigBlock[] =>
  processorsFor(variantChain(engine, variant), engine.library.variants(variant.name.span.file));

/** The file with the defaults of its family, by the first block that is for it. */
function completed(engine: Engine, model: Model, file: JsonFile, span: Span): JsonFile {
  const { variant } = model;
  if (!variant) return file;
  const block = blocksOf(engine, variant).find((b) => entriesOf(b, 'match').every((m) => matchHolds(file, m).holds));
  if (!block) return file;
  const own = said({ engine, file, variant, span }, block, model);
  // Who says the size has chosen it in place of what the file would have.
  const fields = model.sized ? [] : unread(file, block, own);
  if (fields.length > 0)
    engine.report.add('ESP1326', { file: file.file, fields }, { primary: { span, text: 'named here' } });
  return { file: file.file, json: { ...file.json, ...own } };
}

/** Fields of a preprocessing file that a block takes away, and looks at nowhere: no step follows them. */
function unread(file: JsonFile, block: ConfigBlock, own: Readonly<Record<string, unknown>>): string[] {
  const read = new Set(entriesOf(block, 'bind').flatMap((e) => alternatives(e.value).map((x) => readingOf(x)?.path)));
  return Object.keys(own).filter((f) => own[f] === null && !read.has(f) && (fieldAt(file, f)?.value ?? null) !== null);
}

/** Preprocessing that a block finds in the configuration: one whose first `match` is a field that the configuration has. */
function within(engine: Engine, model: Model, file: JsonFile | undefined, span: Span): JsonFile | undefined {
  const { variant } = model;
  if (!file || !variant) return undefined;
  const block = blocksOf(engine, variant).find((b) => {
    const [first, ...others] = entriesOf(b, 'match').map((m) => matchHolds(file, m));
    return first?.found && first.holds && others.every((m) => m.holds);
  });
  return block && { file: file.file, json: said({ engine, file, variant, span }, block, model) };
}

/** What a block says of the fields of a preprocessing file. */
function said(r: Reading, block: ConfigBlock, { site }: Model): Record<string, unknown> {
  const { engine, file } = r;
  const scope = new Scope(site?.scope);
  const json: Record<string, unknown> = {};
  for (const entry of block.entries) {
    if (entry.kind === 'bind') {
      const value = alternatives(entry.value)
        .map((e) => {
          const reading = readingOf(e);
          if (!reading) return engine.evaluate(e, scope);
          const field = fieldAt(file, reading.path);
          return (
            field && valOf(reading.reader && reading.reader !== 'word' ? read(r, reading.reader, field) : field.value)
          );
        })
        .find((v) => v !== undefined);
      if (value) scope.set(entry.name.name, value);
    } else if (entry.kind === 'set' || (entry.kind === 'default' && !fieldAt(file, entry.field.value))) {
      json[entry.field.value] = jsonOf(engine.evaluate(entry.value, scope));
    }
  }
  return json;
}
