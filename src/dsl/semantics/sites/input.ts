/** The types of what a module takes, as its forward declares them. */
import { BATCH } from '../../../ir/batch.js';
import { bindingOf } from '../../../ir/path.js';
import type { TensorType } from '../../../ir/types.js';
import type { Expr, TensorParam } from '../../ast.js';
import { forwardOf } from '../evaluate/block.js';
import type { Engine } from '../evaluate/engine.js';
import { type ModuleSite, num, Scope } from '../evaluate/values.js';
import { elementType } from '../names/words.js';

/**
 * The type of an input, for any batch; a head that does not say takes what the module that it was given takes.
 * @param i the place of `p` among the parameters of the site's forward
 */
export function inputType(engine: Engine, site: ModuleSite, p: TensorParam, i: number): TensorType {
  if (!p.shape) {
    for (const name of site.scope.ownNames()) {
      const v = site.scope.own(name);
      const below =
        v?.kind === 'site' && v.site.kind === 'module' && bindingOf(v.site.path) !== site.path ? v.site : undefined;
      const q = below && forwardOf(below.decl.body)?.params[i];
      if (below && q) return inputType(engine, below, q, i);
    }
    return engine.report.stop(
      'ESP0311',
      { name: p.name.name },
      { primary: { span: p.span, text: 'a shape is missing here' } },
    );
  }
  const scope = new Scope(site.scope);
  const shape = p.shape.map((d, axis) => {
    if (d.kind === 'name' && scope.get(d.name) === undefined) {
      if (axis > 0)
        engine.report.stop('ESP0311', { name: d.name }, { primary: { span: d.span, text: 'left open here' } });
      scope.set(d.name, num(BATCH));
      return BATCH;
    }
    return engine.dimension(engine.evaluate(d, scope), 'a size of the input', (d as Expr).span);
  });
  return { dtype: elementType(p.dtype), shape };
}
