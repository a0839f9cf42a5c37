/** The names of expressions: what each means, and what is said of those that mean nothing. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { Arg, CallExpr, Expr, IndexItem, NameExpr, OptionParam, Stmt, TypeExpr } from '../../ast.js';
import type { Report } from '../report.js';
import type { Library, Named } from './library.js';
import { type Meaning, Meanings } from './meaning.js';
import { type Builtins, optionHelp, parameterNames, positional, type Signature, wordsOf } from './signature.js';
import { undeclared } from './undeclared.js';
import { checkElementType, notAWord, wordsIn } from './words.js';

/** `later`: bound further down in the same body. */
export interface Names {
  readonly bound: Set<string>;
  readonly words: ReadonlySet<string>;
  readonly later: ReadonlySet<string>;
}

export const child = (n: Names, more: Iterable<string> = []): Names => ({
  ...n,
  bound: new Set([...n.bound, ...more]),
});

export abstract class Expressions {
  readonly meanings = new Meanings();

  constructor(
    readonly library: Library,
    readonly report: Report,
    readonly builtins: Builtins,
  ) {}

  /** A declaration that something means: what it says has to be resolved too. */
  protected abstract reached(decl: Named): void;
  protected abstract block(statements: readonly Stmt[], names: Names): void;

  expr(e: Expr, names: Names): void {
    switch (e.kind) {
      case 'name':
        this.name(e, names);
        return;
      case 'member':
        this.expr(e.object, names);
        return;
      case 'index':
        this.expr(e.object, names);
        this.indices(e.indices, names);
        return;
      case 'call':
        this.call(e, names);
        return;
      case 'unary':
        this.expr(e.operand, names);
        return;
      case 'binary':
        this.expr(e.left, names);
        this.expr(e.right, names);
        return;
      case 'arrow':
        this.expr(e.from, names);
        this.expr(e.to, names);
        return;
      case 'if':
        this.expr(e.condition, names);
        this.expr(e.then, names);
        if (e.otherwise) this.expr(e.otherwise, names);
        return;
      case 'repeat':
        this.expr(e.generator.limit, names);
        this.expr(e.body, child(names, [e.generator.name.name]));
        return;
      case 'param':
        checkElementType(this.report, e.dtype);
        for (const d of e.shape) this.expr(d, names);
        this.expr(e.init, names);
        return;
      case 'state':
        this.expr(e.init, names);
        return;
      case 'list':
        for (const i of e.items) this.expr(i, names);
        return;
      case 'record':
        for (const f of e.fields) this.expr(f.value, names);
        return;
      case 'block':
        this.block(e.statements, child(names));
        return;
      default:
        return;
    }
  }

  indices(items: readonly IndexItem[], names: Names): void {
    for (const i of items) {
      if (i.kind === 'at') this.expr(i.value, names);
      else if (i.kind === 'range') for (const end of [i.start, i.end]) if (end) this.expr(end, names);
    }
  }

  protected means(e: NameExpr, meaning: Meaning): void {
    this.meanings.set(e, meaning);
    if (meaning.kind === 'declaration') this.reached(meaning.decl);
  }

  /** Where only a declaration will do, whatever else has the name. */
  protected declared(e: Expr): Named | undefined {
    if (e.kind !== 'name') return undefined;
    const decl = this.library.find(e.name, e.span.file);
    this.means(e, decl ? { kind: 'declaration', decl } : { kind: 'unknown' });
    return decl;
  }

  private name(e: NameExpr, names: Names): void {
    const { name, span } = e;
    const meaning = this.meaningOf(e, names);
    this.means(e, meaning);
    if (meaning.kind !== 'unknown') return;
    if (names.later.has(name)) {
      this.report.add('ESP0217', { name }, { primary: { span, text: 'bound further down' } });
      return;
    }
    const near = nearest(name, [...names.bound, ...names.words, ...this.builtins.operators.keys()]);
    this.report.add(
      'ESP0201',
      { name },
      { primary: { span, text: 'not bound here' }, help: near === undefined ? [] : [`Did you mean \`${near}\`?`] },
    );
  }

  private meaningOf({ name, span }: NameExpr, names: Names): Meaning {
    if (names.bound.has(name)) return { kind: 'local' };
    if (names.words.has(name)) return { kind: 'word' };
    if (this.builtins.operators.has(name)) return { kind: 'operator' };
    const decl = this.library.find(name, span.file);
    return decl ? { kind: 'declaration', decl } : { kind: 'unknown' };
  }

  /** An expression where a value of a type is expected, whose words stand for themselves. */
  typed(e: Expr, type: TypeExpr | undefined, names: Names, option: string | undefined): void {
    if (e.kind === 'list' && type?.kind === 'type_list')
      for (const i of e.items) this.typed(i, type.item, names, option);
    else this.choice(e, type ? wordsIn(type) : [], names, option);
  }

