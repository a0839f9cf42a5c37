/** `espalier import`: an ONNX file as a spec and its weights, for people to go on with. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PreprocessStep } from '../../../runtime/program/program.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { described } from '../../formats/onnx/facts.js';
import { storeTensor } from '../../formats/tensors/elements.js';
import { safetensorsFront } from '../../formats/tensors/safetensors.js';
import { backboneName, type Imported, type ImportOptions, importedStore, importOnnx } from '../../onnx/import/index.js';
import type { Host } from '../host.js';
import { nodeHost } from './host.js';

export interface ImportModelOptions extends Partial<ImportOptions> {
  readonly host?: Host;
}

/** A spec, and the weights that it names. */
export interface ImportedModel extends Imported {
  readonly name: string;
  /** The `.peft` text: the backbone, and a model that has it as `base`. */
  readonly spec: string;
  /** The bytes of `NAME.safetensors`, piece by piece. */
  weights(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** What the model's backbone is bound to. */
const BASE = 'base';

/**
 * Imports an ONNX file. A spec that says `onnx() from` this file compiles to the same program as the one that this gives.
 * @throws EspalierError ESP1201 to ESP1206 (the file), ESP1230 to ESP1234 (the graph)
 */
export async function importModel(path: string, options: ImportModelOptions = {}): Promise<ImportedModel> {
  const { host = nodeHost(), name = backboneName(path) } = options;
  const checkpoint = await host.openCheckpoint(path);
  const { onnx } = checkpoint;
  try {
    if (!onnx) throw new EspalierError([diagnostic('ESP1234', { file: path, why: 'is no ONNX file' })]);
    const imported = importOnnx(onnx, { ...options, name });
    const model = name.replace(/(?:^|_+)([a-z0-9])/gi, (_, c: string) => c.toUpperCase());
    const { steps } = described(onnx);
    const pictures = `${name}_pictures`;
    const variant = steps?.length
      ? `variant ${pictures} = ${name}() {\n  preprocess = ${steps.map(spelled).join(',\n    ')}\n}\n\n`
      : '';
    const { tensors } = importedStore(onnx, imported.params, `${BASE}.`);
    return {
      ...imported,
      name,
      spec: `${imported.source}\n${variant}model ${model} {\n  ${BASE} = ${variant ? pictures : name}() from "./${name}.safetensors"\n}\n`,
      async *weights() {
        // In the order in which a safetensors file has them: by size of elements, then by name.
        const wide = (t: { readonly dtype: string }) => (t.dtype === 'BOOL' ? 1 : 4);
        const ordered = [...tensors].sort(([a, x], [b, y]) => wide(y) - wide(x) || (a < b ? -1 : a > b ? 1 : 0));
        yield* safetensorsFront(new Map(ordered), {});
        for (const [, entry] of ordered) yield storeTensor(await entry.read()).data;
      },
      close: () => checkpoint.close(),
    };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

/**
 * Writes the spec and its weights into a folder, each whole or not at all; the weights first, so that a spec has its weights.
 * @throws EspalierError ESP0916 where a spec of that name is there, ESP0913 where it cannot be written
 */
export async function writeImported(model: ImportedModel, folder: string): Promise<{ spec: string; weights: string }> {
  const spec = join(folder, `${model.name}.peft`);
  const weights = join(folder, `${model.name}.safetensors`);
  for (const path of [spec, weights]) {
    if (existsSync(path)) throw new EspalierError([diagnostic('ESP0916', { path })]);
  }
  await writeFileAtomic(weights, model.weights());
  await writeFileAtomic(spec, model.spec);
  return { spec, weights };
}

/** A step as a variant says it. */
function spelled(step: PreprocessStep): string {
  const list = (numbers: readonly number[]): string =>
    `[${numbers.map((x) => String(x).replace('e+', 'e')).join(', ')}]`;
  switch (step.step) {
    case 'colour':
      return `colour(${step.rule})`;
    case 'resize': {
      const { size, filter } = step;
      const sides =
        typeof size === 'number' ? String(size) : 'longest' in size ? `longest: ${size.longest}` : list(size);
      return `resize(${sides}, filter: ${filter})`;
    }
    case 'crop':
      return `crop(${list(step.size)}${step.rounding === 'even' ? ', rounding: even' : ''})`;
    case 'pad':
      return `pad(${list(step.size)})`;
    case 'normalize':
      return `normalize(mean: ${list(step.mean)}, std: ${list(step.std)})`;
    case 'grayscale':
      return 'grayscale';
  }
}
