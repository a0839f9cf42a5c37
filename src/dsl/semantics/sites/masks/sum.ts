import { build } from '../../../../ir/build.js';
import { input } from '../../../../ir/graph.js';
import type { Span } from '../../../ast.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { type LayerSite, tensorVal, type Val } from '../../evaluate/values.js';
import { trace } from '../adapters/call.js';
import { adaptersUpTo, affine, stopSilently, untouched } from '../adapters/merged.js';
import type { Tracer } from '../memo.js';
import { frameOf } from '../modules/call.js';
import { oneTensor, runLayer } from '../modules/layer.js';

/** A mask over the sum of a layer and its adapters. */

/** `over: sum`: the mask covers the sum of the frozen weight and all adapters on it. */
export function maskSum(engine: Tracer, site: LayerSite, args: readonly ArgVal[], span: Span, y: Val): Val {
  const level = site.grafts.length;
  if (untouched(site, level)) return y;
  const x = oneTensor(engine, site, args, span);
  const first = args[0]!.value;
  const memo = engine.memo.of(site).merged;
  let found = memo.get(level);
  if (!found) {
    if (memo.has(level)) stopSilently();
    memo.set(level, undefined);
    const type = first.kind === 'tensor' ? first.value.type : engine.tensor(first, span).type;
    const probe = input('x', type);
    const unmasked = trace(engine, site, [{ value: tensorVal(probe), span }], span, level);
    found = affine(engine, site, engine.tensor(unmasked, span), probe, span);
    memo.set(level, found);
  }
  const weight = build.mul(found.weight, site.mask!.slot.value, engine.about(site.span));
  const frame = { ...frameOf(site), inside: adaptersUpTo(site, level) };
  return engine.within(frame, () => tensorVal(runLayer(engine, site, x, weight, found.bias, span)));
}
