/** The module tree as it is built: layers, modules, lists, row parts and labelled stretches, and what was put on them. */
import type { Elements, Init, ParamRole, TensorType, Value } from '../../../ir/types.js';
import type { AdapterDecl, ModuleDecl, SiteStmt, Span } from '../../ast.js';
import type { Val } from '../evaluate/values.js';
import type { Scope } from '../names/scope.js';

/** A parameter of the model while it is being put together; `role` may still change (`tune`). */
export interface ParamSlot {
  readonly name: string;
  readonly type: TensorType;
  role: ParamRole;
  init?: Init;
  readonly data?: Elements;
  readonly span: Span;
  /** Its one reading in the graph. */
  readonly value: Value;
}

/** What can hold modules and parameters under names. */
export interface Owner {
  /** `base.blocks.0.attn`, or `base.blocks.0.attn.qkv@lora` for an adapter. */
  readonly key: string;
  readonly path: string;
  readonly role: ParamRole;
  readonly children: Map<string, Site>;
  readonly params: Map<string, ParamSlot>;
  /** Where `shared param` goes; absent outside of adapters. */
  readonly shared?: string;
}

/** Where a module or parameter that is being made will live. */
export interface Spot {
  readonly owner: Owner;
  readonly key: string;
  readonly path: string;
}

export interface MaskInfo {
  readonly slot: ParamSlot;
  readonly over: 'base' | 'sum';
}

interface SiteBase {
  readonly key: string;
  readonly path: string;
  readonly type: string;
  readonly span: Span;
  readonly role: ParamRole;
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
  /** `rest`: its parameters other than weight and bias. */
  readonly run: (x: Value, weight: Value | undefined, bias: Value | undefined, rest: readonly Value[]) => Value;
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
  /** `<site key>@<name>` */
  readonly scope: string;
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

/** All parameters, in the order in which they were made. */
export class ParamStore {
  readonly slots = new Map<string, ParamSlot>();

  get(name: string): ParamSlot | undefined {
    return this.slots.get(name);
  }

  add(slot: ParamSlot): ParamSlot {
    this.slots.set(slot.name, slot);
    return slot;
  }
}

/** The site and everything below it, depth first. Labels are left out: what they run belongs to their owner. */
export function* below(site: Site): Generator<Site> {
  yield site;
  for (const child of site.children.values()) yield* below(child);
}

/** Parameters of a site and of everything below it, adapters left out. */
export function ownParams(site: Site): ParamSlot[] {
  return [...below(site)].flatMap((s) => [...s.params.values()]);
}
