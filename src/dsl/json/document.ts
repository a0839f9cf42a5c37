/**
 * A spec as JSON: what its documents look like, as types. They are those of `defineModel`; the schema (`schema.ts`) says the same of files.
 *
 *     {
 *       "use": ["std"],
 *       "model": {
 *         "name": "Digits",
 *         "options": { "rank": { "type": "int", "default": 4 } },
 *         "body": [
 *           { "name": "base", "value": { "vit_auto": [] }, "from": "./vit-fashion" },
 *           { "name": "head", "value": { "classify": { "$args": ["base"], "pool": "cls" } } },
 *           { "adapt": ["base.blocks[*].attn.qkv"], "with": { "karst": { "kernels": 2, "rank": "rank" } } },
 *           { "tune": ["head"] }
 *         ]
 *       },
 *       "train": { "data": { "images": ["./digits"] }, "optimizer": { "adamw": { "lr": 1e-3 } }, "schedule": { "cosine": { "epochs": 20 } } },
 *       "deploy": { "adapters": "merged", "batch": [1, 8] }
 *     }
 *
 * **Sections.** An object has `use`, `code`, `model`, `train` and `deploy`, in this order; a file with more than one model, or in another order, is
 * a list of such objects. `use` names the library (`std`, `std.vit`) or files. `code` is declarations that are code (adapters, backbones, criteria,
 * functions, optimizers, variants) as they stand in a `.peft` file, a line an item. `train` and `deploy` are of the model beside them, or of the one that
 * their `model` names.
 *
 * **Expressions.** Numbers, `true`, `false` and lists are what they are, `none` is `null`, and a number keeps its spelling (`1e-3`). A call is an object with one
 * key, what is called: a list is arguments by their order, an object arguments by name, beside which `$args` has those that come first. Any
 * other string is an expression as it stands in a `.peft` file, so words need nothing (`"cls"`, `"50%"`, `"2:4"`, `"4 * rank"`); a string of the
 * language is `{ "$string": "a b" }`. Where the table of settings asks for a string (the path of `images`, the folder of `auto`), a string is that string, and
 * an expression is `{ "$expr": "..." }`, which may stand anywhere. Options of what searches for pruning rates (`by`) are of the same table.
 *
 * **Statements** are told apart by their first key: `name` (`base = ... from ...`), `in`, `adapt`, `prune`, `tune`, `ignore`, `if`, `for`. Selectors are strings.
 *
 * **Without loss.** `.peft` to JSON and back gives the same syntax tree, and the text that the formatter gives for it. Comments of `code` stay; those of the other
 * sections have no place in JSON, are left out, and `espalier fmt --to json` says how many. A block that says one setting twice, which no checker takes, is
 * refused (ESP1309).
 *
 * **Reading** (`read.ts`) makes the tree itself, with places in the JSON file; texts in it go through the parser of the language, and their places are
 * moved. So every message about a spec points into the file that it was written in. **Writing** is `write.ts`.
 */
import { lookup } from '../lookup.js';
import type { BY, Check, FEATURE, Forms, NEEDED, Setting } from '../settings.js';
import { SETTINGS } from '../settings.js';

/** An expression as it stands in a `.peft` file, where a string would be taken for a string of the language. */
export interface TextDocument {
  readonly $expr: string;
}
/** A string of the language. */
export interface StringDocument {
  readonly $string: string;
}
export type ExpressionDocument =
  | number
  | boolean
  | null
  | string
  | TextDocument
  | StringDocument
  | CallDocument
  | readonly ExpressionDocument[];
/** By order, or by name, beside which `$args` has those that come first. */
export type ArgumentsDocument =
  | readonly ExpressionDocument[]
  | { readonly [name: string]: ExpressionDocument | readonly ExpressionDocument[] };
/** One key: what is called. */
export interface CallDocument {
  readonly [callee: string]: ArgumentsDocument;
}

type Many<T> = T | readonly T[];
type Percent = `${number}%`;

