/** Expressions: what each kind of node is worth. Calls are in calls.ts, arithmetic in arithmetic.ts, indexing in indexing.ts. */

import { nearest } from '../../../diagnostics/suggest.js';
import type { Expr, IfExpr, MemberExpr, NameExpr, RepeatExpr } from '../../ast.js';
import { notAWord } from '../names/words.js';
import { Stop } from '../report.js';
import { binary, unary } from './arithmetic.js';
import { MOST_TURNS } from './budget.js';
import type { Engine } from './engine.js';
import { indexValue } from './indexing.js';
import { known, ownNumber } from './numbers.js';
import { parameter } from './parameter.js';
import { describe } from './show.js';
import { type ListSite, NONE, num, POISON, Scope, type Site, type Spot, tensorVal, type Val } from './values.js';

export function evaluate(engine: Engine, expr: Expr, scope: Scope, spot?: Spot): Val {
  engine.budget.spend('expressions', expr.span);
  switch (expr.kind) {
    case 'number':
      ownNumber(engine, expr.value, expr.span);
      return {
        kind: 'num',
        value: expr.value,
        whole: expr.integer && !expr.percent && Number.isInteger(expr.value),
        ...(expr.percent ? { percent: true } : {}),
      };
    case 'string':
      return { kind: 'str', value: expr.value };
    case 'bool':
      return { kind: 'bool', value: expr.value };
    case 'none':
      return NONE;
    case 'ratio':
      return { kind: 'ratio', left: expr.left, right: expr.right };
    case 'name':
      return lookup(engine, expr, scope);
    case 'member':
      return member(engine, expr, scope);
    case 'index':
      return indexValue(engine, engine.evaluate(expr.object, scope), expr, scope);
    case 'call':
      return engine.callExpr(expr, scope, spot);
    case 'unary':
      return unary(engine, expr, engine.evaluate(expr.operand, scope));
    case 'binary':
      return binary(engine, expr, scope);
    case 'arrow':
      return { kind: 'arrow', from: engine.evaluate(expr.from, scope), to: engine.evaluate(expr.to, scope) };
    case 'if':
      return conditional(engine, expr, scope, spot);
    case 'repeat':
      return repeat(engine, expr, scope, spot);
    case 'param':
      return parameter(engine, expr, scope, spot);
    case 'state':
      return engine.report.stop(
        'ESP0220',
        { what: '`state`', where: 'an expression; it is bound to a name in the body of an optimizer' },
        { primary: { span: expr.span, text: 'kept by what?' } },
      );
    case 'list': {
      const items = expr.items.map((e, i) =>
        engine.evaluate(e, scope, spot && { owner: spot.owner, path: `${spot.path}.${i}` }),
      );
      return asList(items, expr, spot);
    }
    case 'record':
      expr.fields.forEach(({ name }, i) => {
        const first = expr.fields.findIndex((f) => f.name.name === name.name);
        if (first === i) return;
        const secondary = [{ span: expr.fields[first]!.name.span, text: 'the first' }];
        engine.report.stop(
          'ESP0206',
          { name: name.name },
          { primary: { span: name.span, text: 'named again' }, secondary },
        );
      });
      return { kind: 'record', fields: expr.fields.map((f) => [f.name.name, engine.evaluate(f.value, scope)]) };
    case 'block': {
      const v = engine.runBlock(expr.statements, new Scope(scope), undefined, spot);
      return v ?? noValue(engine, 'this block', expr);
    }
  }
}

function noValue(engine: Engine, what: string, expr: Expr): never {
  return engine.report.stop('ESP0224', { what }, { primary: { span: expr.span, text: 'used as a value' } });
}

function lookup(engine: Engine, expr: NameExpr, scope: Scope): Val {
  const { name, span } = expr;
  const meaning = engine.meanings.of(expr);
  switch (meaning.kind) {
    case 'local': {
      const v = scope.get(name);
      if (v === POISON) throw new Stop();
      if (v) return v;
      break;
    }
    case 'word':
      return { kind: 'word', name };
    case 'operator':
      return engine.operators.get(name)!.bare?.() ?? { kind: 'operator', name };
    case 'declaration':
      return { kind: 'decl', decl: meaning.decl };
    case 'unknown':
      if (meaning.choice) notAWord(engine.report, expr, meaning.choice.option, meaning.choice.words);
      break;
    default:
  }
  const near = nearest(name, [...scope.names(), ...engine.operators.keys()]);
  return engine.report.stop(
    'ESP0201',
    { name },
    { primary: { span, text: 'not bound here' }, help: near === undefined ? [] : [`Did you mean \`${near}\`?`] },
  );
}

