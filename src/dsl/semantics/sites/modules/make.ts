/** Modules from their declarations. */
import type { CallExpr, ModuleDecl } from '../../../ast.js';
import type { KnownOptions } from '../../evaluate/engine.js';
import { describe } from '../../evaluate/show.js';
import { fillOptions } from '../../evaluate/types.js';
import { type ModuleSite, Scope, type Spot } from '../../evaluate/values.js';
import type { Tracer } from '../memo.js';

export function instantiate(
  engine: Tracer,
  decl: ModuleDecl,
  expr: CallExpr,
  scope: Scope,
  spot: Spot,
  { facts, preset }: KnownOptions = {},
): ModuleSite {
  engine.budget.spend('modules and parameters', expr.span);
  const stack = engine.memo.making;
  const name = decl.name.name;
  if (stack.includes(decl)) {
    engine.report.stop('ESP0225', { name }, { primary: { span: expr.span, text: `inside of \`${name}\` itself` } });
  }
  const options = fillOptions(engine, {
    of: name,
    params: decl.params,
    args: expr.args,
    scope,
    span: expr.span,
    facts,
    ...(preset ? { preset } : {}),
  });
  const body = new Scope();
  for (const [k, v] of options) body.set(k, v);
  const site: ModuleSite = {
    kind: 'module',
    path: spot.path,
    type: name,
    span: expr.span,
    role: spot.owner.role,
    adapter: spot.owner.adapter,
    children: new Map(),
    params: new Map(),
    grafts: [],
    called: false,
    decl,
    scope: body,
    detail: [...options]
      .filter(([, v]) => v.kind !== 'site' && v.kind !== 'list')
      .map(([k, v]) => `${k}: ${describe(v).replaceAll('`', '')}`)
      .join(', '),
  };
  stack.push(decl);
  try {
    const make = () => engine.runBlock(decl.body, body, site);
    // With defaults where an unreadable file would have spoken, the body is only good for finding names in it.
    if (facts?.unreadable) engine.report.muted(make);
    else engine.report.along(expr.span, `\`${name}\` is made here`, make);
  } finally {
    stack.pop();
  }
  return site;
}
