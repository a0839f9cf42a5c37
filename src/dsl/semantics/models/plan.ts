/** What a model binds and what its statements say, before anything is traced. */
import type { AdaptStmt, ModelDecl, Span, StringLit, TuneStmt, VariantDecl } from '../../ast.js';
import type { SourceFacts } from '../../elaborated.js';
import type { Graft, ParamSlot, Scope, Site } from '../evaluate/values.js';
import type { Pruning } from '../sites/masks/settings.js';

/** Names of classes, or how many there are; `unreadable` where a file that may say so could not be opened. */
export type Labels = readonly string[] | number | 'unreadable' | undefined;

/** A backbone or head that the model binds. */
export interface Binding {
  readonly name: string;
  readonly site: Site;
  readonly span: Span;
  /** Backbones and variants have checkpoints with names of their own. */
  readonly backbone: boolean;
  readonly variant?: VariantDecl;
  /** Options that the spec gives it, and those that its variants fill in. */
  readonly said: ReadonlySet<string>;
  readonly from?: { readonly location: string; readonly span: Span };
  readonly facts?: SourceFacts | undefined;
  /** Nothing went wrong while it was made; otherwise tracing it would only echo that. */
  readonly sound: boolean;
}

export interface Adaptation {
  readonly stmt: AdaptStmt;
  readonly grafts: Graft[];
}
export interface Tuning {
  readonly stmt: TuneStmt;
  readonly params: readonly ParamSlot[];
  /** Those of them that were selected with all that their module or layer has. */
  readonly whole: ReadonlySet<ParamSlot>;
}

/** What a model's statements say, before anything is traced. */
export interface ModelPlan {
  readonly decl: ModelDecl;
  readonly scope: Scope;
  readonly bindings: Binding[];
  readonly adaptations: Adaptation[];
  readonly prunings: Pruning[];
  readonly tunings: Tuning[];
  /** Patterns of tensors that files may hold and that the model does not take. */
  readonly ignored: StringLit[];
  /** Names of classes that the files of the model know, for a head that does not say its own. */
  readonly labels?: Labels;
  /** Names whose making failed, which was reported. */
  readonly broken: Set<string>;
  /** How many statements there have been with one adapter below one binding. */
  readonly statements: Map<string, number>;
}
