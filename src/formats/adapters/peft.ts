/**
 * Adapter folders of the Python library `peft`: `adapter_config.json`, whose fields peft-config.ts reads, and the tensors of
 * `adapter_model.safetensors` or `.bin`, which are told apart here by their names.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { configError, Fields, readJsonObject } from '../huggingface/json.js';
import { type Folder, readAll } from '../tensors/bytes.js';
import { WRITER } from '../tensors/safetensors.js';
import { openSafetensors, reshaped, type StoreEntry, type TensorStore } from '../tensors/store.js';
import { openTorch } from '../torch/torch.js';
import type { Facts } from '../types.js';
import { labelsIn } from './adapter.js';
import { biasesOf, checkConfig, idleNames, patternsFor, type Start, scaleOf, startOf } from './peft-config.js';
import { twice } from './sites.js';

/** One adapted layer: W + scale · B A, W [out, in], A [rank, in], B [out, rank], and scale · c more, c [out]; with a magnitude m [out], its rows scaled to these norms. */
export interface LowRankPair {
  readonly A: StoreEntry;
  readonly B: StoreEntry;
  readonly m?: StoreEntry;
  readonly c?: StoreEntry;
  /** Of a convolution, whose A is a kernel [rank, in, ...]: the sizes after the rank, of which A's columns are made. */
  readonly read?: readonly number[];
  readonly rank: number;
  readonly alpha: number;
  /** alpha / rank, or alpha / sqrt(rank). */
  readonly scale: number;
}

