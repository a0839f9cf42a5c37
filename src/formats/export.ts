/** Writing a checkpoint in the layout of the one that the model came from: what `merge` makes. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { sameShape } from '../ir/ops/shapes.js';
import type { Tensor } from '../ir/types.js';
import type { OpenCheckpoint } from './checkpoint.js';
import { type JsonObject, withOtherFields } from './huggingface/json.js';
import { sliceRows, spelled, toStored } from './spellings.js';
import { readAll } from './tensors/bytes.js';
import { storeTensor } from './tensors/elements.js';
import { type StoredTensor, type StoredType, safetensorsPieces, WRITER } from './tensors/safetensors.js';
import { readsAs, type StoreEntry, type TensorStore } from './tensors/store.js';
import type { ExportField, NamedTensor } from './types.js';

export interface ExportOptions {
  /** Parameters of the merged model by our names. */
  readonly params: ReadonlyMap<string, Tensor>;
  readonly layoutName: string;
  readonly layout: readonly NamedTensor[];
  /** Where the model came from: it gives dtypes, names, what is copied, and the files beside the weights. */
  readonly base: OpenCheckpoint;
  /** New class names for `config.json`, and what it then says. */
  readonly labels?: readonly string[];
  readonly fields?: readonly ExportField[];
  /** Stored type of every tensor; default: the base's own for each. */
  readonly dtype?: 'F32' | 'F16' | 'BF16';
  /** Beside what the base's file says in its metadata, and in place of entries of these names. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Is shown every parameter, or part of one, that is written as something else than the base has there. */
  readonly see?: (written: WrittenPart) => void;
}

/** A parameter, or some of its rows, as a tensor of a checkpoint. */
export interface WrittenPart {
  readonly param: string;
  /** The tensor's name in the file. */
  readonly name: string;
  /** Elements in the order of the file, and the same as bytes. */
  readonly value: Tensor;
  readonly stored: StoredTensor;
}

export interface Exported {
  /** `model.safetensors`, and for a folder the configuration files of the base. */
  readonly files: Map<string, string | Uint8Array | Uint8Array[]>;
  /** Tensors of `model.safetensors`. */
  readonly tensors: number;
  /** Those that are not, bit for bit, what the base has under their names. */
  readonly changed: readonly string[];
}

/**
 * The files of the merged checkpoint by name: `model.safetensors`, and for a folder the configuration files of the base. Tensors of the base
 * that the model does not have (a pooler) are copied, and so are the metadata of its file.
 * @throws EspalierError ESP0519 when the layout has no place for a parameter, ESP0919 when its dtype has none for a value.
 */
export async function exportCheckpoint(options: ExportOptions): Promise<Exported> {
  const { params, layout, base } = options;
  const named = new Set(layout.map((n) => n.param));
  const homeless = [...params].filter(([p]) => !named.has(p)).map(([p, t]) => `${p} [${t.type.shape.join(', ')}]`);
  if (homeless.length > 0)
    throw new EspalierError([diagnostic('ESP0519', { layout: options.layoutName, params: homeless })]);

  const tensors = new Map<string, StoredTensor>();
  const changed: string[] = [];
  for (const place of spelled(layout, base.store)) {
    const value = params.get(place.param);
    if (!value) continue;
    const part = writtenPart(place, value, options);
    tensors.set(part.name, part.stored);
    const entry = base.store.tensors.get(place.tensor);
    if (entry && (await isStored(entry, part.stored))) continue;
    changed.push(part.name);
    options.see?.(part);
  }
  for (const [name, entry] of base.store.tensors) {
    const original = entry.original ?? name;
    if (tensors.has(original)) continue;
    if (entry.bytes && (options.dtype === undefined || readsAs(entry) !== 'f32')) {
      tensors.set(original, { dtype: entry.dtype, shape: entry.shape, data: await entry.bytes() });
    } else tensors.set(original, storeTensor(await entry.read(), options.dtype));
  }
  const files = new Map<string, string | Uint8Array | Uint8Array[]>();
  const metadata = { ...base.store.metadata, ...options.metadata, format: 'pt', writer: WRITER };
  files.set('model.safetensors', safetensorsPieces(tensors, metadata));
  if (base.kind === 'huggingface' && base.folder) await copyConfigs(base.folder, options, files);
  return { files, tensors: tensors.size, changed };
}