/** The statements by their first key, and what each may have besides. */
interface Statements {
  readonly name: { readonly name: string; readonly value: ExpressionDocument; readonly from?: string };
  readonly in: { readonly in: string; readonly body: readonly StatementDocument[] };
  readonly adapt: { readonly adapt: Many<string>; readonly with: CallDocument | string; readonly from?: string };
  readonly prune: {
    readonly prune: Many<string>;
    readonly with: CallDocument | string;
    /** What searches for how much: its options are of the table of settings, and `feature` is a site. */
    readonly by?: SearchDocument;
    readonly from?: string;
  };
  readonly tune: { readonly tune: Many<string>; readonly from?: string };
  /** Names of tensors, in which `*` stands for anything. */
  readonly ignore: { readonly ignore: Many<string> };
  readonly if: {
    readonly if: ExpressionDocument;
    readonly then: readonly StatementDocument[];
    readonly else?: readonly StatementDocument[];
  };
  /** `for i < n`: the name `i`, below the limit `n`. */
  readonly for: {
    readonly for: string;
    readonly below: ExpressionDocument;
    readonly body: readonly StatementDocument[];
  };
}

/** Every key that a statement of some kind has. */
type StatementKey = { readonly [K in keyof Statements]: keyof Statements[K] }[keyof Statements];

/** A statement is of one kind: it has no key of another. */
export type StatementDocument = {
  readonly [K in keyof Statements]: Statements[K] & {
    readonly [P in Exclude<StatementKey, keyof Statements[K]>]?: never;
  };
}[keyof Statements];

export interface OptionDocument {
  /** As in a `.peft` file: `int`, `none | scalar`. */
  readonly type: string;
  readonly default?: ExpressionDocument;
}

export interface ModelDocument {
  readonly name: string;
  readonly options?: Readonly<Record<string, OptionDocument>>;
  readonly body: readonly StatementDocument[];
}

/** A value that the table of settings asks for. */
type ValueDocument<C extends Check> =
  | TextDocument
  | (C extends readonly string[]
      ? C[number]
      : C extends 'string'
        ? string
        : C extends 'bool'
          ? boolean
          : C extends 'pair'
            ? readonly [number | Percent, number | Percent]
            : C extends 'shares'
              ? readonly [number | Percent, ...(number | Percent)[]]
              : number | Percent);

/** A call of one of the forms: one key. `N` are options that have to be given, `X` what is given by its name alone. */
type FormCall<F extends Forms, N extends string = never, X = unknown> = {
  readonly [K in Exclude<keyof F, 'none'>]: { readonly [P in K]: FormArguments<F[K], N & keyof F[K], X> } & {
    readonly [P in Exclude<keyof F, K>]?: never;
  };
}[Exclude<keyof F, 'none'>];

/** Forms that need no option: their names alone are calls. */
type Bare<F extends Forms, N extends string> = {
  readonly [K in keyof F]: [N & keyof F[K]] extends [never] ? K : never;
}[keyof F];

/** A call of one of the forms, or the name of one. */
type FormDocument<F extends Forms, N extends string = never> = (Bare<F, N> & string) | TextDocument | FormCall<F, N>;

type Named<O extends Forms[string]> = { readonly [P in keyof O]?: ValueDocument<O[P]> };
/** Arguments by their order. What needs an option has it first. */
type Placed<O extends Forms[string]> = readonly ValueDocument<O[keyof O]>[];
type PlacedSome<O extends Forms[string]> = readonly [ValueDocument<O[keyof O]>, ...Placed<O>];

type FormArguments<O extends Forms[string], N extends keyof O, X> = [N] extends [never]
  ? Placed<O> | (Named<O> & X & { readonly $args?: Placed<O> })
  :
      | PlacedSome<O>
      | (Named<O> & X & { readonly $args: PlacedSome<O> })
      | (Named<O> & X & { readonly [P in N]: ValueDocument<O[P]> } & { readonly $args?: Placed<O> });

