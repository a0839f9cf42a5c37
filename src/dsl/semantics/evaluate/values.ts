/**
 * What a name of a spec can stand for while it is compiled: values, the sites of the module tree, which are values too, and scopes, which
 * bind names to them. A module site holds the scope of its body and a value may be a site, so they are declared together.
 */
import { isBatch } from '../../../ir/batch.js';
import type { About, DType, Elements, Init, ParamRole, TensorType, Value } from '../../../ir/types.js';
import type { AdapterDecl, Decl, Expr, ModuleDecl, SiteStmt, Span } from '../../ast.js';

// ---- Values --------------------------------------------------------------------------------------------------------

export interface Inexact {
  readonly left: number;
  readonly right: number;
  readonly span: Span;
}

/** `inexact` remembers the division that did not work out, for the message where a whole number is needed. */
export interface NumVal {
  readonly kind: 'num';
  readonly value: number;
  readonly whole: boolean;
  readonly percent?: boolean;
  readonly inexact?: Inexact;
}
export interface StrVal {
  readonly kind: 'str';
  readonly value: string;
}
export interface BoolVal {
  readonly kind: 'bool';
  readonly value: boolean;
}
/** A word of a choice (`channel`); `none` is a word too. */
export interface WordVal {
  readonly kind: 'word';
  readonly name: string;
}
export interface RatioVal {
  readonly kind: 'ratio';
  readonly left: number;
  readonly right: number;
}
export interface ListVal {
  readonly kind: 'list';
  readonly items: readonly Val[];
}
export interface RecordVal {
  readonly kind: 'record';
  readonly fields: readonly (readonly [name: string, value: Val])[];
}
export interface ArrowVal {
  readonly kind: 'arrow';
  readonly from: Val;
  readonly to: Val;
}
export interface TensorVal {
  readonly kind: 'tensor';
  readonly value: Value;
}
/** A constant made by `table`; it becomes a parameter of role `constant` when a tensor is needed. */
export interface TableVal {
  readonly kind: 'table';
  readonly shape: readonly number[];
  readonly data: Float64Array;
  readonly dtype: 'f32' | 'i32' | 'bool';
  /** Path it is bound to, if any. */
  readonly name?: string;
}
export interface InitVal {
  readonly kind: 'init';
  readonly init: Init;
}
export interface SiteVal {
  readonly kind: 'site';
  readonly site: Site;
}
/** What an adapter sits on: the site below the adapter numbered `level`. */
export interface BaseVal {
  readonly kind: 'base';
  readonly site: Site;
  readonly level: number;
}
export interface OperatorVal {
  readonly kind: 'operator';
  readonly name: string;
}
export interface DeclVal {
  readonly kind: 'decl';
  readonly decl: Decl;
}
/** A call that names a form, such as block(16, 16) or adamw(lr: 1e-3), with its arguments worked out. */
export interface FormVal {
  readonly kind: 'form';
  readonly name: string;
  readonly positional: readonly Val[];
  readonly named: ReadonlyMap<string, Val>;
  readonly expr: Expr;
}
/** What could not be worked out; using it is silent, since the error has been reported. */
export interface PoisonVal {
  readonly kind: 'poison';
}

export type Val =
  | NumVal
  | StrVal
  | BoolVal
  | WordVal
  | RatioVal
  | ListVal
  | RecordVal
  | ArrowVal
  | TensorVal
  | TableVal
  | InitVal
  | SiteVal
  | BaseVal
  | OperatorVal
  | DeclVal
  | FormVal
  | PoisonVal;

export const POISON: PoisonVal = { kind: 'poison' };
export const NONE: WordVal = { kind: 'word', name: 'none' };
export const num = (value: number, whole = Number.isInteger(value)): NumVal => ({ kind: 'num', value, whole });
export const bool = (value: boolean): BoolVal => ({ kind: 'bool', value });
export const tensorVal = (value: Value): TensorVal => ({ kind: 'tensor', value });
export const isNone = (v: Val): boolean => v.kind === 'word' && v.name === 'none';

/** Whether a number is a multiple of the batch, which is known when the program runs. */
export const isOpen = (v: Val): boolean => v.kind === 'num' && isBatch(v.value);

/** Values that stand for a tensor or can become one. */
export const isTensorLike = (v: Val): v is TensorVal | TableVal => v.kind === 'tensor' || v.kind === 'table';

/** The element type that numbers beside this value take: f32 where there is none. */
export const dtypeOf = (v: TensorVal | TableVal | undefined): DType =>
  v === undefined ? 'f32' : v.kind === 'tensor' ? v.value.type.dtype : v.dtype;

// ---- Sites ---------------------------------------------------------------------------------------------------------

