/**
 * The spec that a folder amounts to: of a checkpoint its backbone and its head; of an adapter folder of `peft` the base that it is for, what it adapts and
 * what was trained beside that. What fits is found by trying: each candidate is analysed as a spec, and its tensors are looked for in the files.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import { type Fitting, fitting } from '../../dsl/fitting.js';
import { format } from '../../dsl/format.js';
import { parse } from '../../dsl/parse.js';
import { namesOfModel } from '../../formats/adapters/sites.js';
import { chooseLayout, type OpenCheckpoint } from '../../formats/checkpoint.js';
import { looksLike } from '../../formats/lookalike.js';
import { withoutPrefixes } from '../../formats/prefixes.js';
import { storedShape } from '../../formats/spellings.js';
import type { TensorStore } from '../../formats/tensors/store.js';
import { sameShape } from '../../ir/ops/shapes.js';
import { analyse, type SpecOptions } from '../analyse.js';
import { graftLines } from './grafts.js';

/** What a spec is made of. */
export interface FolderRequest {
  /** What the spec names its files as, and what they are. */
  readonly base: { readonly location: string; readonly opened: OpenCheckpoint };
  /** An adapter folder, if that is what the spec is for. */
  readonly adapter?: { readonly location: string; readonly opened: OpenCheckpoint };
  /** `my-lora`: what the model is called after. */
  readonly name: string;
  /** Where the spec is, or would be: what locations are relative to. */
  readonly path: string;
}

/**
 * The text of the spec, formatted.
 * @throws EspalierError ESP1295 with what stands in the way
 */
export async function specText(request: FolderRequest, options: Pick<SpecOptions, 'host'>): Promise<string> {
  const { base, adapter, path } = request;
  const known = fitting();
  const model = modelName(request.name);
  const textOf = (lines: readonly string[], notes: readonly string[] = []): string =>
    `use std\n\n${notes.map((n) => `// ${n}\n`).join('')}model ${model} {\n${lines.join('\n')}\n}\n\ndeploy ${model} {\n  batch = [1]\n}\n`;
  const tried = async (lines: readonly string[]) => analyse({ text: textOf(lines), path }, options);
  const sizes = sizesOf(base.opened);
  const calls = (variant: string) => [`${variant}()`, ...sizes.map((n) => `${variant}(image: ${n})`)];

  const wrong: Diagnostic[] = [];
  const candidates = (await variantsFor(base.opened, known, tried)).flatMap((variant) =>
    calls(variant).map((call) => ({ variant, bind: `base = ${call} from ${JSON.stringify(base.location)}` })),
  );
  for (const { variant, bind } of candidates) {
    const { value, diagnostics } = await tried([bind]);
    const bare = value?.elaborated;
    if (!bare) {
      wrong.push(...diagnostics.filter((d) => d.severity === 'error'));
      continue;
    }
    if (!holds(bare, 'base', base.opened.store, base.opened.store)) continue;
    const unwrapped = adapter && { ...adapter, opened: onModel(bare, adapter.opened) };
    const head = await headFor(variant, { base, adapter: unwrapped }, known, (lines) => tried([bind, ...lines]));
    const lines = [bind, ...(head ? [head.line] : [])];
    const whole = head?.elaborated ?? bare;
    if (unwrapped) {
      const grafts = graftLines(whole, unwrapped, known);
      if (grafts.length === 0) throw noneOf(unwrapped.opened, base.opened);
      lines.push(...grafts);
    }
    return format(parse(path, textOf(lines, notesOf(whole))).file);
  }
  const { name } = (adapter ?? base).opened;
  const kind = base.opened.facts.config && known.kind(base.opened.facts.config);
  const of = kind ? `, which is of the ${kind.field} ${JSON.stringify(kind.value)}` : '';
  const what = `no variant of the library reads ${base.opened.name} as its checkpoint${of}`;
  const first = wrong[0];
  throw new EspalierError([
    diagnostic('ESP1295', { folder: name, why: first ? `${what}: ${first.message}` : what }),
    ...wrong.filter((d) => d.code !== 'ESP0508').map(({ primary: _, ...d }) => d),
  ]);
}

/** An adapter folder with its modules called as the model calls them, where a wrapper stands in front of their names. */
function onModel({ root, sources }: Elaborated, opened: OpenCheckpoint): OpenCheckpoint {
  const names = namesOfModel(root, sources);
  return withoutPrefixes(opened, [], () => names).checkpoint;
}

