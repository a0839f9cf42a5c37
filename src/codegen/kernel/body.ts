/**
 * Builds the statements of one function: values with new names, nested blocks, and a memo so that the same value at the same place is
 * computed once. A memo made inside a block is forgotten at its end, as the name that it stands for is.
 */
import { type Index, variable } from '../read/indexing.js';
import { name, u32 } from './expr.js';
import type { Condition, Expr, Stmt, Type } from './types.js';

interface Frame {
  readonly stmts: Stmt[];
  readonly memo: Map<string, unknown>;
}

export interface Case {
  readonly when: Expr;
  readonly body: () => void;
}

export class Body {
  private readonly frames: Frame[] = [{ stmts: [], memo: new Map() }];
  private counter = 0;

  private get frame(): Frame {
    return this.frames[this.frames.length - 1]!;
  }

  /** What was built. */
  get stmts(): readonly Stmt[] {
    return this.frames[0]!.stmts;
  }

  fresh(prefix: string): string {
    return `${prefix}${this.counter++}`;
  }

  push(...stmts: readonly Stmt[]): void {
    this.frame.stmts.push(...stmts);
  }

  memo<T>(key: string, make: () => T): T {
    for (let i = this.frames.length - 1; i >= 0; i--) {
      const found = this.frames[i]!.memo.get(key);
      if (found !== undefined) return found as T;
    }
    const made = make();
    this.frame.memo.set(key, made);
    return made;
  }

  private nested(body: () => void): readonly Stmt[] {
    const frame: Frame = { stmts: [], memo: new Map() };
    this.frames.push(frame);
    body();
    this.frames.pop();
    return frame.stmts;
  }

  /** A value under a new name, which stands for it from here on. */
  let(value: Expr, prefix = 'v'): Expr {
    return this.named(this.fresh(prefix), value);
  }

  /** A value under this name. */
  named(text: string, value: Expr): Expr {
    this.push({ kind: 'let', name: text, value });
    return name(text, value);
  }

  /** A u32 value that addresses may use: 0 <= value < extent. One that can only be 0 needs no name. */
  index(text: string, value: Expr, extent: number): Index {
    if (extent > 1) this.named(text, value);
    return variable(text, extent);
  }

  var(text: string, type: Type, value?: Expr): Expr {
    this.push({ kind: 'var', name: text, type, ...(value ? { value } : {}) });
    return name(text, type);
  }

  array(text: string, values: readonly Expr[]): Type {
    const { scalar, lanes } = values[0]!;
    this.push({ kind: 'array', name: text, type: { scalar, lanes }, values });
    return { scalar, lanes };
  }

  /** @param to A name that `var` gave. */
  assign(to: Expr, value: Expr): void {
    if (to.kind !== 'name') throw new TypeError('only a variable can be assigned');
    this.push({ kind: 'assign', name: to.name, value });
  }

  put(array: string, at: Expr, value: Expr): void {
    this.push({ kind: 'put', array, at, value });
  }

  store(buffer: string, at: Index, value: Expr, when: readonly Condition[]): void {
    this.push({ kind: 'store', buffer, at, value, when });
  }

  /** An item of a packed buffer. */
  write(buffer: string, at: Expr, value: Expr): void {
    this.push({ kind: 'write', buffer, at, value });
  }

  if(when: Expr, body: () => void): void {
    this.push({ kind: 'if', cases: [{ when, body: this.nested(body) }] });
  }

  choose(cases: readonly Case[], otherwise: () => void): void {
    const made = cases.map((c) => ({ when: c.when, body: this.nested(c.body) }));
    this.push({ kind: 'if', cases: made, otherwise: this.nested(otherwise) });
  }

  /** Does `body` where the condition holds, if there is one. */
  where(when: Expr | undefined, body: () => void): void {
    if (when) this.if(when, body);
    else body();
  }

  for(text: string, from: Expr, below: Expr, step: number, body: () => void): void {
    this.push({ kind: 'for', name: text, from, below, step, body: this.nested(body) });
  }

  /** `body` for 0 <= i < extent; one turn needs no loop. */
  loop(extent: number, body: (i: Index) => void): void {
    if (extent === 1) {
      this.push({ kind: 'block', body: this.nested(() => body(variable('', 1))) });
      return;
    }
    const text = this.fresh('n');
    this.for(text, u32(0), u32(extent), 1, () => body(variable(text, extent)));
  }

  block(body: () => void): void {
    this.push({ kind: 'block', body: this.nested(body) });
  }

  do(fn: string, ...args: readonly Expr[]): void {
    this.push({ kind: 'do', fn, args });
  }

  barrier(): void {
    this.push({ kind: 'barrier' });
  }

  return(value?: Expr): void {
    this.push({ kind: 'return', ...(value ? { value } : {}) });
  }

  comment(text: string): void {
    this.push({ kind: 'comment', text });
  }
}
