/** What the parts of elaboration need of each other. One object ties them together, so that their files need not import in circles. */

import type { Builder } from '../../../ir/ops/builder.js';
import type { About, DType, Value } from '../../../ir/types.js';
import type { CallExpr, Expr, FunctionDecl, ModuleDecl, Span, Stmt } from '../../ast.js';
import type { ElaborateOptions, Fact } from '../../elaborated.js';
import type { Library } from '../names/library.js';
import type { Meanings } from '../names/meaning.js';
import type { Signature } from '../names/signature.js';
import type { Report } from '../report.js';
import type { Budget } from './budget.js';
import type { ParamStore } from './params.js';
import type { ModuleSite, Owner, Scope, Site, Spot, Val } from './values.js';

/** An operand and the place it was written, for messages. */
export interface Operand {
  readonly value: Value;
  readonly span: Span;
}

/** An argument, worked out. */
export interface ArgVal {
  readonly name?: string;
  readonly nameSpan?: Span;
  readonly value: Val;
  readonly span: Span;
}

/** Values that a checkpoint's own configuration gives. */
export interface Facts {
  readonly location: string;
  readonly span: Span;
  readonly options: Readonly<Record<string, Fact>>;
  /** The file could not be opened, which was reported: what nobody else says is unknown, not missing. */
  readonly unreadable?: boolean;
}

/** Options that a call need not say. */
export interface KnownOptions {
  /** What a file says of them. */
  readonly facts?: Facts | undefined;
  /** Values fixed from outside: they win over defaults. */
  readonly preset?: ReadonlyMap<string, Val> | undefined;
}

/** What is being traced: of every value that is made, this is known, besides its place in the text. */
export type Frame = Omit<About, 'at'>;

export interface Engine {
  readonly report: Report;
  readonly library: Library;
  /** What each name of the spec means. */
  readonly meanings: Meanings;
  readonly params: ParamStore;
  readonly options: ElaborateOptions;
  readonly budget: Budget;
  /** What the language has without a declaration. */
  readonly operators: ReadonlyMap<string, Operator>;
  readonly layers: ReadonlyMap<string, readonly string[]>;
  /** Functions that are being worked out, outermost first. */
  readonly calling: FunctionDecl[];
  /** Tables that are parameters already, by their contents. */
  readonly tables: Map<string, { readonly data: Float64Array; readonly value: Value }>;
  frame: Frame;

  evaluate(expr: Expr, scope: Scope, spot?: Spot): Val;
  /** The body of a module, adapter or block; its value is that of its last expression. */
  runBlock(statements: readonly Stmt[], scope: Scope, owner?: Owner, spot?: Spot): Val | undefined;
  callExpr(expr: CallExpr, scope: Scope, spot?: Spot): Val;
  /** Makes the module that a call of its declaration describes. */
  instantiate(decl: ModuleDecl, expr: CallExpr, scope: Scope, spot: Spot, known?: KnownOptions): ModuleSite;
  makeLayer(type: string, expr: CallExpr, scope: Scope, spot: Spot): Site;
  callSite(site: Site, args: readonly ArgVal[], span: Span, level?: number): Val;
  /** What sites inside of a module give when it is called with these arguments. */
  tapped(
    site: Site,
    args: readonly ArgVal[],
    taps: readonly { readonly site: Site; readonly span: Span }[],
    span: Span,
  ): readonly Val[];
  callBase(site: Site, level: number, args: readonly ArgVal[], span: Span): Val;
  /** A member of an adapter's base: weight, bias, parts, in, out, axis. */
  baseMember(site: Site, level: number, member: string, span: Span): Val;

  /** A stream of random numbers that nothing else draws from. */
  stream(): number;
  about(span: Span): About;
  within<T>(frame: Frame, work: () => T): T;
  /** Makes values; a ShapeError becomes a diagnostic at `span` that shows the operands. */
  trace(name: string, span: Span, operands: readonly Operand[], work: (b: Builder, about: About) => Value): Value;
  /** The tensor that a value is or can become. */
  tensor(value: Val, span: Span, dtype?: DType): Value;
  /** A whole number; explains divisions that did not work out. */
  whole(value: Val, what: string, span: Span): number;
  number(value: Val, what: string, span: Span): number;
  truth(value: Val, what: string, span: Span): boolean;
  dimension(value: Val, what: string, span: Span): number;
}

/** What a call hands to an operator. */
export interface Call {
  readonly engine: Engine;
  readonly name: string;
  readonly span: Span;
  readonly expr: CallExpr;
  readonly scope: Scope;
  /** The values of the comprehension, or of the positional arguments of a variadic operator. */
  readonly rest: readonly ArgVal[];
  readonly args: ReadonlyMap<string, ArgVal>;
}

export interface Operator extends Signature {
  /** Has a meaning without parentheses too (`zeros`). */
  readonly bare?: () => Val;
  readonly run: (call: Call) => Val;
}
