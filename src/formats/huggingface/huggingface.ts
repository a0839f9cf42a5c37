/**
 * Hugging Face folders: `config.json` gives a backbone's options and labels, `preprocessor_config.json` the steps from image to input, and
 * the tensors are in `model.safetensors` or in the shards that `model.safetensors.index.json` lists.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { ByteSource, Folder } from '../tensors/bytes.js';
import { openSafetensors, renameTensors, type StoreEntry, type TensorStore } from '../tensors/store.js';
import type { Facts } from '../types.js';
import { configError, Fields, isObject, type JsonObject, readJsonObject } from './json.js';
import { preprocessSteps } from './preprocessor.js';

export interface HuggingFaceModel {
  readonly store: TensorStore;
  readonly facts: Facts;
  readonly warnings: readonly Diagnostic[];
  /** Must be closed by the owner. */
  readonly sources: readonly ByteSource[];
}

/**
 * Opens a folder that has a `config.json`; reads no weights.
 * @throws EspalierError ESP0501, ESP0502 to ESP0504, ESP0507 to ESP0509
 */
export async function openHuggingFace(folder: Folder): Promise<HuggingFaceModel> {
  const sources: ByteSource[] = [];
  try {
    const config = await jsonOf(folder, 'config.json');
    if (!config)
      throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found: 'it has no config.json' })]);
    const type = config.text('model_type', '');
    if (type !== 'vit') throw new EspalierError([diagnostic('ESP0508', { file: config.file, type })]);
    const options = vitOptions(config);
    const store = renameTensors(await openWeights(folder, sources), canonicalNames);
    const preprocessor = await jsonOf(folder, 'preprocessor_config.json');
    const steps = preprocessor ? preprocessSteps(preprocessor, options.channels, options.image) : undefined;
    const labels = store.tensors.has('classifier.weight') ? labelsOf(config) : undefined;
    const several = labels !== undefined && config.json.problem_type === 'multi_label_classification';
    return {
      store,
      facts: { options, ...(labels ? { labels } : {}), ...(steps ? { preprocess: steps.steps } : {}) },
      warnings: [...(steps?.warnings ?? []), ...(several ? [diagnostic('ESP0521', { file: config.file })] : [])],
      sources,
    };
  } catch (error) {
    await Promise.all(sources.map((s) => s.close?.()));
    throw error;
  }
}

async function jsonOf(folder: Folder, file: string): Promise<Fields | undefined> {
  const source = await folder.open(file);
  if (!source) return undefined;
  try {
    return new Fields(source.name, await readJsonObject(source));
  } finally {
    await source.close?.();
  }
}

/** The options of a ViT; what the file leaves out is what transformers takes then. */
function vitOptions(config: Fields): {
  image: number;
  patch: number;
  channels: number;
  dim: number;
  depth: number;
  heads: number;
  hidden: number;
  eps: number;
  qkv_bias: boolean;
} {
  const act = config.text('hidden_act', 'gelu');
  if (act !== 'gelu') {
    const why = 'is not the activation of the library’s ViT, which is gelu';
    throw new EspalierError([
      diagnostic('ESP0509', { file: config.file, field: 'hidden_act', value: JSON.stringify(act), why }),
    ]);
  }
  return {
    image: square(config, 'image_size', 224),
    patch: square(config, 'patch_size', 16),
    channels: config.count('num_channels', 3),
    dim: config.count('hidden_size', 768),
    depth: config.count('num_hidden_layers', 12),
    heads: config.count('num_attention_heads', 12),
    hidden: config.count('intermediate_size', 3072),
    eps: nonNegative(config, 'layer_norm_eps', 1e-12),
    qkv_bias: config.bool('qkv_bias', true),
  };
}

function nonNegative(config: Fields, field: string, fallback: number): number {
  const value = config.number(field, fallback);
  if (value < 0) throw configError(config.file, `${field} = ${value} is negative`);
  return value;
}

/** A size written as a number, or as two equal ones. */
function square(config: Fields, field: string, fallback: number): number {
  const value = config.json[field];
  if (!Array.isArray(value)) return config.count(field, fallback);
  const [a, b] = value as unknown[];
  if (value.length === 2 && a === b && Number.isSafeInteger(a) && (a as number) >= 1) return a as number;
  const why = 'is not a square';
  throw new EspalierError([diagnostic('ESP0509', { file: config.file, field, value: JSON.stringify(value), why })]);
}