  private choice(e: Expr, words: readonly string[], names: Names, option = 'the option'): void {
    if (e.kind !== 'name' || words.length === 0) this.expr(e, names);
    else if (words.includes(e.name)) this.means(e, { kind: 'word' });
    else if (names.bound.has(e.name)) this.means(e, { kind: 'local' });
    else {
      this.means(e, { kind: 'unknown', choice: { option, words } });
      this.report.attempt(() => notAWord(this.report, e, option, words));
    }
  }

  private call(e: CallExpr, names: Names): void {
    for (const g of e.generators) this.expr(g.limit, names);
    const inner = child(
      names,
      e.generators.map((g) => g.name.name),
    );
    const callee = e.callee;
    if (callee.kind !== 'name' || names.bound.has(callee.name)) {
      this.expr(callee, names);
      for (const a of e.args) this.expr(a.value, inner);
      return;
    }
    const { name } = callee;
    const decl = this.library.find(name, callee.span.file);
    const op = this.builtins.operators.get(name);
    const layer = this.builtins.layers.get(name);
    // A declaration of the user's own comes before an operator of the same name.
    if (decl) {
      this.means(callee, { kind: 'declaration', decl });
      this.made(e, decl, inner);
    } else if (op) {
      this.means(callee, { kind: 'operator' });
      this.passed(e, op, inner);
    } else if (layer) {
      this.means(callee, { kind: 'layer' });
      for (const a of e.args) {
        this.option(a, name, layer);
        this.expr(a.value, inner);
      }
    } else {
      this.means(callee, { kind: 'unknown' });
      this.unknownCallee(callee, names);
      for (const a of e.args) this.expr(a.value, inner);
    }
  }

  /** What a call passes to an operator. */
  passed(e: CallExpr, op: Signature, names: Names): void {
    let at = 0;
    e.args.forEach((a, i) => {
      const isBody = e.generators.length > 0 && i === 0;
      const param = isBody ? undefined : (a.name?.name ?? positional(op, at++));
      if (!op.open) this.option(a, op.name, parameterNames(op));
      this.choice(a.value, wordsOf(op, param), names, param);
    });
  }

  private unknownCallee(callee: NameExpr, names: Names): void {
    if (names.later.has(callee.name)) {
      this.report.add('ESP0217', { name: callee.name }, { primary: { span: callee.span, text: 'bound further down' } });
      return;
    }
    const makers = [...this.builtins.layers.keys(), ...this.library.makers(callee.span.file)];
    const others = [...names.bound, ...this.builtins.operators.keys()];
    this.report.attempt(() =>
      undeclared(this.library, this.report, {
        what: 'module or operator',
        name: callee.name,
        span: callee.span,
        candidates: /^[A-Z]/.test(callee.name) ? [...makers, ...others] : [...others, ...makers],
      }),
    );
  }

  /** The options of a declaration; a variant also takes those of what it fills in. */
  private optionsOf(decl: Named, above: readonly Named[] = []): readonly OptionParam[] {
    if (decl.kind === 'criterion') return [];
    if (decl.kind !== 'variant' || above.includes(decl)) return decl.params;
    const callee = decl.value.kind === 'call' ? decl.value.callee : undefined;
    const next = callee?.kind === 'name' ? this.library.find(callee.name, callee.span.file) : undefined;
    return [...decl.params, ...(next ? this.optionsOf(next, [...above, decl]) : [])];
  }

  /** The arguments of a call of a declaration. */
  made(e: CallExpr, decl: Named, names: Names): void {
    const params = this.optionsOf(decl);
    const known = decl.kind === 'criterion' || decl.kind === 'variant' ? undefined : params.map((p) => p.name.name);
    let at = 0;
    for (const a of e.args) {
      const name = a.name?.name ?? params[at++]?.name.name;
      if (known) this.option(a, decl.name.name, known);
      this.typed(a.value, params.find((p) => p.name.name === name)?.type, names, name);
    }
  }

  private option(a: Arg, of: string, known: readonly string[]): void {
    if (!a.name || known.includes(a.name.name)) return;
    this.report.add(
      'ESP0203',
      { option: a.name.name, of },
      { primary: { span: a.name.span, text: 'no such option' }, help: optionHelp(a.name.name, known) },
    );
  }

  /** A bare name in a shape is bound by the call. */
  dimension(d: Expr, names: Names): void {
    if (d.kind === 'name') {
      names.bound.add(d.name);
      this.meanings.set(d, { kind: 'local' });
    } else this.expr(d, names);
  }
}
