/**
 * `adapter_config.json` of the Python library `peft` (0.21 and older): what is read of it, what is refused because it changes the computation, and
 * what its patterns say of ranks and scales. Low rank pairs (type LORA), with magnitudes (DoRA) or without, are imported; the names of that type
 * are this format's vocabulary and occur here, in peft.ts and in peft-folder.ts alone.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { configError, type Fields } from '../huggingface/json.js';
import { isOff } from '../huggingface/preprocessor.js';
import { fullPattern, namePattern, type Pattern, PatternError } from './patterns.js';

/** Fields that say nothing about what is computed with the tensors of the file, or that are read below. */
const KNOWN = new Set([
  'peft_type',
  'task_type',
  'auto_mapping',
  'base_model_name_or_path',
  'revision',
  'inference_mode',
  'peft_version',
  'r',
  'lora_alpha',
  'lora_bias',
  'lora_dropout',
  'use_rslora',
  'rank_pattern',
  'alpha_pattern',
  'target_modules',
  'exclude_modules',
  'modules_to_save',
  'layers_to_transform',
  'layers_pattern',
  'init_lora_weights',
  'bias',
  'use_dora',
  // A linear layer whose weight lies the other way round has its pair as all others: only the base's file differs, and that is the base's layout.
  'fan_in_fan_out',
  'runtime_config',
  // What a start was made with: of a start that is read, it is history.
  'loftq_config',
  'eva_config',
  'corda_config',
  'lora_ga_config',
  'qalora_group_size',
  'ensure_weight_tying',
  'megatron_core',
]);

/** Fields that change the computation and are imported only when they are off. */
const MUST_BE_OFF: Readonly<Record<string, string>> = {
  use_qalora: 'quantisation-aware adapters are not imported',
  use_bdlora: 'block-diagonal pairs are not imported',
  target_parameters: 'adapters on bare parameters are not imported',
  trainable_token_indices: 'trained token embeddings are not imported',
  layer_replication: 'replicated layers are not imported',
  alora_invocation_tokens: 'adapters that wait for a token are not imported',
  arrow_config: 'routed adapters are not imported',
  kasa_config: 'knowledge-aware adapters are not imported',
  monteclora_config: 'sampled adapters are not imported',
  velora_config: 'compressed adapters are not imported',
  megatron_config: 'layers split over machines are not imported',
};

/**
 * What a pair started as, where that was taken out of the base's weight, so that the adapter is one of what was left:
 * `singular`, the largest singular values and their vectors; `columns`, what the first columns span.
 */
export type Start = 'singular' | 'columns';

/** Starts that leave the base's weights as they are: the pair's product is 0 then, or was trained from wherever it was. */
const PLAIN = /^(gaussian|eva|orthogonal|mica)$/i;

/** What cannot be worked out again from the base's weights, and why. */
const LOST: readonly (readonly [pattern: RegExp, why: string])[] = [
  [/^pissa_niter_\d+$/, 'which are found by chance: another run takes others'],
  [/^corda/, 'which depend on the data that it was started with'],
  [/^loftq$/i, 'and the rest was quantised'],
  [/^lora_ga$/, 'which depend on gradients of its data'],
];

/**
 * What the pairs started as, if that changed the base.
 * @throws EspalierError ESP1291 for a start after which the base cannot be known, ESP0512 for one that is not known
 */
export function startOf(config: Fields): Start | undefined {
  const init = config.json.init_lora_weights;
  if (init === undefined || init === null || typeof init === 'boolean') return undefined;
  if (typeof init === 'string') {
    if (PLAIN.test(init)) return undefined;
    if (init === 'pissa') return 'singular';
    if (init.toLowerCase() === 'olora') return 'columns';
    const lost = LOST.find(([pattern]) => pattern.test(init));
    if (lost) throw new EspalierError([diagnostic('ESP1291', { file: config.file, init, why: lost[1] })]);
  }
  throw refused(config, 'init_lora_weights', 'it is not known whether such a start changes the base weights');
}

function refused(config: Fields, field: string, why: string): EspalierError {
  const value = JSON.stringify(config.json[field]);
  return new EspalierError([diagnostic('ESP0512', { file: config.file, field, value, why })]);
}

/** Which biases of the base's layers the folder holds: none, those of adapted layers, or all that the model has. */
export type TrainedBiases = 'none' | 'lora_only' | 'all';

export function biasesOf(config: Fields): TrainedBiases {
  const bias = config.text('bias', 'none');
  if (bias !== 'none' && bias !== 'lora_only' && bias !== 'all')
    throw configError(config.file, `bias = ${JSON.stringify(bias)} is not "none", "all" or "lora_only"`);
  return bias;
}

/** @returns warnings @throws EspalierError ESP0507, ESP0512, ESP1291 */
export function checkConfig(config: Fields): Diagnostic[] {
  const type = config.text('peft_type', '');
  if (type === '') throw configError(config.file, 'has no peft_type');
  if (type !== 'LORA')
    throw refused(
      config,
      'peft_type',
      `adapters of the type ${type} are not imported, those of LORA are (DoRA with them)`,
    );
  for (const [field, why] of Object.entries(MUST_BE_OFF))
    if (!isOff(config.json[field])) throw refused(config, field, why);
  // Python fails at these; taken for absent, they would be 8.
  for (const field of ['r', 'lora_alpha'])
    if (config.json[field] === null) throw configError(config.file, `${field} is null, and has to be a number`);
  biasesOf(config);
  startOf(config);
  const unknown = Object.entries(config.json)
    .filter(([field, value]) => !KNOWN.has(field) && !(field in MUST_BE_OFF) && !isOff(value))
    .map(([field]) => field);
  return unknown.length > 0 ? [diagnostic('ESP0513', { file: config.file, fields: unknown })] : [];
}

