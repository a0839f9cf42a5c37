/** A spec as an object of a program. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { SpecDocument } from './document.js';
import { type Json, printJson } from './print.js';
import { readJson } from './read.js';

/** A spec as JSON text, with the path that locations in it are relative to: what `compile`, `train` and the like take. */
export interface DefinedSpec {
  readonly text: string;
  readonly path: string;
}

/**
 * A spec from an object: the same syntax tree as that of the `.peft` file, or the JSON file, that says the same. Settings are checked by their types, so a
 * wrong name of one does not compile.
 *
 *     const spec = defineModel({
 *       use: 'std',
 *       model: {
 *         name: 'Digits',
 *         body: [
 *           { name: 'base', value: { vit_auto: [] }, from: './vit-fashion' },
 *           { name: 'head', value: { classify: { $args: ['base'], pool: 'cls' } } },
 *           { adapt: 'base.blocks[*].attn.qkv', with: { lora: { rank: 8 } } },
 *           { tune: 'head' },
 *         ],
 *       },
 *       train: {
 *         data: { images: { path: './digits' } },
 *         optimizer: { adamw: { lr: 1e-3 } },
 *         schedule: { cosine: { epochs: 20 } },
 *       },
 *       deploy: { adapters: 'merged', batch: [1, 8] },
 *     });
 *     for await (const event of train(spec, { out: 'run' })) show(event);
 *     await writeCompiled(await compile(spec), 'out');
 *
 * Words of the language are strings (`'cls'`, `'50%'`), strings of the language `{ $string: 'a b' }`; `SpecDocument` has the forms.
 * @param path where the spec would lie: what `from` and `data` say is relative to its folder
 * @throws EspalierError ESP1308, and what a parser says, with places in the spec's JSON text, for what types do not see: an expression that is none, say
 */
export function defineModel(document: SpecDocument, path = 'model.json'): DefinedSpec {
  const text = printJson(jsonOf(document));
  const { diagnostics } = readJson(path, text);
  if (diagnostics.some((d) => d.severity === 'error')) throw new EspalierError(diagnostics);
  return { text, path };
}

/** Plain data as what is printed. @throws EspalierError ESP1308 for what JSON has not */
export function jsonOf(value: unknown, at: readonly string[] = []): Json {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map((item, i) => jsonOf(item, [...at, String(i)]));
  if (typeof value === 'object') {
    const fields = Object.entries(value).filter(([, field]) => field !== undefined);
    return new Map(fields.map(([key, field]) => [key, jsonOf(field, [...at, key])]));
  }
  const what = typeof value === 'number' ? String(value) : `a value of the type ${typeof value}`;
  throw new EspalierError([diagnostic('ESP1308', { problem: `\`${at.join('.')}\` is ${what}, which JSON has not` })]);
}
