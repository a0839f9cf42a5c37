/** What every name of a spec means, found before anything is made, used or not: so one run shows all that mean nothing. */
import { nearest } from '../../../diagnostics/suggest.js';
import type { Decl, Expr, ModelDecl, ModelStmt, OptionParam, Selector, TypeExpr, VariantDecl } from '../../ast.js';
import { numbersWithUnits } from '../../walk.js';
import type { Report } from '../report.js';
import { boundBy } from './bound.js';
import { checkConfigs } from './check-config.js';
import { checkModels } from './check-models.js';
import { child, type Names } from './expressions.js';
import type { Library, Named } from './library.js';
import type { Meanings } from './meaning.js';
import { processorsFor } from './readings.js';
import { checkRecursion } from './recursion.js';
import type { Builtins } from './signature.js';
import { Statements } from './statements.js';
import { DEFAULT_LOSS, isNoneType, PREDICTION, TARGET, TENSOR, TYPE_NAMES, wordsIn, wordsOfParams } from './words.js';

export function resolveNames(library: Library, report: Report, builtins: Builtins): Meanings {
  const resolver = new Declarations(library, report, builtins);
  for (const file of library.userFiles) {
    for (const d of file.decls) {
      for (const n of [...numbersWithUnits(d)].sort((a, b) => a.span.start - b.span.start)) {
        const { unit } = n;
        report.add('ESP0232', { unit }, { primary: { span: n.span, text: `\`${unit}\` is left over` } });
      }
      resolver.declaration(d);
    }
    checkModels(file, report);
  }
  resolver.rest();
  checkRecursion(library, resolver.meanings, report);
  return resolver.meanings;
}

class Declarations extends Statements {
  readonly #done = new Set<Decl>();
  /** Of the library, which is not looked at for its own sake. */
  readonly #reached = new Set<Named>();

  protected reached(decl: Named): void {
    this.#reached.add(decl);
  }

  /** What was reached and is in no file of the user's. */
  rest(): void {
    for (const d of this.#reached) if (!this.#done.has(d)) this.report.muted(() => this.declaration(d));
  }

  declaration(d: Decl): void {
    this.#done.add(d);
    switch (d.kind) {
      case 'module':
      case 'backbone':
      case 'optimizer': {
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
        this.variant(d, names);
        return;
      }
      case 'model': {
        const names = this.options(d.params);
        // What is wrong in a model is said where it is worked out: what a statement selects decides what is.
        this.report.muted(() => this.model(d, names));
        return;
      }
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
      if (p.default) this.typed(p.default, p.type, names, p.name.name);
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

  /** A variant, whose steps of preprocessing see what the backbone binds. */
  private variant(d: VariantDecl, names: Names): void {
    checkConfigs(
      (e) => this.declared(e),
      this.report,
      d,
      (e, bound, option) => {
        const inner: Names = { bound: new Set(bound), words: new Set(), later: new Set() };
        if (option) this.typed(e, option.type, inner, option.name.name);
        else this.expr(e, inner);
      },
    );
    // A file may say by name which of those that build on it is meant.
    const inReach = this.library.variants(d.name.span.file);
    for (const v of inReach) {
      const callee = v.value.kind === 'call' ? v.value.callee : undefined;
      if (callee?.kind === 'name' && callee.name === d.name.name) this.reached(v);
    }
    // And its way to preprocess may be another variant's.
    const lent = new Set(processorsFor([d], inReach));
    for (const v of inReach) if (v !== d && v.configs.some((c) => lent.has(c))) this.reached(v);
    for (const e of d.names.flatMap((block) => block.entries)) if (e.kind === 'head') this.head(e.value);
    if (d.value.kind !== 'call') return;
    const target = this.declared(d.value.callee);
    if (target) this.made(d.value, target, names);
    else for (const a of d.value.args) this.expr(a.value, names);
    const inner = this.insideOf(target, [d]);
    for (const e of d.preprocess ?? []) {
      const step = e.kind === 'call' && e.callee.kind === 'name' && this.builtins.steps.get(e.callee.name);
      if (step) this.report.muted(() => this.passed(e, step, inner));
    }
  }

  /** What a checkpoint has on its backbone: a call of a module, which takes `base`. */
  private head(value: Expr): void {
    const names: Names = { bound: new Set(['base', 'rows']), words: new Set(), later: new Set() };
    const decl = value.kind === 'call' ? this.declared(value.callee) : undefined;
    if (value.kind === 'call' && decl?.kind === 'module') {
      this.made(value, decl, names);
      return;
    }
    const found = `\`${this.library.textOf(value.span) ?? '?'}\``;
    const primary = { span: value.span, text: 'this value' };
    this.report.add('ESP0205', { what: 'a head', expected: 'a module with options', found }, { primary });
  }

  private insideOf(decl: Named | undefined, above: readonly Named[]): Names {
    if (decl?.kind === 'variant' && !above.includes(decl) && decl.value.kind === 'call') {
      return this.insideOf(this.declared(decl.value.callee), [...above, decl]);
    }
    if (decl?.kind !== 'backbone' && decl?.kind !== 'module')
      return { bound: new Set(), words: new Set(), later: new Set() };
    const bound = [...decl.params.map((p) => p.name.name), ...decl.body.flatMap(boundBy)];
    return { bound: new Set(bound), words: wordsOfParams(decl.params), later: new Set() };
  }

  // ---- Models ------------------------------------------------------------------------------------------------------

  private model(d: ModelDecl, names: Names): void {
    this.modelBody(d.body, names);
    const settings = this.library.userFiles.flatMap((f) => (f.decls.includes(d) ? f.decls : []));
    for (const s of settings) {
      if ((s.kind === 'train' || s.kind === 'deploy') && s.model.name === d.name.name) {
        const inner = s.kind === 'train' ? child(names, [PREDICTION, TARGET]) : names;
        for (const { value } of s.settings) this.expr(value, inner);
        const loss = s.kind === 'train' && this.library.find(DEFAULT_LOSS, s.span.file);
        if (loss) this.reached(loss);
      }
    }
  }

  private modelBody(body: readonly ModelStmt[], names: Names): void {
    for (const s of body) {
      switch (s.kind) {
        case 'model_bind':
          this.expr(s.value, names);
          names.bound.add(s.name.name);
          break;
        case 'in':
          this.selector(s.selector, names);
          this.modelBody(s.body, names);
          break;
        case 'model_if':
          this.expr(s.condition, names);
          this.modelBody(s.then, names);
          this.modelBody(s.otherwise ?? [], names);
          break;
        case 'model_for':
          this.expr(s.generator.limit, names);
          this.modelBody(s.body, child(names, [s.generator.name.name]));
          break;
        case 'error':
          for (const n of s.names) names.bound.add(n);
          break;
        case 'ignore':
          break;
        default: {
          for (const sel of s.sites) this.selector(sel, names);
          const call = s.kind === 'adapt' ? s.adapter : s.kind === 'prune' ? s.method : undefined;
          if (!call) break;
          const decl = this.declared(call.callee);
          if (decl && s.kind === 'adapt') this.made(call, decl, names);
          else for (const a of call.args) this.expr(a.value, names);
          if (s.kind === 'prune') for (const a of s.by?.args ?? []) this.expr(a.value, names);
        }
      }
    }
  }

  private selector(s: Selector, names: Names): void {
    for (const step of s.steps) {
      if (step.kind === 'index') this.indices(step.items, names);
      else if (step.kind === 'oneof') for (const o of step.options) this.selector(o, names);
    }
  }
}