/** A spec without a statement for the folder would be the base alone. */
function noneOf({ name, store, peft }: OpenCheckpoint, base: OpenCheckpoint): EspalierError {
  const modules = [...(peft?.pairs.keys() ?? store.tensors.keys())];
  const some = modules.slice(0, 3).join(', ') + (modules.length > 3 ? ` and ${modules.length - 3} more` : '');
  return new EspalierError([
    diagnostic('ESP1295', { folder: name, why: `none of the modules that it adapts is one of ${base.name}: ${some}` }),
  ]);
}

/** `MyLora` of `my-lora`. */
function modelName(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+/).filter((w) => w !== '');
  const joined = words.map((w) => w[0]!.toUpperCase() + w.slice(1)).join('');
  return /^[A-Za-z]/.test(joined) ? joined : `Model${joined}`;
}

/** Sides of square pictures that the preprocessing beside a checkpoint makes, which need not be those of its table of positions. */
function sizesOf({ facts }: OpenCheckpoint): number[] {
  const json = facts.processor?.json ?? {};
  const sides = [json.crop_size, json.size].flatMap((size) =>
    typeof size === 'object' && size !== null ? Object.values(size) : [size],
  );
  return [...new Set(sides)].filter((n): n is number => Number.isSafeInteger(n) && (n as number) > 0);
}

/** By the configuration beside the weights; of a bare file by its tensors. */
async function variantsFor(
  { facts, store, name }: OpenCheckpoint,
  known: Fitting,
  tried: (lines: readonly string[]) => ReturnType<typeof analyse>,
): Promise<string[]> {
  if (facts.config) return known.variants(facts.config);
  // What of the library can be told apart is asked for by way of a spec that says nothing wrong.
  const { value } = await tried(['x = 1']);
  const all = value?.known({ store }) ?? [];
  const found = looksLike(store, all);
  if (found.length === 0)
    throw new EspalierError([
      diagnostic('ESP1295', {
        folder: name,
        why: 'it has no config.json, and its tensors are those of no variant of the library',
      }),
    ]);
  return found;
}

/** Whether all parameters of a part of a model are in one of two files, in their shapes. */
function holds(e: Elaborated, part: string, layoutOf: TensorStore, ...stores: readonly TensorStore[]): boolean {
  const source = e.sources.find((s) => s.kind === 'backbone');
  if (!source) return false;
  const { names } = chooseLayout(source, layoutOf);
  const wanted = [...e.module.params.values()].filter((p) => p.name.startsWith(`${part}.`) && !p.data);
  return wanted.every((p) => {
    const places = names.filter((n) => n.param === p.name);
    const found = places.filter(({ tensor, ...n }) => {
      const entry = stores.map((s) => s.tensors.get(tensor)).find((t) => t !== undefined);
      return entry !== undefined && sameShape(entry.shape, storedShape({ tensor, ...n }, p.type));
    });
    return places.length > 0 && found.length === places.length;
  });
}

/** The head that is in the files: that of the adapter folder, if it has one, else the base's. */
async function headFor(
  variant: string,
  { base, adapter }: { readonly base: FolderRequest['base']; readonly adapter: FolderRequest['adapter'] | undefined },
  known: Fitting,
  tried: (lines: readonly string[]) => ReturnType<typeof analyse>,
): Promise<{ readonly line: string; readonly elaborated: Elaborated } | undefined> {
  const { store } = base.opened;
  const saved: TensorStore | undefined = adapter && {
    ...adapter.opened.store,
    tensors: adapter.opened.peft?.saved ?? new Map(),
  };
  for (const from of saved ? [saved, store] : [store]) {
    const rows = new Map([...from.tensors].map(([name, { shape }]) => [name, shape[0] ?? 1]));
    const head = known.heads(variant, rows);
    for (const value of head?.values ?? []) {
      const line = `${head!.name} = ${value}`;
      const { elaborated } = (await tried([line])).value ?? {};
      // The base's own classifier may be of another size than the one that was trained beside the adapter.
      if (elaborated && holds(elaborated, head!.name, store, from)) return { line, elaborated };
    }
  }
  return undefined;
}

/** What comes with the files and is not written into the spec. */
function notesOf({ preprocess = [], labels }: Elaborated): string[] {
  const steps = preprocess.map(({ step, ...options }) => {
    const given = Object.entries(options).map(([k, v]) => `${k}: ${Array.isArray(v) ? `[${v.join(', ')}]` : v}`);
    return `${step}(${given.join(', ')})`;
  });
  return [
    ...(steps.length > 0 ? [`Pictures, as the base's files say: ${steps.join(', ')}.`] : []),
    ...(labels ? [`Classes, as its files say: ${listed(labels)}.`] : []),
  ];
}

function listed(labels: readonly string[]): string {
  const shown = labels.slice(0, 5).map((l) => l.replace(/\s+/g, ' '));
  return labels.length > 5 ? `${shown.join(', ')} and ${labels.length - 5} more` : shown.join(', ');
}
