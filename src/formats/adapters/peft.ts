/**
 * Adapter folders of the Python library `peft`: `adapter_config.json` and `adapter_model.safetensors`. Of the types that it can write, low
 * rank pairs (type LORA), with magnitudes (DoRA) or without, are imported; the names of that type are this format's vocabulary and occur here and
 * in peft-folder.ts alone.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { configError, Fields, readJsonObject } from '../huggingface/json.js';
import { isOff } from '../huggingface/preprocessor.js';
import { type Folder, readAll } from '../tensors/bytes.js';
import { openSafetensors, type StoreEntry, type TensorStore } from '../tensors/store.js';
import { openTorch } from '../torch/torch.js';
import type { Facts } from '../types.js';
import { namePattern, type Pattern, PatternError } from './patterns.js';

/** One adapted layer: W + scale · B A, A [rank, in], B [out, rank]; with a magnitude m [out], its rows scaled to these norms. */
export interface LowRankPair {
  readonly A: StoreEntry;
  readonly B: StoreEntry;
  readonly m?: StoreEntry;
  readonly rank: number;
  readonly alpha: number;
  /** alpha / rank, or alpha / sqrt(rank). */
  readonly scale: number;
}

export interface PeftAdapter {
  readonly name: string;
  /** By module name, as the folder spells it. */
  readonly pairs: ReadonlyMap<string, LowRankPair>;
  /** Tensors that were trained as a whole (`modules_to_save`), as the folder spells them: `classifier.weight`. */
  readonly saved: ReadonlyMap<string, StoreEntry>;
  /** Largest rank of a pair; smaller ones are padded with zeros to it. */
  readonly rank: number;
  /** The first pair's. Pairs of another scale have the difference multiplied into B. */
  readonly scale: number;
  readonly facts: Facts;
  readonly warnings: readonly Diagnostic[];
  readonly metadata: Readonly<Record<string, string>>;
  /** All of the file of weights. */
  bytes(): Promise<Uint8Array>;
  close(): Promise<void>;
}

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
  'fan_in_fan_out',
  'runtime_config',
  'loftq_config',
  'eva_config',
  'qalora_group_size',
  'ensure_weight_tying',
  'megatron_core',
]);

/** Fields that change the computation and are imported only when they are off. */
const MUST_BE_OFF: Readonly<Record<string, string>> = {
  lora_bias: 'biases of the pair are not imported',
  fan_in_fan_out: 'transposed weights are not imported',
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
  lora_ga_config: 'it changes the base weights, which this folder does not hold',
  corda_config: 'it changes the base weights, which this folder does not hold',
};

/** Ways of starting that subtract something from the base weights, so that the folder alone does not say what is computed. */
const CHANGES_BASE = /^(pissa|olora|corda|loftq)/i;

/**
 * Opens an adapter folder; reads no weights.
 * @throws EspalierError ESP0502 to ESP0504, ESP0506, ESP0507, ESP0512, ESP1280, ESP1281
 */
