/** Which files of a repository are read: of a model its configurations and its weights in one form, of an adapter folder its two. */
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';

/** What a model may have beside its weights. */
export const PROCESSOR = 'preprocessor_config.json';
/** The forms of weights in the order in which a folder's are looked for: one file, or an index and the shards that it names. */
const WEIGHTS = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];
const ADAPTER_WEIGHTS = ['adapter_model.safetensors', 'adapter_model.bin'];

/** Files that are read, of those that there are. */
export interface Needs {
  readonly files: readonly string[];
  /** The index among them that names more, which `shardsOf` reads. */
  readonly index?: string;
}

/**
 * @param names files of the repository's folder, relative to it
 * @returns undefined where there is no model and no adapter, or no weights of one
 */
export function neededOf(names: ReadonlySet<string>): Needs | undefined {
  if (names.has('adapter_config.json')) {
    const weights = ADAPTER_WEIGHTS.find((file) => names.has(file));
    return weights === undefined ? undefined : { files: ['adapter_config.json', weights] };
  }
  const weights = WEIGHTS.find((file) => names.has(file));
  if (!names.has('config.json') || weights === undefined) return undefined;
  const files = ['config.json', ...(names.has(PROCESSOR) ? [PROCESSOR] : []), weights];
  return { files, ...(weights.endsWith('.index.json') ? { index: weights } : {}) };
}

/** The shards that an index names; none where it is not one, which whoever opens it says. */
export function shardsOf(text: string): string[] {
  try {
    const { weight_map: map } = JSON.parse(text) as { readonly weight_map?: unknown };
    const files = Object.values(typeof map === 'object' && map !== null ? map : {});
    // Other names are refused where the index is read.
    return [...new Set(files.filter((f): f is string => typeof f === 'string' && /^[\w.+-]+$/.test(f)))];
  } catch {
    return [];
  }
}

/** What is wrong with a repository that has nothing to read, by the names of its files. */
export function nothingNeeded(path: string, names: ReadonlySet<string>): EspalierError {
  const has = (file: string): boolean => names.has(file);
  const config = has('adapter_config.json') ? 'adapter_config.json' : has('config.json') ? 'config.json' : undefined;
  const other = [...names].find((f) => /\.(safetensors|onnx|bin|pt|pth|ckpt)$/.test(f));
  const name = other === undefined ? '' : `; name the file itself: ${path.replace('@', `/${other}@`)}`;
  const found = config
    ? `it has a ${config}, but no weights by the names that go with it${name}`
    : `it has neither config.json nor adapter_config.json${name}`;
  return new EspalierError([diagnostic('ESP0506', { path, found })]);
}
