/** Names of every declaration, used or not: checked before anything is made, so that one run shows them all. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { Arg, CallExpr, Decl, Expr, OptionParam, Span, Stmt, TensorParam, TypeExpr } from '../../ast.js';
import { numbersWithUnits } from '../../walk.js';
import type { Report } from '../report.js';
import { boundBy } from './bound.js';
import { checkModels } from './check-models.js';
import type { Library, Named } from './library.js';
import { checkRecursion } from './recursion.js';
import { type Builtins, optionHelp, parameterNames, positional, wordsOf } from './signature.js';
import { undeclared } from './undeclared.js';
import { isNoneType, notAWord, TENSOR, TYPE_NAMES, wordsIn } from './words.js';

/** `later`: bound further down in the same body. */
interface Names {
  readonly bound: Set<string>;
  readonly words: ReadonlySet<string>;
  readonly later: ReadonlySet<string>;
}

const child = (n: Names, more: Iterable<string> = []): Names => ({ ...n, bound: new Set([...n.bound, ...more]) });

export function checkNames(library: Library, report: Report, builtins: Builtins): void {
  for (const file of library.userFiles) {
    const checker = new Checker(library, report, builtins);
    for (const d of file.decls) {
      for (const n of [...numbersWithUnits(d)].sort((a, b) => a.span.start - b.span.start)) {
        const { unit } = n;
        report.add('ESP0232', { unit }, { primary: { span: n.span, text: `\`${unit}\` is left over` } });
      }
      checker.declaration(d);
    }
    checkModels(file, report);
  }
  checkRecursion(library, report);
}

class Checker {
  constructor(
    readonly library: Library,
    readonly report: Report,
    readonly builtins: Builtins,
  ) {}

  declaration(d: Decl): void {
    switch (d.kind) {
      case 'module':
      case 'backbone': {
        const names = this.options(d.params);
        this.body(d.body, names);
        this.leftOver(d.body, false);
        return;
      }
      case 'adapter': {
        const names = this.options(d.params);
        names.bound.add(d.base.name);
        if (d.target.kind === 'layer') {
          const { layer, from, to } = d.target;
          if (layer.name !== 'Layer' && !this.builtins.layers.has(layer.name)) {
            const known = ['Layer', ...this.builtins.layers.keys()];
            const near = nearest(layer.name, known);
            this.report.add(
              'ESP0202',
              { what: 'layer', name: layer.name },
              {
                primary: { span: layer.span, text: 'no such kind of layer' },
                help: [...(near ? [`Did you mean \`${near}\`?`] : []), `There are: ${known.join(', ')}.`],
              },
            );
          }
          for (const e of [from, to]) this.dimension(e, names);
        } else for (const p of d.target.params) this.tensor(p, names, false);
        this.body(d.body, names);
        this.leftOver(d.body, false);
        return;
      }
      case 'criterion': {
        const names: Names = { bound: new Set(), words: new Set(), later: new Set() };
        for (const p of d.params) this.tensor(p, names, true);
        this.expr(d.value, names);
        return;
      }
      case 'function': {
        const names = this.options(d.params, true);
        this.expr(d.value, names);
        return;
      }
      case 'variant': {
        const names = this.options(d.params);
        if (d.value.kind === 'call') for (const a of d.value.args) this.argument(a, [], names);
        return;
      }
      case 'model':
        this.options(d.params);
        return;
      default:
        return;
    }
  }

  /** @param tensors whether they may be tensors: arguments of functions are */
  options(params: readonly OptionParam[], tensors = false): Names {
    const names: Names = {
      bound: new Set(),
      words: new Set(params.flatMap((p) => wordsIn(p.type))),
      later: new Set(params.map((p) => p.name.name)),
    };
    for (const p of params) {
      this.type(p.type, tensors);
      if (p.default) this.argument({ value: p.default, span: p.default.span }, wordsIn(p.type), names, p.name.name);
      if (names.bound.has(p.name.name)) {
        this.twice(p.name.name, p.name.span, params.find((q) => q.name.name === p.name.name)!.name.span);
      }
      names.bound.add(p.name.name);
    }
    return names;
  }