/** A parameter at one of its places. @throws EspalierError ESP0919 when the type there cannot hold a value */
export function writtenPart(
  place: NamedTensor,
  value: Tensor,
  { base, dtype: asked }: Pick<ExportOptions, 'base' | 'dtype'>,
): WrittenPart {
  const entry = base.store.tensors.get(place.tensor);
  const dtype = asked ?? floatType(entry?.dtype);
  const part = partAt(place, value);
  refuseOverflow(place.param, part, dtype);
  return { param: place.param, name: entry?.original ?? place.tensor, value: part, stored: storeTensor(part, dtype) };
}

/** A parameter, or its rows, with its elements as the checkpoint orders them. */
export const partAt = (place: NamedTensor, value: Tensor): Tensor =>
  toStored(place, place.rows ? sliceRows(value, place.rows) : value);

/** Whether a tensor is in a file already as it would be written. */
async function isStored(entry: StoreEntry, { dtype, shape, data }: StoredTensor): Promise<boolean> {
  if (entry.dtype !== dtype || !sameShape(entry.shape, shape)) return false;
  const before = (await entry.bytes?.()) ?? storeTensor(await entry.read(), dtype).data;
  if (before.length !== data.length) return false;
  for (let i = 0; i < before.length; i++) if (before[i] !== data[i]) return false;
  return true;
}

/** Whether a checkpoint or adapter file was written here, so that a new one may take its place. */
export function isExported(store: TensorStore): boolean {
  return store.metadata.writer === WRITER;
}

/** The stored type for a float that was stored so before. */
function floatType(dtype: StoredType | undefined): StoredType {
  return dtype === 'F16' || dtype === 'BF16' || dtype === 'F64' ? dtype : 'F32';
}

/** A value that f32 holds and the stored type does not would be written as infinity. */
function refuseOverflow(name: string, { data }: Tensor, dtype: StoredType): void {
  const largest = { F16: 65519.99, BF16: 3.3961775e38 }[dtype as string];
  if (largest === undefined) return;
  for (let i = 0; i < data.length; i++) {
    if (Math.abs(data[i]!) <= largest) continue;
    throw new EspalierError([diagnostic('ESP0919', { name, value: `${data[i]}, which ${dtype} cannot hold,` })]);
  }
}

async function copyConfigs(
  folder: NonNullable<OpenCheckpoint['folder']>,
  { labels, fields = [] }: ExportOptions,
  files: Map<string, string | Uint8Array | Uint8Array[]>,
): Promise<void> {
  for (const name of ['config.json', 'preprocessor_config.json']) {
    const source = await folder.open(name);
    if (!source) continue;
    try {
      if (name === 'config.json' && labels) {
        files.set(name, await withOtherFields(source, (config) => withFields(config, labels, fields)));
      } else files.set(name, await readAll(source));
    } finally {
      await source.close?.();
    }
  }
}

/** A configuration with other classes: the fields that say so are set, the others stay. */
function withFields(config: JsonObject, labels: readonly string[], fields: readonly ExportField[]): JsonObject {
  const classes = {
    names: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    places: Object.fromEntries(labels.map((label, i) => [label, i])),
    list: labels,
    count: labels.length,
  };
  const out: Record<string, unknown> = { ...config };
  for (const { field, value, classes: form } of fields) {
    const written = form ? classes[form] : value;
    if (written === undefined) delete out[field];
    else out[field] = written;
  }
  return out;
}
