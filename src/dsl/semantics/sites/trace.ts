/** Tracing a site with what lies on it: its adapters, and a mask over their sum. */
import type { Span } from '../../ast.js';
import type { ArgVal } from '../evaluate/engine.js';
import type { Site, Val } from '../evaluate/values.js';
import { keyOf, remembered, trace } from './adapters/call.js';
import { maskSum } from './masks/sum.js';
import type { Tracer } from './memo.js';

/** Traces a site with its first `level` adapters (all, if not said). Calling it again with the same tensors gives the same values. */
export function callSite(
  engine: Tracer,
  site: Site,
  args: readonly ArgVal[],
  span: Span,
  level: number = site.grafts.length,
): Val {
  if (level < site.grafts.length) return trace(engine, site, args, span, level);
  const { value, inside } = engine.memo.noting(() => whole(engine, site, args, span));
  engine.memo.note([{ site, value, inside }]);
  return value;
}

function whole(engine: Tracer, site: Site, args: readonly ArgVal[], span: Span): Val {
  const all = () => trace(engine, site, args, span, site.grafts.length);
  if (site.kind !== 'layer' || site.mask?.over !== 'sum') return all();
  return remembered(engine, site, keyOf('masked', args), () => maskSum(engine, site, args, span, all()));
}