/** A parameter of the model while it is being put together; `role` may still change (`tune`). */
export interface ParamSlot {
  readonly name: string;
  readonly type: TensorType;
  role: ParamRole;
  init?: Init;
  readonly momentum?: number;
  readonly data?: Elements;
  readonly span: Span;
  /** Its one reading in the graph. */
  readonly value: Value;
}

/** What can hold modules and parameters under names. */
export interface Owner {
  /** `base.blocks.0.attn`, or `base.blocks.0.attn.qkv@lora` for an adapter. */
  readonly path: string;
  readonly role: ParamRole;
  /** The id of the adapter that this is, or is a part of; none for the model's own. */
  readonly adapter: string | undefined;
  readonly children: Map<string, Site>;
  readonly params: Map<string, ParamSlot>;
  /** What the sites of one adapting statement share, as an adapter of its own; for adapters alone. */
  readonly shared?: { readonly id: string; readonly site: string };
}

/** Where a module or parameter that is being made will live. */
export interface Spot {
  readonly owner: Owner;
  readonly path: string;
}

export interface MaskInfo {
  readonly slot: ParamSlot;
  readonly over: 'base' | 'sum';
}

interface SiteBase {
  readonly path: string;
  readonly type: string;
  readonly span: Span;
  readonly role: ParamRole;
  /** The id of the adapter that it is a part of; none for the model's own. */
  readonly adapter: string | undefined;
  readonly children: Map<string, Site>;
  readonly params: Map<string, ParamSlot>;
  /** In statement order: the first is innermost. */
  readonly grafts: Graft[];
  /** Set when the site was traced. */
  called: boolean;
}

export interface ModuleSite extends SiteBase {
  readonly kind: 'module';
  readonly decl: ModuleDecl;
  readonly scope: Scope;
  /** Sizes and options for people. */
  readonly detail: string;
}

/** What a layer's operator reads. */
export interface LayerOperands {
  readonly x: Value;
  readonly weight: Value | undefined;
  readonly bias: Value | undefined;
  /** Its parameters other than weight and bias. */
  readonly rest: readonly Value[];
  readonly about: About;
}

/** A built-in layer: an operator with its own parameters. */
export interface LayerSite extends SiteBase {
  readonly kind: 'layer';
  readonly layer: Layer;
  readonly parts: readonly PartSite[];
  mask?: MaskInfo;
}

export interface Layer {
  readonly in: number;
  readonly out: number;
  /** The axis of the result that holds `out`: -1 or 1. */
  readonly axis: number;
  readonly detail: string;
  /** Has a weight that a matrix or a kernel is, so that it can be masked and replaced. */
  readonly weighted: boolean;
  readonly run: (operands: LayerOperands) => Value;
}

/** Some rows of a fused layer. */
export interface PartSite extends SiteBase {
  readonly kind: 'part';
  readonly whole: LayerSite;
  readonly rows: readonly [start: number, end: number];
}

export interface LabelSite extends SiteBase {
  readonly kind: 'label';
  readonly owner: ModuleSite;
  readonly stmt: SiteStmt;
}

export interface ListSite extends SiteBase {
  readonly kind: 'list';
  readonly items: readonly Site[];
}

export type Site = ModuleSite | LayerSite | PartSite | LabelSite | ListSite;

/** One adapter on one site. */
export interface Graft {
  readonly name: string;
  /** `<site path>@<name>` */
  readonly id: string;
  readonly decl: AdapterDecl;
  readonly args: ReadonlyMap<string, Val>;
  readonly span: Span;
  readonly site: Site;
  readonly owner: Owner;
  /** Its body's names, once the shapes at the site are known. */
  body?: Scope | 'failed';
  /** What the site was last called with: merged weights are worked out for such a tensor. */
  input?: TensorType;
}

// ---- Scopes --------------------------------------------------------------------------------------------------------

/** Names and what they are bound to, innermost first. */
export class Scope {
  readonly #names = new Map<string, Val>();

  constructor(readonly parent?: Scope) {}

  get(name: string): Val | undefined {
    return this.#names.get(name) ?? this.parent?.get(name);
  }

  /** Bound in this very scope. */
  own(name: string): Val | undefined {
    return this.#names.get(name);
  }

  set(name: string, value: Val): void {
    this.#names.set(name, value);
  }

  remove(name: string): void {
    this.#names.delete(name);
  }

  /** Every name in reach, for suggestions. */
  names(): string[] {
    return [...new Set([...this.#names.keys(), ...(this.parent?.names() ?? [])])];
  }

  /** Names bound in this very scope, in order. */
  ownNames(): string[] {
    return [...this.#names.keys()];
  }
}
