/** Statements: bindings, loops, branches and labelled sites, in a module's body, a forward or a block. */
import type { BindStmt, ForwardStmt, Stmt } from '../../ast.js';
import { Refused, Stop } from '../report.js';
import type { Engine } from './engine.js';
import { turns } from './evaluate.js';
import { destructure } from './indexing.js';
import { type LabelSite, type ModuleSite, num, type Owner, POISON, type Scope, type Spot, type Val } from './values.js';

/** As `Report.attempt`, but a requirement that does not hold ends the whole body. */
function attemptUnlessRefused(work: () => void): void {
  try {
    work();
  } catch (e) {
    if (!(e instanceof Stop) || e instanceof Refused) throw e;
  }
}

interface Run {
  readonly engine: Engine;
  readonly scope: Scope;
  /** The module or adapter whose body this is; absent in a forward and in blocks of expressions. */
  readonly owner?: Owner | undefined;
  /** Where the value of the last expression will live. */
  readonly spot?: Spot | undefined;
}

/**
 * Runs statements in a scope. A statement that fails binds its names to nothing and the next one goes on; the last one's failure is
 * the block's.
 */
export function runBlock(
  engine: Engine,
  statements: readonly Stmt[],
  scope: Scope,
  owner?: Owner,
  spot?: Spot,
): Val | undefined {
  const run: Run = { engine, scope, owner, spot };
  let last: Val | undefined;
  statements.forEach((s, i) => {
    if (i === statements.length - 1 && !owner) last = statement(run, s);
    else attemptUnlessRefused(() => statement(run, s));
  });
  return last;
}

function statement(run: Run, s: Stmt): Val | undefined {
  const { engine, scope } = run;
  switch (s.kind) {
    case 'bind':
      bind(run, s);
      return undefined;
    case 'expr':
      return engine.evaluate(s.value, scope, run.spot);
    case 'if_stmt': {
      const holds = engine.truth(engine.evaluate(s.condition, scope), 'a condition', s.condition.span);
      return runBlock(engine, (holds ? s.then : s.otherwise) ?? [], scope, run.owner, run.spot);
    }
    case 'for': {
      const n = turns(engine, engine.evaluate(s.generator.limit, scope), s.generator.limit);
      const name = s.generator.name.name;
      const before = scope.own(name);
      engine.budget.loop(n, s.generator.span, () => {
        for (let i = 0; i < n; i++) {
          scope.set(name, num(i));
          runBlock(engine, s.body, scope, run.owner);
        }
      });
      if (before) scope.set(name, before);
      else scope.remove(name);
      return undefined;
    }
    case 'site': {
      const owner = run.owner;
      if (!owner || !isModule(owner)) {
        return engine.report.stop(
          'ESP0220',
          { what: '`site`', where: owner ? 'an adapter' : 'a forward' },
          { primary: { span: s.span, text: 'here' } },
        );
      }
      const label: LabelSite = {
        kind: 'label',
        path: `${owner.path}.${s.name.name}`,
        type: 'site',
        span: s.name.span,
        role: owner.role,
        adapter: owner.adapter,
        children: new Map(),
        params: new Map(),
        grafts: [],
        called: false,
        owner,
        stmt: s,
      };
      if (taken(run, s.name.name, s.name.span)) return undefined;
      scope.set(s.name.name, { kind: 'site', site: label });
      owner.children.set(s.name.name, label);
      return undefined;
    }
    case 'forward':
      if (!run.owner) {
        engine.report.stop(
          'ESP0220',
          { what: '`forward`', where: 'a forward or a block' },
          { primary: { span: s.span, text: 'here' } },
        );
      }
      return undefined;
    case 'error':
      for (const n of s.names) if (!scope.own(n)) scope.set(n, POISON);
      return undefined;
  }
}

const isModule = (o: Owner): o is ModuleSite => (o as { kind?: string }).kind === 'module';

/** In a body every name is a path, so it is bound once; an option may not be bound again either. */
function taken(run: Run, name: string, span: Stmt['span']): boolean {
  if (!run.owner) return false;
  const known = run.scope.own(name);
  if (!known || known === POISON) return false;
  const first = known.kind === 'site' ? known.site.span : run.owner.params.get(name)?.span;
  if (!first) return false;
  const secondary = [{ span: first, text: 'bound first to this' }];
  run.engine.report.stop('ESP0206', { name }, { primary: { span, text: 'bound again here' }, secondary });
}

function bind(run: Run, s: BindStmt): void {
  const { engine, scope, owner } = run;
  const fail = () => {
    for (const n of s.names) if (!scope.own(n.name)) scope.set(n.name, POISON);
  };
  const done = engine.report.attempt(() => {
    const first = s.names[0]!;
    for (const n of s.names) taken(run, n.name, n.span);
    const spot = owner && s.names.length === 1 ? { owner, path: `${owner.path}.${first.name}` } : undefined;
    const value = engine.evaluate(s.value, scope, spot);
    if (s.names.length === 1) {
      if (spot && value.kind === 'site' && value.site.path === spot.path) owner!.children.set(first.name, value.site);
      scope.set(first.name, value.kind === 'table' && spot ? { ...value, name: spot.path } : value);
      return true;
    }
    const values = destructure(engine, value, s.names.length, s.value.span);
    s.names.forEach((n, i) => {
      scope.set(n.name, values[i]!);
    });
    return true;
  });
  if (!done) fail();
}

/** The forward of a body. */
export const forwardOf = (body: readonly Stmt[]): ForwardStmt | undefined =>
  body.find((s): s is ForwardStmt => s.kind === 'forward');

/** The forward of a body that needs one; `missing` reports that there is none, unless it is what could not be read. */
export function requireForward(body: readonly Stmt[], missing: () => never): ForwardStmt {
  const forward = forwardOf(body);
  if (forward) return forward;
  if (body.some((s) => s.kind === 'error')) throw new Stop();
  return missing();
}