  type(t: TypeExpr, tensors: boolean): void {
    const known = tensors ? [...TYPE_NAMES, TENSOR] : TYPE_NAMES;
    if (t.kind === 'type_list') this.type(t.item, tensors);
    // Beside another type, `none` is one: `int | none`.
    else if (t.kind === 'type_union') for (const i of t.items.filter((i) => !isNoneType(i))) this.type(i, tensors);
    else if (t.kind === 'type_name' && !known.includes(t.name)) {
      const near = nearest(t.name, known);
      this.report.add(
        'ESP0207',
        { name: t.name },
        {
          primary: { span: t.span, text: 'no such type' },
          help: [
            ...(near ? [`Did you mean \`${near}\`?`] : []),
            ...(t.name === TENSOR ? ['Tensors are what `forward`, labelled sites and functions take.'] : []),
            `Types are ${known.join(', ')}, lists and choices.`,
          ],
        },
      );
    }
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
          names.bound.add(s.generator.name.name);
          this.statements(s.body, names, deferred);
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

  tensor(p: TensorParam, names: Names, bind: boolean): void {
    for (const d of p.shape ?? []) this.dimension(d, names);
    if (bind) names.bound.add(p.name.name);
  }

  /** A bare name in a shape is bound by the call. */
  dimension(d: Expr, names: Names): void {
    if (d.kind === 'name') names.bound.add(d.name);
    else this.expr(d, names);
  }

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
        for (const i of e.indices) {
          if (i.kind === 'at') this.expr(i.value, names);
          else if (i.kind === 'range') {
            if (i.start) this.expr(i.start, names);
            if (i.end) this.expr(i.end, names);
          }
        }
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
        for (const d of e.shape) this.expr(d, names);
        this.expr(e.init, names);
        return;
      case 'list':
        for (const i of e.items) this.expr(i, names);
        return;
      case 'record':
        for (const f of e.fields) this.expr(f.value, names);
        return;
      case 'block':
        this.body(e.statements, child(names));
        this.leftOver(e.statements, true);
        return;
      default:
        return;
    }
  }

  name(e: Extract<Expr, { kind: 'name' }>, names: Names): void {
    const { name, span } = e;
    if (names.bound.has(name) || names.words.has(name) || this.builtins.operators.has(name)) return;
    if (this.library.find(name, span.file)) return;
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

  argument(a: Arg, words: readonly string[], names: Names, option = 'the option'): void {
    const e = a.value;
    if (e.kind === 'name' && words.includes(e.name)) return;
    if (e.kind === 'name' && words.length > 0 && !names.bound.has(e.name)) {
      this.report.attempt(() => notAWord(this.report, e, option, words));
      return;
    }
    this.expr(a.value, names);
  }

  call(e: CallExpr, names: Names): void {
    const inner = e.generators.length > 0 ? child(names) : names;
    for (const g of e.generators) {
      this.expr(g.limit, inner);
      inner.bound.add(g.name.name);
    }
    const callee = e.callee;
    if (callee.kind !== 'name' || names.bound.has(callee.name)) {
      this.expr(callee, names);
      for (const a of e.args) this.argument(a, [], inner);
      return;
    }
    const decl = this.library.find(callee.name, callee.span.file);
    const op = decl ? undefined : this.builtins.operators.get(callee.name);
    if (decl) this.made(e, decl, inner);
    else if (op) {
      let at = 0;
      e.args.forEach((a, i) => {
        const isBody = e.generators.length > 0 && i === 0;
        const param = isBody ? undefined : (a.name?.name ?? positional(op, at++));
        if (!op.open) this.option(a, callee.name, parameterNames(op));
        this.argument(a, wordsOf(op, param), inner, param);
      });
    } else if (this.builtins.layers.has(callee.name)) {
      for (const a of e.args) {
        this.option(a, callee.name, this.builtins.layers.get(callee.name)!);
        this.argument(a, [], inner);
      }
    } else {
      this.unknownCallee(callee, names);
      for (const a of e.args) this.argument(a, [], inner);
    }
  }

  unknownCallee(callee: Extract<Expr, { kind: 'name' }>, names: Names): void {
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

  /** The arguments of a call that makes a module. */
  made(e: CallExpr, decl: Named, names: Names): void {
    const params =
      decl.kind === 'module' || decl.kind === 'backbone' || decl.kind === 'adapter' || decl.kind === 'function'
        ? decl.params
        : undefined;
    let at = 0;
    for (const a of e.args) {
      const name = a.name?.name ?? params?.[at++]?.name.name;
      const p = params?.find((q) => q.name.name === name);
      if (params) {
        this.option(
          a,
          decl.name.name,
          params.map((q) => q.name.name),
        );
      }
      this.argument(a, p ? wordsIn(p.type) : [], names, name);
    }
  }

  option(a: Arg, of: string, known: readonly string[]): void {
    if (!a.name || known.includes(a.name.name)) return;
    this.report.add(
      'ESP0203',
      { option: a.name.name, of },
      { primary: { span: a.name.span, text: 'no such option' }, help: optionHelp(a.name.name, known) },
    );
  }
}
