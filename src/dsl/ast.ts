/**
 * The syntax tree of a `.peft` file, as it was written: nothing here is resolved. Every node has the span it was read from.
 * Here are declarations and models; expressions and statements are in `expressions.ts`. The printer (`format.ts`) is its inverse up to layout.
 */

import type { Span } from '../diagnostics/types.js';
import type {
  CallExpr,
  ErrorStmt,
  Expr,
  Generator,
  Ident,
  IndexItem,
  NodeBase,
  Stmt,
  StringLit,
  TensorParam,
} from './expressions.js';

export type * from './expressions.js';
export type { Span };

// ---- Declarations ------------------------------------------------------------------------------------------------

export type TypeExpr =
  | { readonly kind: 'type_name'; readonly name: string; readonly span: Span } // int float bool string module tensor none
  | { readonly kind: 'type_list'; readonly item: TypeExpr; readonly span: Span } // [int]
  | { readonly kind: 'type_enum'; readonly options: readonly Ident[]; readonly span: Span } // none | scalar | channel
  | { readonly kind: 'type_union'; readonly items: readonly TypeExpr[]; readonly span: Span }; // int | [string], int | none

export interface OptionParam extends NodeBase {
  readonly name: Ident;
  readonly type: TypeExpr;
  readonly default?: Expr;
}

/** `use std` (std: []), `use std.vit` (std: ["vit"]), `use "./mine.peft"` */
export interface UseDecl extends NodeBase {
  readonly kind: 'use';
  readonly path: { readonly std: readonly string[] } | { readonly file: string };
}
/** module and backbone differ in what may use them, not in form. */
export interface ModuleDecl extends NodeBase {
  readonly kind: 'module' | 'backbone';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly body: readonly Stmt[];
}
/** `adapter lora(rank: int) on base: Linear(in -> out) { ... }` */
export interface AdapterDecl extends NodeBase {
  readonly kind: 'adapter';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly base: Ident;
  readonly target: SitePattern;
  readonly body: readonly Stmt[];
}
export type SitePattern =
  /** `Linear(in -> out)`: a layer of that kind; the names bind its sizes. */
  | { readonly kind: 'layer'; readonly layer: Ident; readonly from: Expr; readonly to: Expr; readonly span: Span }
  /** `(x: [b, n, dim])`: any site that takes such tensors. */
  | { readonly kind: 'call'; readonly params: readonly TensorParam[]; readonly span: Span };

/** `criterion wanda(weight: [out, in], input) = abs(weight) * norm(input, axis: 0)` */
export interface CriterionDecl extends NodeBase {
  readonly kind: 'criterion';
  readonly name: Ident;
  readonly params: readonly TensorParam[];
  readonly value: Expr;
}
/** `function window(size: int, most: int) = min([size, most])`: what it gives depends on its arguments and on nothing else. */
export interface FunctionDecl extends NodeBase {
  readonly kind: 'function';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly value: Expr;
}
/** `optimizer sgd(lr: float, momentum: float = 0) { v = state zeros  forward(weight, gradient, rate, count) { ... } }` */
export interface OptimizerDecl extends NodeBase {
  readonly kind: 'optimizer';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly body: readonly Stmt[];
}
/** `variant vit_base_patch16 = vit(patch: 16) { preprocess = ...  names timm { ... }  config huggingface { ... } }` */
export interface VariantDecl extends NodeBase {
  readonly kind: 'variant';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly value: Expr;
  /** `preprocess = resize(224, bicubic), crop(224), normalize(mean: 0.5, std: 0.5)` */
  readonly preprocess?: readonly Expr[];
  readonly names: readonly NamesBlock[];
  /** At most one `config` of a layout, which adds to those that it inherits; of `processor`s any number. */
  readonly configs: readonly ConfigBlock[];
}

/** `names huggingface { ... }`: where a layout of checkpoints has each tensor. */
export interface NamesBlock extends NodeBase {
  readonly layout: Ident;
  readonly entries: readonly NamesEntry[];
}
export type NamesEntry = NameEntry | PrefixEntry | IgnoreEntry | UnseenEntry | BypassedEntry | HeadEntry;
/** `"encoder.layer.{i}.output.dense" or "layers.{i}.mlp.fc2" = blocks[i].mlp.fc2`: the first spelling is the one that is written. */
export interface NameEntry extends NodeBase {
  readonly kind: 'name';
  /** Written with `optional`: items of a list that do not have it are passed over. */
  readonly optional: boolean;
  readonly patterns: readonly StringLit[];
  readonly path: Expr;
}
/** `prefix "vit."`: names that begin with it may come without it. */
export interface PrefixEntry extends NodeBase {
  readonly kind: 'prefix';
  readonly name: StringLit;
}
/** `ignore "vit.pooler.*", "*.num_batches_tracked"`: tensors that a checkpoint may have and that no model takes; in a model, that this one does not. */
export interface IgnoreEntry extends NodeBase {
  readonly kind: 'ignore';
  readonly patterns: readonly StringLit[];
}

/** `head "classifier" = classify(base, pool: mean)`: what a checkpoint that has this tensor or module has on its backbone; `rows` is how many the tensor has. */
export interface HeadEntry extends NodeBase {
  readonly kind: 'head';
  readonly tensor: StringLit;
  readonly value: Expr;
}

/** `unseen heads, eps`: options of the backbone that no tensor of such a checkpoint shows, where no configuration says them. */
export interface UnseenEntry extends NodeBase {
  readonly kind: 'unseen';
  readonly options: readonly Ident[];
}

/**
 * `bypassed "*.attn.qkv" = "q_bias"`: modules whose weight the network in Python reads itself, where the file has the tensor on the right beside it: what peft
 * puts on such a module is never called.
 */
