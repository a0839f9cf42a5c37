/**
 * Hugging Face folders: `config.json`, `preprocessor_config.json`, and tensors in `model.safetensors` or in the shards that
 * `model.safetensors.index.json` lists; where there is neither, in
 * `pytorch_model.bin`, or the shards of its index. What the configurations mean for a family of models, variants say.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { ByteSource, Folder } from '../tensors/bytes.js';
import { openSafetensors, type StoreEntry, type TensorStore } from '../tensors/store.js';
import { openTorch } from '../torch/torch.js';
import type { Facts } from '../types.js';
import { configError, Fields, type JsonObject, readJsonObject } from './json.js';
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
 * @throws EspalierError ESP0501 to ESP0504, ESP0506, ESP0507, ESP1280, ESP1281
 */
export async function openHuggingFace(folder: Folder): Promise<HuggingFaceModel> {
  const sources: ByteSource[] = [];
  try {
    const config = await jsonOf(folder, 'config.json');
    if (!config)
      throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found: 'it has no config.json' })]);
    const warnings: Diagnostic[] = [];
    const store = await openWeights(folder, sources, warnings);
    const processor = await jsonOf(folder, 'preprocessor_config.json');
    const facts: Facts = {
      config,
      steps: preprocessSteps,
      ...(processor ? { processor: { file: processor.file, json: processor.json, steps: preprocessSteps } } : {}),
      tensors: new Set(store.tensors.keys()),
    };
    return { store, facts, warnings, sources };
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

async function openWeights(folder: Folder, sources: ByteSource[], warnings: Diagnostic[]): Promise<TensorStore> {
  const open = async (file: string): Promise<TensorStore | undefined> => {
    const source = await folder.open(file);
    if (!source) return undefined;
    sources.push(source);
    if (file.endsWith('.safetensors')) return openSafetensors(source);
    const opened = await openTorch(source);
    warnings.push(...opened.warnings);
    return opened.store;
  };
  for (const file of ['model.safetensors', 'pytorch_model.bin']) {
    const whole = await open(file);
    if (whole) return whole;
    const index = await jsonOf(folder, `${file}.index.json`);
    if (index) return openShards(index, index.object('weight_map'), folder.name, open);
  }
  const other = (await folder.list()).find((f) => /\.(bin|pt|pth|ckpt|safetensors)$/.test(f));
  const found = `it has a config.json but no model.safetensors and no pytorch_model.bin${other ? `; name the file itself (${other})` : ''}`;
  throw new EspalierError([diagnostic('ESP0506', { path: folder.name, found })]);
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
    // A name with a separator could lead out of the folder, as `..` does: in a page it is the address above.
    if (/[\\/]|^\.{0,2}$/.test(file))
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
  // Shards of one model say the same; where they do not, the first does.
  const metadata = Object.assign({}, ...[...shards.values()].reverse().map((shard) => shard.metadata));
  return { name, tensors, metadata };
}
