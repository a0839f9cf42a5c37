/** Expressions and statements of the syntax tree: what stands in the body of a module, a forward or a function. */
import type { Span } from '../diagnostics/types.js';

export interface Ident {
  readonly name: string;
  readonly span: Span;
}

export interface NodeBase {
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
