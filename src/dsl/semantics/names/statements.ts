/** The names of statements, in the order in which they are bound. */
import type { Expr, Span, Stmt, TensorParam } from '../../ast.js';
import { boundBy } from './bound.js';
import { child, Expressions, type Names } from './expressions.js';
import { checkElementType } from './words.js';

export abstract class Statements extends Expressions {
  protected block(statements: readonly Stmt[], names: Names): void {
    this.body(statements, names);
    this.leftOver(statements, true);
  }

  /** Statements in order; forwards and labelled stretches see everything that the body binds. */
  body(statements: readonly Stmt[], names: Names): void {
    const inner: Names = { ...names, later: new Set([...names.later, ...statements.flatMap(boundBy)]) };
    const deferred: (() => void)[] = [];
    const [first, second] = statements.filter((s) => s.kind === 'forward');
    if (first && second) this.twice('forward', second.span, first.span);
    this.statements(statements, inner, deferred);
    for (const work of deferred) work();
  }

  statements(statements: readonly Stmt[], names: Names, deferred: (() => void)[]): void {
    for (const s of statements) {
      switch (s.kind) {
        case 'bind':
          this.expr(s.value, names);
          for (const n of s.names) names.bound.add(n.name);
          break;
        case 'expr':
          this.expr(s.value, names);
          break;
        case 'if_stmt':
          this.expr(s.condition, names);
          this.statements(s.then, names, deferred);
          this.statements(s.otherwise ?? [], names, deferred);
          break;
        case 'for':
          this.expr(s.generator.limit, names);
          this.loop(s.generator.name.name, names, () => this.statements(s.body, names, deferred));
          break;
        case 'site':
          names.bound.add(s.name.name);
          deferred.push(() => {
            const inner = child(names);
            this.tensors(s.params, inner);
            this.expr(s.value, inner);
          });
          break;
        case 'forward':
          deferred.push(() => {
            const inner = child(names);
            this.tensors(s.params, inner);
            this.body(s.body.statements, inner);
            this.leftOver(s.body.statements, true);
          });
          break;
        case 'error':
          for (const n of s.names) names.bound.add(n);
          break;
      }
    }
  }

  /** The arguments of a forward or a labelled stretch. */
  tensors(params: readonly TensorParam[], names: Names): void {
    for (const p of params) {
      const first = params.find((q) => q.name.name === p.name.name)!;
      if (first !== p) this.twice(p.name.name, p.name.span, first.name.span);
      this.tensor(p, names, true);
    }
  }

  twice(name: string, span: Span, first: Span): void {
    const secondary = [{ span: first, text: 'the first' }];
    this.report.add('ESP0206', { name }, { primary: { span, text: 'the second' }, secondary });
  }

  /** Values that no one takes. The last statement of a block is its value; a body of bindings has none, nor has a loop. */
  leftOver(statements: readonly Stmt[], hasValue: boolean): void {
    statements.forEach((s, i) => {
      const used = hasValue && i === statements.length - 1;
      if (s.kind === 'expr' && !used) this.unused(s.value);
      else if (s.kind === 'for') this.leftOver(s.body, false);
      else if (s.kind === 'if_stmt') for (const arm of [s.then, s.otherwise ?? []]) this.leftOver(arm, used);
    });
  }

  /** A value that nothing takes: a line that does nothing is a slip. */
  unused(e: Expr): void {
    if (e.kind === 'if' || (e.kind === 'call' && e.callee.kind === 'name' && e.callee.name === 'require')) return;
    this.report.add('ESP0242', {}, { primary: { span: e.span, text: 'does nothing' } });
  }

  /** The name of a loop is bound in its body and not after it. */
  private loop(name: string, names: Names, work: () => void): void {
    const before = names.bound.has(name);
    names.bound.add(name);
    work();
    if (!before) names.bound.delete(name);
  }

  tensor(p: TensorParam, names: Names, bind: boolean): void {
    checkElementType(this.report, p.dtype);
    for (const d of p.shape ?? []) this.dimension(d, names);
    if (bind) names.bound.add(p.name.name);
  }
}