/** What searches for how much is pruned, with its options; or any call as a text. */
type SearchDocument =
  | TextDocument
  | FormCall<typeof BY, (typeof NEEDED)['by'][number], { readonly [P in typeof FEATURE]?: string | TextDocument }>;

/** Options of a setting that have to be given. */
type NeededOf<K> = K extends keyof typeof NEEDED ? (typeof NEEDED)[K][number] : never;

type SettingDocument<S extends Setting, K> = S extends { readonly is: 'value'; readonly check: infer C extends Check }
  ? ValueDocument<C>
  : S extends { readonly is: 'word'; readonly words: infer W extends readonly string[] }
    ? W[number] | TextDocument
    : S extends { readonly is: 'form'; readonly forms: infer F extends Forms }
      ? FormDocument<F, NeededOf<K>>
      : S extends { readonly is: 'forms'; readonly forms: infer F extends Forms }
        ? Many<FormDocument<F, NeededOf<K>>>
        : S extends { readonly is: 'sizes' }
          ? number | readonly [number, ...number[]] | TextDocument
          : S extends { readonly is: 'call' }
            ? CallDocument | string | TextDocument
            : S extends { readonly is: 'groups' }
              ? Many<CallDocument | TextDocument>
              : ExpressionDocument;

/** The settings of a block, by name; `model` where it is of another model than the one beside it. */
type BlockDocument<B extends Readonly<Record<string, Setting>>> = {
  readonly [K in keyof B]?: SettingDocument<B[K], K>;
} & { readonly model?: string };

export type TrainDocument = BlockDocument<(typeof SETTINGS)['train']>;
export type DeployDocument = BlockDocument<(typeof SETTINGS)['deploy']>;

export interface SectionDocument {
  /** Where an editor finds the schema; nothing else reads it. */
  readonly $schema?: string;
  /** `std`, `std.vit`, or the path of a file; `{ "file": "std" }` for a file of such a name. */
  readonly use?: Many<string | { readonly file: string }>;
  /** Lines of a `.peft` file. */
  readonly code?: Many<string>;
  readonly model?: ModelDocument;
  readonly train?: TrainDocument;
  readonly deploy?: DeployDocument;
}

/** A spec. */
export type SpecDocument = Many<SectionDocument>;

// ---- What reading, writing and the schema agree on ----------------------------------------------------------------

/** Whether a spec is JSON: by its name, or by how it begins, as no `.peft` file does. */
export const isJsonSpec = (path: string, text: string): boolean =>
  /\.json$/i.test(path) || /^\ufeff?\s*[{[]/.test(text);

/** In this order; a file in another one is a list of sections. */
export const SECTIONS = ['use', 'code', 'model', 'train', 'deploy'] as const;

/** The statements by their first key, and what each has beside it. */
export const STATEMENTS = {
  name: { needs: ['value'], may: ['from'] },
  in: { needs: ['body'], may: [] },
  adapt: { needs: ['with'], may: ['from'] },
  prune: { needs: ['with'], may: ['by', 'from'] },
  tune: { needs: [], may: ['from'] },
  ignore: { needs: [], may: [] },
  if: { needs: ['then'], may: ['else'] },
  for: { needs: ['below', 'body'], may: [] },
} as const satisfies Readonly<Record<string, { readonly needs: readonly string[]; readonly may: readonly string[] }>>;

/** What a name is. */
export const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What `use` takes for the library rather than a file. */
export const LIBRARY = /^std(\.[A-Za-z_][A-Za-z0-9_]*)*$/;
/** Numbers as JSON spells them, those of the language among them. */
export const JSON_NUMBER = /^(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?$/;

/** What an argument of a form has to be, by its name or its place. */
export function checkOf(options: Forms[string] | undefined, at: string | number): Check | undefined {
  if (!options) return undefined;
  if (typeof at === 'number') return Object.values(options)[at];
  return lookup(options, at);
}

/** The entry of the table of settings; undefined for a name that it does not have. */
export const settingOf = (block: keyof typeof SETTINGS, name: string): Setting | undefined =>
  lookup<Setting>(SETTINGS[block], name);