/** What the patterns of a configuration say of modules. */
export interface Patterns {
  readonly ranks: ByPattern;
  readonly alphas: ByPattern;
}
type ByPattern = readonly { readonly pattern: Pattern; readonly key: string; readonly value: number }[];

export function patternsFor(config: Fields, modules: readonly string[]): Patterns {
  return {
    ranks: patternsOf(config, 'rank_pattern', modules),
    alphas: patternsOf(config, 'alpha_pattern', modules),
  };
}

/** Warnings (ESP1284) for what names none of the folder's modules: misspelt, most likely, so that a module has the rank or alpha of all others, or no pair. */
export function idleNames(config: Fields, patterns: Patterns, modules: readonly string[]): Diagnostic[] {
  const idle = {
    rank_pattern: idleOf(config, 'rank_pattern', patterns.ranks, modules),
    alpha_pattern: idleOf(config, 'alpha_pattern', patterns.alphas, modules),
    target_modules: idleTargets(config, modules),
  };
  return Object.entries(idle).flatMap(([field, keys]) =>
    keys.length > 0 ? [diagnostic('ESP1284', { file: config.file, field, keys })] : [],
  );
}

function idleOf(config: Fields, field: string, patterns: ByPattern, modules: readonly string[]): string[] {
  return patterns
    .filter((pattern) => modules.every((module) => valueFor(config, field, [pattern], module) === undefined))
    .map(({ key }) => key);
}

/** Those that are neither adapted nor left out on purpose: excluded, or saved as a whole. */
function idleTargets(config: Fields, modules: readonly string[]): string[] {
  const { target_modules: targets, exclude_modules: excluded, modules_to_save: saved } = config.json;
  if (targets === 'all-linear') return [];
  const all = Array.isArray(targets) ? targets.map(String) : typeof targets === 'string' ? [targets] : [];
  const idle = Array.isArray(targets)
    ? all.filter((t) => !modules.some((m) => isNamed([t], m)))
    : all.filter(() => !modules.some((m) => isNamed(targets, m)));
  return idle.filter((t) => !isNamed(excluded, t) && !isNamed(saved, t)).sort();
}

/** A list has names, or ends of names behind a dot; a string is a pattern of whole names. */
function isNamed(by: unknown, module: string): boolean {
  if (Array.isArray(by)) return by.some((t) => module === t || module.endsWith(`.${String(t)}`));
  if (typeof by !== 'string') return false;
  try {
    const pattern = fullPattern(by);
    // The tensors say what is adapted: what cannot be matched quickly is not asked.
    return pattern.cost * module.length > MOST_STEPS / 1e4 || pattern.matches(module);
  } catch (error) {
    if (error instanceof PatternError) return true;
    throw error;
  }
}

/** alpha / r, or alpha / sqrt(r); the first pattern that matches the module (as the file spells it) decides, else the fields for all. */
export function scaleOf(
  config: Fields,
  { ranks, alphas }: Patterns,
  module: string,
  rank: number,
): { alpha: number; scale: number } {
  const declared = valueFor(config, 'rank_pattern', ranks, module) ?? config.count('r', 8);
  if (declared !== rank) {
    throw configError(config.file, `says that "${module}" has rank ${declared}, but its tensors have rank ${rank}`);
  }
  const alpha = valueFor(config, 'alpha_pattern', alphas, module) ?? config.number('lora_alpha', 8);
  if (alpha === 0) throw configError(config.file, `gives "${module}" an alpha of 0, so its tensors do nothing`);
  return { alpha, scale: config.bool('use_rslora', false) ? alpha / Math.sqrt(rank) : alpha / rank };
}

function refusedPattern(config: Fields, field: string, key: string, error: unknown): EspalierError {
  if (!(error instanceof PatternError)) throw error;
  const value = JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}...` : key);
  return new EspalierError([
    diagnostic('ESP0512', { file: config.file, field, value, why: `the pattern ${error.message}` }),
  ]);
}

/** Steps of matching that are taken at most: a second or two. No real configuration comes near. */
const MOST_STEPS = 3e8;

/** Each pattern of a field once, for all modules. */
function patternsOf(config: Fields, field: 'rank_pattern' | 'alpha_pattern', names: readonly string[]): ByPattern {
  const characters = names.reduce((sum, name) => sum + name.length, 0);
  let steps = 0;
  return Object.entries(config.object(field)).map(([key, value]) => {
    if (typeof value !== 'number' || !Number.isFinite(value))
      throw configError(config.file, `${field}: "${key}" is not mapped to a number`);
    try {
      const pattern = namePattern(key);
      steps += names.length + pattern.cost * characters;
      if (steps > MOST_STEPS) throw new PatternError('is too large, with those before it, for so many modules');
      return { pattern, key, value };
    } catch (error) {
      throw refusedPattern(config, field, key, error);
    }
  });
}

function valueFor(config: Fields, field: string, patterns: ByPattern, module: string): number | undefined {
  return patterns.find(({ pattern, key }) => {
    try {
      return pattern.matches(module);
    } catch (error) {
      throw refusedPattern(config, field, key, error);
    }
  })?.value;
}