export interface BypassedEntry extends NodeBase {
  readonly kind: 'bypassed';
  readonly module: StringLit;
  readonly beside: StringLit;
}

/** `config huggingface { ... }`: what the configuration beside the weights says; `processor` of the preprocessing's. */
export interface ConfigBlock extends NodeBase {
  readonly kind: 'config' | 'processor';
  readonly layout: Ident;
  readonly entries: readonly ConfigEntry[];
}
export type ConfigEntry =
  /** `match "model_type" = "vit"`, `several "problem_type" = "multi_label_classification"`, `only "model_args" = "drop_rate"` */
  | {
      readonly kind: 'match' | 'several' | 'only';
      readonly field: Expr;
      readonly values: readonly Expr[];
      readonly span: Span;
    }
  /** `labels "id2label"`, `sizes "architecture"` */
  | { readonly kind: 'labels' | 'sizes'; readonly field: Expr; readonly span: Span }
  /** `"resample" = 2`: what is meant where the file leaves the field out; with `set`, whatever the file says. */
  | { readonly kind: 'default' | 'set'; readonly field: StringLit; readonly value: Expr; readonly span: Span }
  /** `dim = count("hidden_size") or 768`: an option of the backbone; in a `processor`, a name for what follows. */
  | { readonly kind: 'bind'; readonly name: Ident; readonly value: Expr; readonly span: Span };

export interface ModelDecl extends NodeBase {
  readonly kind: 'model';
  readonly name: Ident;
  readonly params: readonly OptionParam[];
  readonly body: readonly ModelStmt[];
}
export type ModelStmt =
  | ModelBind
  | InStmt
  | AdaptStmt
  | PruneStmt
  | TuneStmt
  | IgnoreEntry
  | {
      readonly kind: 'model_if';
      readonly condition: Expr;
      readonly then: readonly ModelStmt[];
      readonly otherwise?: readonly ModelStmt[];
      readonly span: Span;
    }
  /** `for i < size(base.blocks) { adapt base.blocks[i].mlp.fc1 with lora(rank: 4 + i) }` */
  | {
      readonly kind: 'model_for';
      readonly generator: Generator;
      readonly body: readonly ModelStmt[];
      readonly span: Span;
    }
  | ErrorStmt;
/** `base = vit_base_patch16() from "./folder"` */
export interface ModelBind extends NodeBase {
  readonly kind: 'model_bind';
  readonly name: Ident;
  readonly value: Expr;
  readonly from?: StringLit;
}
/** `in base.blocks[*] { ... }` */
export interface InStmt extends NodeBase {
  readonly kind: 'in';
  readonly selector: Selector;
  readonly body: readonly ModelStmt[];
}
/** `adapt attn.qkv, mlp.fc1 with karst(rank: 8) from "./karst.safetensors"` */
export interface AdaptStmt extends NodeBase {
  readonly kind: 'adapt';
  readonly sites: readonly Selector[];
  readonly adapter: CallExpr;
  readonly from?: StringLit;
}
/** `prune mlp.fc1 with magnitude(sparsity: 50%, scope: global, shape: block(16, 16), over: base)`, `... with magnitude() by bisection()` */
export interface PruneStmt extends NodeBase {
  readonly kind: 'prune';
  readonly sites: readonly Selector[];
  readonly method: CallExpr;
  /** What finds out, while the model is trained, how much is pruned. */
  readonly by?: CallExpr;
  /** A mask file found earlier. */
  readonly from?: StringLit;
}
/** `tune head from "./head.safetensors"`, `tune base.cls_token, base.**.bias`: modules, layers and single parameters */
export interface TuneStmt extends NodeBase {
  readonly kind: 'tune';
  readonly sites: readonly Selector[];
  readonly from?: StringLit;
}

/** `base.blocks[0..6].{attn.*, mlp.fc1}`, `**.fc1` */
export interface Selector extends NodeBase {
  readonly steps: readonly SelectorStep[];
}
export type SelectorStep =
  | { readonly kind: 'name'; readonly name: string; readonly span: Span }
  /** `*`: any one name. */
  | { readonly kind: 'any'; readonly span: Span }
  /** `**`: any number of names, none included. */
  | { readonly kind: 'deep'; readonly span: Span }
  /** `[*]`, `[3]`, `[0..6]`, `[5, 11]` */
  | { readonly kind: 'index'; readonly items: readonly IndexItem[]; readonly all: boolean; readonly span: Span }
  /** `{attn.*, mlp.fc1}` */
  | { readonly kind: 'oneof'; readonly options: readonly Selector[]; readonly span: Span };

/** `train Flowers { optimizer = adamw(lr: 1e-3) }`, `deploy Flowers { batch = [1, 8] }` */
export interface SettingsDecl extends NodeBase {
  readonly kind: 'train' | 'deploy';
  readonly model: Ident;
  readonly settings: readonly { readonly name: Ident; readonly value: Expr; readonly span: Span }[];
}

export type Decl =
  | UseDecl
  | ModuleDecl
  | AdapterDecl
  | CriterionDecl
  | FunctionDecl
  | OptimizerDecl
  | VariantDecl
  | ModelDecl
  | SettingsDecl;

export interface Comment {
  readonly text: string;
  readonly span: Span;
  /** Nothing but white space stands before it on its line. */
  readonly ownLine: boolean;
}

export interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly decls: readonly Decl[];
  readonly comments: readonly Comment[];
  /** What of it could not be read; messages about that have been given, and others would echo them. */
  readonly damage?: Damage;
}

export interface Damage {
  /** Offsets of the lines that hold an error. */
  readonly lines: readonly (readonly [start: number, end: number])[];
  /** Declarations that were left out. */
  readonly names: readonly string[];
}
