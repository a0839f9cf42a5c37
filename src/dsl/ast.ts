/**
 * The syntax tree of a `.peft` file, as it was written: nothing here is resolved. Every node has the span it was read from.
 * The printer (`format.ts`) is its inverse up to layout.
 */

import type { Span } from '../diagnostics/types.js';

export type { Span };

export interface Ident {
  readonly name: string;
  readonly span: Span;
}

interface NodeBase {
  readonly span: Span;
}

// ---- Expressions -------------------------------------------------------------------------------------------------

export type Expr =
  | NumberLit
  | StringLit
  | BoolLit
  | NoneLit
  | RatioLit
  | NameExpr
  | MemberExpr
  | IndexExpr
  | CallExpr
  | UnaryExpr
  | BinaryExpr
  | ArrowExpr
  | IfExpr
  | RepeatExpr
  | ParamExpr
  | StateExpr
  | ListExpr
  | RecordExpr
  | BlockExpr;

/** `4`, `1e-3`, `50%` (value 0.5), `5 epochs` (unit "epochs"). */
export interface NumberLit extends NodeBase {
  readonly kind: 'number';
  readonly value: number;
  /** Written without point, exponent or percent sign. */
  readonly integer: boolean;
  readonly percent: boolean;
  readonly unit?: string;
}
export interface StringLit extends NodeBase {
  readonly kind: 'string';
  readonly value: string;
}
export interface BoolLit extends NodeBase {
  readonly kind: 'bool';
  readonly value: boolean;
}
export interface NoneLit extends NodeBase {
  readonly kind: 'none';
}
/** `2:4` */
export interface RatioLit extends NodeBase {
  readonly kind: 'ratio';
  readonly left: number;
  readonly right: number;
}
export interface NameExpr extends NodeBase {
  readonly kind: 'name';
  readonly name: string;
}
export interface MemberExpr extends NodeBase {
  readonly kind: 'member';
  readonly object: Expr;
  readonly member: Ident;
}
/** `x[:, 0..n, new]`, `blocks[5, 11]` */
export interface IndexExpr extends NodeBase {
  readonly kind: 'index';
  readonly object: Expr;
  readonly indices: readonly IndexItem[];
}
export type IndexItem =
  | { readonly kind: 'at'; readonly value: Expr; readonly span: Span }
  /** `a..b`, half open; either end may be missing; `:` is both missing. */
  | { readonly kind: 'range'; readonly start?: Expr; readonly end?: Expr; readonly span: Span }
  /** `new`: an axis of size 1. */
  | { readonly kind: 'new'; readonly span: Span };

/** `f(a, b, axis: 0)`; with generators: `sum(i < n: expr)`, `table(i < n, j < m: expr)`, `concat(p < n: expr, axis: 0)`. */
export interface CallExpr extends NodeBase {
  readonly kind: 'call';
  readonly callee: Expr;
  /** Non-empty when the call is a comprehension; then `args[0]` is its body. */
  readonly generators: readonly Generator[];
  readonly args: readonly Arg[];
}
export interface Generator {
  readonly name: Ident;
  readonly limit: Expr;
  readonly span: Span;
}
export interface Arg {
  readonly name?: Ident;
  readonly value: Expr;
  readonly span: Span;
}
export interface UnaryExpr extends NodeBase {
  readonly kind: 'unary';
  readonly op: '-' | 'not';
  readonly operand: Expr;
}
export type BinaryOp = '+' | '-' | '*' | '/' | '%' | '@' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or';
export interface BinaryExpr extends NodeBase {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly left: Expr;
  readonly right: Expr;
}
/** `dim -> 4 * dim`, `dim -> {q: dim, k: dim, v: dim}`: the in and out sizes of a layer. */
export interface ArrowExpr extends NodeBase {
  readonly kind: 'arrow';
  readonly from: Expr;
  readonly to: Expr;
}
/** `if c { a } else { b }`; the condition is compile-time. As an expression, `else` is required. */
export interface IfExpr extends NodeBase {
  readonly kind: 'if';
  readonly condition: Expr;
  readonly then: BlockExpr;
  readonly otherwise?: BlockExpr | IfExpr;
}
/** `repeat i < depth { Block(dim) }`: a list of modules, callable as their composition. */
export interface RepeatExpr extends NodeBase {
  readonly kind: 'repeat';
  readonly generator: Generator;
  readonly body: BlockExpr;
}
/** `shared param [rank, in] kaiming_uniform(sqrt(5))` */
export interface ParamExpr extends NodeBase {
  readonly kind: 'param';
  readonly shared: boolean;
  readonly frozen: boolean;
  /** Its element type, where that is not f32: `param i32[49, 49] zeros`. */
  readonly dtype?: Ident;
  readonly shape: readonly Expr[];
  readonly init: Expr;
}
/** `state zeros`: what an optimiser keeps for each weight, of the weight's shape, and how it starts. */
export interface StateExpr extends NodeBase {
  readonly kind: 'state';
  readonly init: Expr;
}
export interface ListExpr extends NodeBase {
  readonly kind: 'list';
  readonly items: readonly Expr[];
}
/** `{q: dim, k: dim}` */
export interface RecordExpr extends NodeBase {
  readonly kind: 'record';
  readonly fields: readonly { readonly name: Ident; readonly value: Expr }[];
}
/** `{ y = f(x); y + 1 }`: statements, the last of which may be an expression, which is its value. */
export interface BlockExpr extends NodeBase {
  readonly kind: 'block';
  readonly statements: readonly Stmt[];
}

// ---- Statements --------------------------------------------------------------------------------------------------

/** What may stand in a module's body, a forward, or a block. Which is allowed where is checked after parsing. */
export type Stmt = BindStmt | ExprStmt | IfStmt | ForStmt | SiteStmt | ForwardStmt | ErrorStmt;

/** `q, k, v = expr` */
export interface BindStmt extends NodeBase {
  readonly kind: 'bind';
  readonly names: readonly Ident[];
  readonly value: Expr;
}
export interface ExprStmt extends NodeBase {
  readonly kind: 'expr';
  readonly value: Expr;
}
/** An `if` whose branches hold statements; an `if` in last position is an ExprStmt when it has a value. */
export interface IfStmt extends NodeBase {
  readonly kind: 'if_stmt';
  readonly condition: Expr;
  readonly then: readonly Stmt[];
  readonly otherwise?: readonly Stmt[];
}
/** `for i < n { x = f(x) }`: names bound in the body are bound in the scope around it. */
export interface ForStmt extends NodeBase {
  readonly kind: 'for';
  readonly generator: Generator;
  readonly body: readonly Stmt[];
}
/** `site mlp_branch(x) = mlp(norm2(x))` */
export interface SiteStmt extends NodeBase {
  readonly kind: 'site';
  readonly name: Ident;
  readonly params: readonly TensorParam[];
  readonly value: Expr;
}
export interface ForwardStmt extends NodeBase {
  readonly kind: 'forward';
  readonly params: readonly TensorParam[];
  readonly body: BlockExpr;
}
/** What could not be parsed; recovery left it out. */
export interface ErrorStmt extends NodeBase {
  readonly kind: 'error';
  /** Names that it seems to bind: they are not unknown. */
  readonly names: readonly string[];
}

/** `x: [b, n, dim]`, `ids: i32[b, 77]`; a dimension that is a bare unbound name is bound by the call, others must be equal. */
export interface TensorParam extends NodeBase {
  readonly name: Ident;
  /** The element type that a call has to give; without one a model is given f32, and a call gives any. */
  readonly dtype?: Ident;
  readonly shape?: readonly Expr[];
}

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