export async function openPeft(folder: Folder): Promise<PeftAdapter> {
  const configSource = await folder.open('adapter_config.json');
  if (!configSource)
    throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found: 'it has no adapter_config.json' })]);
  let config: Fields;
  try {
    config = new Fields(configSource.name, await readJsonObject(configSource));
  } finally {
    await configSource.close?.();
  }
  const warnings = checkConfig(config);
  const safe = await folder.open('adapter_model.safetensors');
  const source = safe ?? (await folder.open('adapter_model.bin'));
  if (!source) {
    const found = 'it has an adapter_config.json but no adapter_model.safetensors and no adapter_model.bin';
    throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found })]);
  }
  try {
    const opened = safe ? { store: await openSafetensors(safe), warnings: [] } : await openTorch(source);
    warnings.push(...opened.warnings);
    const { store } = opened;
    const { pairs, saved, idle } = sortTensors(config, store);
    for (const [field, keys] of Object.entries(idle))
      if (keys.length > 0) warnings.push(diagnostic('ESP1284', { file: config.file, field, keys }));
    const first = [...pairs.values()][0];
    const rank = Math.max(0, ...[...pairs.values()].map((p) => p.rank));
    const close = async (): Promise<void> => source.close?.();
    return {
      name: folder.name,
      pairs,
      saved,
      rank,
      scale: first?.scale ?? 1,
      facts: first ? { options: optionsOf(config, first, rank) } : {},
      warnings,
      metadata: store.metadata,
      bytes: () => readAll(source),
      close,
    };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

function checkConfig(config: Fields): Diagnostic[] {
  const refuse = (field: string, why: string): EspalierError =>
    new EspalierError([
      diagnostic('ESP0512', { file: config.file, field, value: JSON.stringify(config.json[field]), why }),
    ]);
  const type = config.text('peft_type', '');
  if (type === '') throw configError(config.file, 'has no peft_type');
  if (type !== 'LORA') throw refuse('peft_type', 'adapters of this type are not imported');
  for (const [field, why] of Object.entries(MUST_BE_OFF)) if (!isOff(config.json[field])) throw refuse(field, why);
  if (config.text('bias', 'none') !== 'none') throw refuse('bias', 'trained biases of the base model are not imported');
  const init = config.json.init_lora_weights;
  if (typeof init === 'string' && CHANGES_BASE.test(init)) {
    throw refuse('init_lora_weights', 'it changes the base weights, which this folder does not hold');
  }
  const unknown = Object.entries(config.json)
    .filter(([field, value]) => !KNOWN.has(field) && !(field in MUST_BE_OFF) && !isOff(value))
    .map(([field]) => field);
  return unknown.length > 0 ? [diagnostic('ESP0513', { file: config.file, fields: unknown })] : [];
}

/** Splits the tensors into pairs by module and whole tensors; `idle`: by field, the patterns that match no module. */
function sortTensors(
  config: Fields,
  store: TensorStore,
): { pairs: Map<string, LowRankPair>; saved: Map<string, StoreEntry>; idle: Readonly<Record<string, string[]>> } {
  const halves = new Map<string, { A?: StoreEntry; B?: StoreEntry; m?: StoreEntry }>();
  const saved = new Map<string, StoreEntry>();
  for (const [name, entry] of store.tensors) {
    const bare = name.replace(/^base_model\.model\./, '');
    // Newer versions leave the adapter's name out (`lora_A.weight`), older ones kept it (`lora_A.default.weight`).
    // A magnitude was a bare parameter once.
    const half =
      /^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/.exec(bare) ??
      /^(.+)\.lora_(magnitude_vector)(?:\.(?!weight$)[^.]+)?(?:\.weight)?$/.exec(bare);
    if (half) {
      const module = half[1]!;
      const pair = halves.get(module) ?? {};
      const letter = half[2] === 'A' || half[2] === 'B' ? half[2] : 'm';
      if (pair[letter]) throw twice(store.name, name);
      pair[letter] = { ...entry, original: name };
      halves.set(module, pair);
      continue;
    }
    if (bare.includes('lora_') || bare.includes('base_layer')) {
      const why = 'the file holds a tensor of a kind that is not imported';
      throw new EspalierError([diagnostic('ESP0512', { file: store.name, field: 'tensor', value: name, why })]);
    }
    const plain = bare.replace(/\.modules_to_save(\.default)?(?=\.)/, '').replace(/\.original_module(?=\.)/, '');
    if (saved.has(plain)) throw twice(store.name, name);
    saved.set(plain, { ...entry, original: name });
  }
  // Which modules are adapted the tensors say. Of modules that were to be saved, peft itself names some that a model may not have.
  const modules = config.texts('modules_to_save');
  const isSaved = (module: string) => [...saved.keys()].some((name) => `.${name}`.includes(`.${module}.`));
  if (modules.length > 0 && !modules.some(isSaved)) {
    throw configError(config.file, `saves the modules ${modules.join(', ')}, of which ${store.name} has no tensor`);
  }
  const names = [...halves.keys()];
  const patterns: Patterns = {
    ranks: patternsOf(config, 'rank_pattern', names),
    alphas: patternsOf(config, 'alpha_pattern', names),
  };
  const pairs = new Map<string, LowRankPair>();
  const scaled = config.bool('use_dora', false);
  for (const [module, { A, B, m }] of halves) {
    if (!A || !B) throw configError(store.name, `"${module}" has only one half of its pair (${A ? 'A' : 'B'})`);
    const rank = A.shape[0] ?? 0;
    if (A.shape.length !== 2 || B.shape.length !== 2 || rank < 1 || B.shape[1] !== rank) {
      throw configError(
        store.name,
        `"${module}": A [${A.shape.join(', ')}] and B [${B.shape.join(', ')}] are not a pair for a linear layer`,
      );
    }
    if (scaled !== (m !== undefined))
      throw configError(store.name, `"${module}" has ${m ? 'a' : 'no'} magnitude, and use_dora is ${String(scaled)}`);
    if (m && (m.shape.length !== 1 || m.shape[0] !== B.shape[0]))
      throw configError(store.name, `"${module}": a magnitude [${m.shape.join(', ')}] is not one of each row of B`);
    pairs.set(module, { A, B, ...(m ? { m } : {}), rank, ...scaleOf(config, patterns, module, rank) });
  }
  const idle = {
    rank_pattern: idleOf(config, 'rank_pattern', patterns.ranks, names),
    alpha_pattern: idleOf(config, 'alpha_pattern', patterns.alphas, names),
  };
  return { pairs, saved, idle };
}

/** Patterns that match no module of the folder: misspelt, most likely, so that the module has the rank or alpha of all others. */
function idleOf(config: Fields, field: string, patterns: ByPattern, modules: readonly string[]): string[] {
  return patterns
    .filter((pattern) => modules.every((module) => valueFor(config, field, [pattern], module) === undefined))
    .map(({ key }) => key);
}

/** Two tensors for one place, as two adapters in one file have them. */
export function twice(file: string, name: string): EspalierError {
  const problem = 'is there twice, under other names: the file holds several adapters, and one is read';
  return new EspalierError([diagnostic('ESP0503', { file, tensor: name, problem })]);
}

/** Options that give the first pair's scale at the common rank. With magnitudes it is always alpha / rank. */
function optionsOf(
  config: Fields,
  first: LowRankPair,
  rank: number,
): { rank: number; alpha: number; rslora?: boolean } {
  const rslora = config.bool('use_rslora', false);
  if (first.m) return { rank, alpha: first.rank === rank && !rslora ? first.alpha : first.scale * rank };
  // As written wherever possible: first.scale * rank has rounding errors.
  const alpha = first.rank === rank ? first.alpha : first.scale * (rslora ? Math.sqrt(rank) : rank);
  return { rank, alpha, rslora };
}

/** What the patterns of a configuration say of modules. */
interface Patterns {
  readonly ranks: ByPattern;
  readonly alphas: ByPattern;
}
type ByPattern = readonly { readonly pattern: Pattern; readonly key: string; readonly value: number }[];

/** alpha / r, or alpha / sqrt(r); the first pattern that matches the module (as the file spells it) decides, else the fields for all. */
function scaleOf(
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
