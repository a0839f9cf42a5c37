/** A mask over the sum of a layer and its adapters. */
import { build } from '../../../../ir/build.js';
import { input } from '../../../../ir/graph.js';
import type { Span } from '../../../ast.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { type LayerSite, tensorVal, type Val } from '../../evaluate/values.js';
import { trace } from '../adapters/call.js';
import { adaptersUpTo, linearPart, mergedOf, stopSilently, untouched } from '../adapters/merged.js';
import type { MaskedSum, Tracer } from '../memo.js';
import { frameOf } from '../modules/call.js';
import { oneTensor, runLayer } from '../modules/layer.js';
import { dropped, summands, undropped } from './dropped.js';

/** `over: sum`: the mask covers the sum of the frozen weight and all adapters on it. @param y without the mask */
export function maskSum(engine: Tracer, site: LayerSite, args: readonly ArgVal[], span: Span, y: Val): Val {
  const level = site.grafts.length;
  if (untouched(site, level)) return y;
  const x = oneTensor(engine, site, args, span);
  const memo = engine.memo.of(site);
  if (!memo.masked) {
    memo.masked = 'failed';
    memo.masked = sumOf(engine, site, args, span);
  }
  if (memo.masked === 'failed') return stopSilently();
  const about = engine.about(site.span);
  const inside = adaptersUpTo(site, level);
  const ys = memo.masked.map(({ weight, bias, through }) => {
    const masked = build.mul(weight, site.mask!.slot.value, about);
    // What comes through a dropout is of the adapter that has it, and merges as the adapter does.
    const owner = through.at(-1)?.about?.owner;
    const frame = owner ? { site: site.path, owner } : { ...frameOf(site), inside };
    return engine.within(frame, () => {
      const value = dropped(x.value, through, engine.stream);
      return runLayer(engine, site, { ...x, value }, masked, bias, span);
    });
  });
  return tensorVal(ys.reduce((sum, v) => build.add(sum, v, v.about)));
}

function sumOf(engine: Tracer, site: LayerSite, args: readonly ArgVal[], span: Span): MaskedSum {
  const first = args[0]!.value;
  const type = first.kind === 'tensor' ? first.value.type : engine.tensor(first, span).type;
  const x = input('x', type);
  const y = engine.tensor(trace(engine, site, [{ value: tensorVal(x), span }], span, site.grafts.length), span);
  const whole = mergedOf(engine, site, undropped(y), x, span);
  const parts = summands(y, x);
  if (parts.length === 1) return [{ ...whole, through: [] }];
  return parts.map(({ through, y }) => ({
    weight: linearPart(engine, site, y, x, span),
    bias: through.length === 0 ? whole.bias : undefined,
    through,
  }));
}
