/** What sites inside of a module give when it is called. */
import { showPath } from '../../../ir/path.js';
import type { Span } from '../../ast.js';
import type { ArgVal } from '../evaluate/engine.js';
import type { Site, Val } from '../evaluate/values.js';
import type { Traced, Tracer } from './memo.js';
import { callSite } from './trace.js';

/** A site that is to be read, and where it was said. */
export interface Tap {
  readonly site: Site;
  readonly span: Span;
}

/**
 * Calls a module, and gives of each tap what it gave in this call, with its adapters. A call with tensors that the module was called with before is that call, so
 * nothing is computed twice, and what none of the results needs is computed by nobody.
 */
export function tapped(
  engine: Tracer,
  site: Site,
  args: readonly ArgVal[],
  taps: readonly Tap[],
  span: Span,
): readonly Val[] {
  const { inside } = engine.memo.noting(() => callSite(engine, site, args, span));
  engine.memo.note(inside);
  const found = new Map<Site, Set<Val>>(taps.map((tap) => [tap.site, new Set()]));
  const seen = new Set<readonly Traced[]>();
  const visit = (calls: readonly Traced[]): void => {
    if (seen.has(calls)) return;
    seen.add(calls);
    for (const call of calls) {
      found.get(call.site)?.add(call.value);
      visit(call.inside);
    }
  };
  visit(inside);
  return taps.map((tap) => {
    const values = [...found.get(tap.site)!];
    const names = { site: showPath(tap.site.path), of: showPath(site.path) };
    const place = { primary: { span: tap.span, text: 'read here' }, secondary: [{ span, text: 'of this call' }] };
    if (values.length === 0) return engine.report.stop('ESP0380', names, place);
    if (values.length > 1) return engine.report.stop('ESP0381', { ...names, times: values.length }, place);
    return values[0]!;
  });
}