/** `id2label` as a list; its keys are the numbers from 0, as strings. */
function labelsOf(config: Fields): string[] | undefined {
  if (!config.has('id2label')) return undefined;
  const map = config.object('id2label');
  const labels: string[] = [];
  const count = Object.keys(map).length;
  for (let i = 0; i < count; i++) {
    const label = map[String(i)];
    if (typeof label !== 'string')
      throw configError(config.file, `id2label has ${count} entries but no name for class ${i}`);
    labels.push(label);
  }
  return count > 0 ? labels : undefined;
}

async function openWeights(folder: Folder, sources: ByteSource[]): Promise<TensorStore> {
  const open = async (file: string): Promise<TensorStore | undefined> => {
    const source = await folder.open(file);
    if (!source) return undefined;
    sources.push(source);
    return openSafetensors(source);
  };
  const whole = await open('model.safetensors');
  if (whole) return whole;
  const index = await jsonOf(folder, 'model.safetensors.index.json');
  if (!index)
    throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found: await whyNoWeights(folder) })]);
  return openShards(index, index.object('weight_map'), folder.name, open);
}

async function whyNoWeights(folder: Folder): Promise<string> {
  const pickle = (await folder.list()).find((f) => /\.(bin|pt|pth|ckpt)$/.test(f));
  return pickle
    ? `it has ${pickle} (a Python pickle, which can run code and is not read) but no model.safetensors`
    : 'it has a config.json but no model.safetensors';
}

async function openShards(
  index: Fields,
  map: JsonObject,
  name: string,
  open: (file: string) => Promise<TensorStore | undefined>,
): Promise<TensorStore> {
  const shards = new Map<string, TensorStore>();
  const tensors = new Map<string, StoreEntry>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string') throw configError(index.file, `weight_map: "${tensor}" is not mapped to a file`);
    // A name with a separator could lead out of the folder.
    if (/[\\/]/.test(file))
      throw configError(index.file, `weight_map: "${file}" is not the name of a file of the folder`);
    let shard = shards.get(file);
    if (!shard) {
      shard = await open(file);
      if (!shard) throw configError(index.file, `names the shard ${file}, which is not there`);
      shards.set(file, shard);
    }
    const entry = shard.tensors.get(tensor);
    if (!entry) throw configError(index.file, `says that ${file} holds "${tensor}", which it does not`);
    tensors.set(tensor, entry);
  }
  for (const [file, shard] of shards) {
    for (const tensor of shard.tensors.keys()) {
      if (map[tensor] !== file) throw configError(index.file, `does not list "${tensor}", which ${file} holds`);
    }
  }
  return { name, tensors, metadata: {} };
}

/** The names that transformers 5 gives modules in memory (and that adapters trained with it carry) -> the ones that folders have. */
const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/^vit\.layers\.(\d+)\.attention\.q_proj(?=\.|$)/, 'vit.encoder.layer.$1.attention.attention.query'],
  [/^vit\.layers\.(\d+)\.attention\.k_proj(?=\.|$)/, 'vit.encoder.layer.$1.attention.attention.key'],
  [/^vit\.layers\.(\d+)\.attention\.v_proj(?=\.|$)/, 'vit.encoder.layer.$1.attention.attention.value'],
  [/^vit\.layers\.(\d+)\.attention\.o_proj(?=\.|$)/, 'vit.encoder.layer.$1.attention.output.dense'],
  [/^vit\.layers\.(\d+)\.mlp\.fc1(?=\.|$)/, 'vit.encoder.layer.$1.intermediate.dense'],
  [/^vit\.layers\.(\d+)\.mlp\.fc2(?=\.|$)/, 'vit.encoder.layer.$1.output.dense'],
  [/^vit\.layers\.(\d+)\.(layernorm_before|layernorm_after)(?=\.|$)/, 'vit.encoder.layer.$1.$2'],
];

/** One spelling for the names of a ViT's modules and tensors: a bare `ViTModel` has no prefix, and transformers 5 renamed the layers. */
export function canonicalNames(name: string): string {
  const prefixed = /^(embeddings|encoder|layers|layernorm|pooler)\./.test(name) ? `vit.${name}` : name;
  for (const [from, to] of RENAMED) {
    if (from.test(prefixed)) return prefixed.replace(from, to);
  }
  return prefixed;
}

/** `config.json` for the same model with other classes. */
export function withLabels(config: JsonObject, labels: readonly string[]): JsonObject {
  const id2label = Object.fromEntries(labels.map((l, i) => [String(i), l]));
  const label2id = Object.fromEntries(labels.map((l, i) => [l, i]));
  const rest = isObject(config) ? { ...config } : {};
  delete (rest as Record<string, unknown>).num_labels;
  return { ...rest, architectures: ['ViTForImageClassification'], id2label, label2id };
}