export interface PeftAdapter {
  readonly name: string;
  /** By module name, as the folder spells it. */
  readonly pairs: ReadonlyMap<string, LowRankPair>;
  /** What the pairs started as, where the base lost it: they are pairs of what was left of it, until `peftAsStore` makes them such of the base. */
  readonly start?: { readonly from: Start; readonly init: string };
  /** Tensors that were trained as a whole (`modules_to_save`), as the folder spells them: `classifier.weight`. */
  readonly saved: ReadonlyMap<string, StoreEntry>;
  /** Biases of the base's layers that were trained (`bias`), which stand in place of the base's: `vit.layernorm.bias`. */
  readonly biases: ReadonlyMap<string, StoreEntry>;
  /** Largest rank of a pair of the base; smaller ones are padded with zeros to it. */
  readonly rank: number;
  /** The first pair's. Pairs of another scale have the difference multiplied into B. */
  readonly scale: number;
  /** The base that it was trained on, as its configuration calls it: a repository's name or a path. */
  readonly base?: string;
  readonly facts: Facts;
  readonly warnings: readonly Diagnostic[];
  readonly metadata: Readonly<Record<string, string>>;
  /** All of the file of weights. */
  bytes(): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens an adapter folder; reads no weights.
 * @throws EspalierError ESP0502 to ESP0504, ESP0506, ESP0507, ESP0512, ESP1280, ESP1281, ESP1291
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
    const { pairs, saved, biases, idle } = sortTensors(config, store);
    warnings.push(...idle);
    if (biases.size > 0) {
      const about = { file: store.name, count: biases.size, bias: config.text('bias', 'none') };
      warnings.push(diagnostic('ESP1293', about));
    }
    // Whoever else writes such a folder has other names for what its labels are.
    const labels = store.metadata.writer === WRITER ? labelsIn(store) : undefined;
    const [first] = [...pairs.values()] as [LowRankPair, ...LowRankPair[]];
    const from = startOf(config);
    const base = config.json.base_model_name_or_path;
    // A pair that started as a part of the base has what it started as beside it, with the other sign.
    const rank = Math.max(...[...pairs.values()].map((p) => p.rank)) * (from ? 2 : 1);
    const close = async (): Promise<void> => source.close?.();
    return {
      name: folder.name,
      pairs,
      ...(from ? { start: { from, init: String(config.json.init_lora_weights) } } : {}),
      saved,
      biases,
      rank,
      scale: first.scale,
      ...(typeof base === 'string' ? { base } : {}),
      facts: { options: optionsOf(config, first, rank), ...(labels ? { labels } : {}) },
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

interface Sorted {
  readonly pairs: Map<string, LowRankPair>;
  readonly saved: Map<string, StoreEntry>;
  readonly biases: Map<string, StoreEntry>;
  /** Warnings of names that match no module. */
  readonly idle: readonly Diagnostic[];
}

type Half = 'A' | 'B' | 'm' | 'c';

/** Which module a tensor of a pair is of. Newer versions leave the adapter's name out (`lora_A.weight`), older ones kept it (`lora_A.default.weight`). */
function halfOf(bare: string): { module: string; half: Half } | undefined {
  const matrix = /^(.+)\.lora_([AB])(?:\.[^.]+)?\.weight$/.exec(bare);
  if (matrix) return { module: matrix[1]!, half: matrix[2] as 'A' | 'B' };
  const shift = /^(.+)\.lora_B(?:\.[^.]+)?\.bias$/.exec(bare);
  if (shift) return { module: shift[1]!, half: 'c' };
  // A magnitude was a bare parameter once.
  const magnitude = /^(.+)\.lora_magnitude_vector(?:\.(?!weight$)[^.]+)?(?:\.weight)?$/.exec(bare);
  return magnitude ? { module: magnitude[1]!, half: 'm' } : undefined;
}

/** Splits the tensors into pairs by module, whole tensors and biases. */
function sortTensors(config: Fields, store: TensorStore): Sorted {
  const halves = new Map<string, Partial<Record<Half, StoreEntry>>>();
  const saved = new Map<string, StoreEntry>();
  const biases = new Map<string, StoreEntry>();
  const trained = biasesOf(config);
  const modules = config.texts('modules_to_save');
  const within = (name: string, module: string): boolean => `.${name}`.includes(`.${module}.`);
  for (const [name, found] of store.tensors) {
    const entry = { ...found, original: name };
    const bare = name.replace(/^(?:(?:module|_orig_mod)\.)*base_model\.model\./, '');
    const of = halfOf(bare);
    if (of) {
      const pair = halves.get(of.module) ?? {};
      if (pair[of.half]) throw twice(store.name, name);
      halves.set(of.module, { ...pair, [of.half]: entry });
      continue;
    }
    // What was trained in place of a module is saved beside what it was before, where all biases are.
    if (/\.original_module\./.test(bare)) continue;
    const ofBase = trained === 'none' ? null : /^(.+)\.base_layer\.bias$/.exec(bare);
    if (!ofBase && (bare.includes('lora_') || bare.includes('base_layer'))) {
      const why = 'the file holds a tensor of a kind that is not imported';
      throw new EspalierError([diagnostic('ESP0512', { file: store.name, field: 'tensor', value: name, why })]);
    }
    const plain = ofBase ? `${ofBase[1]}.bias` : bare.replace(/\.modules_to_save(\.default)?(?=\.)/, '');
    const isBias = ofBase || (trained === 'all' && plain.endsWith('.bias') && !modules.some((m) => within(plain, m)));
    const place = isBias ? biases : saved;
    // A saved module's bias is one of all biases, too.
    const copies = [name, place.get(plain)?.original].some((n) => n?.includes('.modules_to_save.'));
    if (place.has(plain) && !(trained === 'all' && copies)) throw twice(store.name, name);
    place.set(plain, entry);
  }
  // Which modules are adapted the tensors say. Of modules that were to be saved, peft itself names some that a model may not have.
  if (modules.length > 0 && !modules.some((m) => [...saved.keys()].some((name) => within(name, m)))) {
    throw configError(config.file, `saves the modules ${modules.join(', ')}, of which ${store.name} has no tensor`);
  }
  if (halves.size === 0)
    throw configError(store.name, 'has no pair of any module (lora_A and lora_B): it adapts nothing');
  const names = [...halves.keys()];
  const patterns = patternsFor(config, names);
  const pairs = new Map<string, LowRankPair>();
  for (const [module, half] of halves) {
    const pair = checkedPair(config, store.name, module, half);
    const rank = pair.A.shape[0]!;
    pairs.set(module, { ...pair, rank, ...scaleOf(config, patterns, module, rank) });
  }
  return { pairs, saved, biases, idle: idleNames(config, patterns, names) };
}

/** @throws EspalierError ESP0507 for halves that are no pair of a linear layer or a convolution */
function checkedPair(
  config: Fields,
  file: string,
  module: string,
  { A, B, m, c }: Partial<Record<Half, StoreEntry>>,
): Pick<LowRankPair, 'A' | 'B' | 'm' | 'c' | 'read'> {
  const wrong = (problem: string): EspalierError => configError(file, `"${module}"${problem}`);
  if (!A || !B) throw wrong(` has only one half of its pair (${A ? 'A' : B ? 'B' : 'neither A nor B'})`);
  const [rank = 0, ...read] = A.shape;
  const b = asMatrix(B);
  const size = sizeOf(read);
  if (!b || rank < 1 || read.length === 0 || size < 1 || B.shape[1] !== rank || B.shape.length !== A.shape.length) {
    const [, most = 0] = B.shape;
    const grouped = b && read.length > 1 && most > 0 && most < rank && rank % most === 0;
    const groups = grouped ? `: ${rank / most} groups, and convolutions in groups are not imported` : '';
    const shapes = `A [${A.shape.join(', ')}] and B [${B.shape.join(', ')}]`;
    throw wrong(`: ${shapes} are not a pair for a linear layer or a convolution${groups}`);
  }
  const start = startOf(config);
  if (start && size > read[0]!)
    throw wrong(' is of a convolution, and pairs of these that started as a part of the base are not imported');
  const a = read.length === 1 ? A : reshaped(A, [rank, size]);
  const [scaled, shifted] = [config.bool('use_dora', false), config.bool('lora_bias', false)];
  if (scaled !== (m !== undefined)) throw wrong(` has ${m ? 'a' : 'no'} magnitude, and use_dora is ${String(scaled)}`);
  if (shifted !== (c !== undefined))
    throw wrong(` has ${c ? 'a' : 'no'} bias of its pair, and lora_bias is ${String(shifted)}`);
  const out = B.shape[0]!;
  const vector = (entry: StoreEntry, what: string): StoreEntry => {
    // A convolution's magnitudes have unit axes.
    if (sizeOf(entry.shape) !== out || Math.max(...entry.shape, 1) !== out)
      throw wrong(`: ${what} [${entry.shape.join(', ')}] is not one of each row of B`);
    return reshaped(entry, [out]);
  };
  return {
    A: a,
    B: b,
    ...(m ? { m: vector(m, 'a magnitude') } : {}),
    ...(c ? { c: vector(c, 'a bias') } : {}),
    ...(read.length > 1 ? { read } : {}),
  };
}

/** A matrix, of a convolution of one place too; undefined for what is none. */
function asMatrix(entry: StoreEntry): StoreEntry | undefined {
  const [rows, columns, ...rest] = entry.shape;
  if (rows === undefined || columns === undefined || rest.some((n) => n !== 1)) return undefined;
  return rest.length === 0 ? entry : reshaped(entry, [rows, columns]);
}

/** Options that give the first pair's scale at the common rank. With magnitudes it is always alpha / rank. */
function optionsOf(
  config: Fields,
  first: LowRankPair,
  rank: number,
): { rank: number; alpha: number; rslora?: boolean; bias?: boolean } {
  const rslora = config.bool('use_rslora', false);
  if (first.m) return { rank, alpha: first.rank === rank && !rslora ? first.alpha : first.scale * rank };
  // As written wherever possible: first.scale * rank has rounding errors.
  const alpha = first.rank === rank ? first.alpha : first.scale * (rslora ? Math.sqrt(rank) : rank);
  return { rank, alpha, rslora, ...(first.c ? { bias: true } : {}) };
}
