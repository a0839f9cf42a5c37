/** The body of an adapter at one site: its options, the sizes that its pattern binds, its parameters. */
import { showPath } from '../../../../ir/path.js';
import type { Expr } from '../../../ast.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { type Graft, num, Scope } from '../../evaluate/values.js';
import { Stop } from '../../report.js';
import type { Tracer } from '../memo.js';
import { matchShape } from '../modules/arguments.js';
import { layerSizes } from '../walk.js';
import { wants } from './pattern.js';

export function bodyOf(engine: Tracer, graft: Graft, args: readonly ArgVal[], level: number): Scope {
  if (graft.body === undefined) {
    graft.body = 'failed';
    graft.body = makeBody(engine, graft, args, level);
  }
  if (graft.body === 'failed') throw new Stop();
  return graft.body;
}

/** The adapter's own names at this site: options, the sizes that its pattern binds, its parameters. */
function makeBody(engine: Tracer, graft: Graft, args: readonly ArgVal[], level: number): Scope {
  const { decl, site } = graft;
  const scope = new Scope();
  for (const [name, v] of graft.args) scope.set(name, v);
  scope.set(decl.base.name, { kind: 'base', site, level: level - 1 });
  if (decl.target.kind === 'layer') {
    const sizes = layerSizes(site);
    if (sizes) {
      bindSize(engine, graft, decl.target.from, sizes.in, 'input', scope);
      bindSize(engine, graft, decl.target.to, sizes.out, 'output', scope);
    }
  } else {
    decl.target.params.forEach((p, i) => {
      const arg = args[i];
      if (!arg) {
        engine.report.stop(
          'ESP0331',
          { adapter: decl.name.name, wants: wants(decl), site: showPath(site.path), is: 'called with fewer tensors' },
          { primary: { span: graft.span, text: 'put on it here' } },
        );
      }
      if (!p.shape) return;
      matchShape(engine, decl.name.name, p, scope, arg!, (declared, found, place) =>
        engine.report.stop(
          'ESP0331',
          {
            adapter: decl.name.name,
            wants: `what is called with ${p.name.name}: ${declared}`,
            site: showPath(site.path),
            is: `called with ${found}`,
          },
          place,
        ),
      );
    });
  }
  engine.runBlock(decl.body, scope, graft.owner);
  return scope;
}

function bindSize(engine: Tracer, graft: Graft, e: Expr, size: number, which: string, scope: Scope): void {
  if (e.kind === 'name' && scope.get(e.name) === undefined) {
    scope.set(e.name, num(size));
    return;
  }
  const wanted = engine.whole(engine.evaluate(e, scope), `the ${which} size`, e.span);
  if (wanted === size) return;
  engine.report.stop(
    'ESP0331',
    {
      adapter: graft.decl.name.name,
      wants: `layers whose ${which} size is ${wanted}`,
      site: showPath(graft.site.path),
      is: `of ${which} size ${size}`,
    },
    { primary: { span: graft.span, text: 'put on it here' }, secondary: [{ span: e.span, text: 'asked for here' }] },
  );
}