function member(engine: Engine, expr: MemberExpr, scope: Scope): Val {
  const v = engine.evaluate(expr.object, scope);
  const name = expr.member.name;
  if (v.kind === 'base') return engine.baseMember(v.site, v.level, name, expr.member.span);
  if (name === 'T' && (v.kind === 'tensor' || v.kind === 'table')) {
    const x = { value: engine.tensor(v, expr.object.span), span: expr.object.span };
    if (x.value.type.shape.length < 2) {
      return engine.report.stop(
        'ESP0305',
        { axis: 1, rank: x.value.type.shape.length },
        { primary: { span: expr.span, text: `\`.T\` of ${describe(v)}` } },
      );
    }
    return tensorVal(engine.trace('.T', expr.span, [x], (b, o) => b.matrixTranspose(x.value, o)));
  }
  if (v.kind === 'record') {
    const field = v.fields.find(([n]) => n === name);
    if (field) return field[1];
  }
  const known = v.kind === 'record' ? v.fields.map(([n]) => n) : [];
  if (v.kind === 'site') {
    const found = siteMember(v.site, name);
    if (found === POISON) throw new Stop();
    if (found) return found;
    known.push(...v.site.children.keys(), ...(v.site.kind === 'module' ? v.site.scope.ownNames() : []));
  }
  const near = nearest(name, known);
  const help = near === undefined ? [] : [`Did you mean \`${near}\`?`];
  // What the library asks a module of the user's own for, that module has to say.
  const decl = v.kind === 'site' && v.site.kind === 'module' ? v.site.decl : undefined;
  const asked = decl && decl.span.file !== expr.span.file;
  if (asked) help.unshift(`Say it in the body of \`${decl.name.name}\`: \`${name} = ...\`.`);
  return engine.report.stop(
    'ESP0215',
    { member: name, of: describe(v) },
    {
      primary: { span: expr.member.span, text: 'no such member' },
      secondary: asked ? [{ span: decl.name.span, text: `${decl.kind} \`${decl.name.name}\`` }] : [],
      help,
    },
  );
}

function siteMember(site: Site, name: string): Val | undefined {
  const child = site.children.get(name);
  if (child) return { kind: 'site', site: child };
  const param = site.params.get(name);
  if (param) return tensorVal(param.value);
  if (site.kind === 'module') return site.scope.own(name);
  if (site.kind === 'layer' && name === 'in') return num(site.layer.in);
  if (site.kind === 'layer' && name === 'out') return num(site.layer.out);
  return undefined;
}

function conditional(engine: Engine, expr: IfExpr, scope: Scope, spot?: Spot): Val {
  const holds = engine.truth(engine.evaluate(expr.condition, scope), 'a condition', expr.condition.span);
  const branch = holds ? expr.then : expr.otherwise;
  // The parser has said that an `if` that is used as a value needs an `else`.
  if (!branch) throw new Stop();
  return engine.evaluate(branch, scope, spot);
}

function repeat(engine: Engine, expr: RepeatExpr, scope: Scope, spot?: Spot): Val {
  const n = turns(engine, engine.evaluate(expr.generator.limit, scope), expr.generator.limit);
  const items: Val[] = [];
  engine.budget.loop(n, expr.generator.span, () => {
    for (let i = 0; i < n; i++) {
      const inner = new Scope(scope);
      inner.set(expr.generator.name.name, num(i));
      const at = spot && { owner: spot.owner, path: `${spot.path}.${i}` };
      items.push(engine.evaluate(expr.body, inner, at));
    }
  });
  return asList(items, expr, spot);
}

/** How often a loop turns. */
export function turns(engine: Engine, v: Val, limit: Expr): number {
  const n = engine.whole(known(engine, v, limit.span), 'a number of turns', limit.span);
  if (n < 0) {
    engine.report.stop(
      'ESP0226',
      { what: 'a number of turns', found: String(n), range: 'at least 0' },
      { primary: { span: limit.span, text: `this is ${n}` } },
    );
  }
  if (n > MOST_TURNS) {
    engine.report.stop(
      'ESP0310',
      { what: 'a number of turns', limit: MOST_TURNS, found: n },
      { primary: { span: limit.span, text: `this is ${n}` } },
    );
  }
  return n;
}

/** Modules in a list are a site of their own, which can be called as their composition. */
function asList(items: readonly Val[], expr: Expr, spot?: Spot): Val {
  const sites = items.flatMap((v) => (v.kind === 'site' ? [v.site] : []));
  const made =
    spot && sites.length === items.length && sites.length > 0 && sites.every((s, i) => s.path === `${spot.path}.${i}`);
  if (!made) return { kind: 'list', items };
  const site: ListSite = {
    kind: 'list',
    path: spot.path,
    type: 'list',
    span: expr.span,
    role: spot.owner.role,
    adapter: spot.owner.adapter,
    children: new Map(sites.map((s, i) => [String(i), s])),
    params: new Map(),
    grafts: [],
    called: false,
    items: sites,
  };
  return { kind: 'site', site };
}
