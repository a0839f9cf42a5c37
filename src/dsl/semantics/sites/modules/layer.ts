/** A built-in layer at work: with its own weights, or with others. */

import { build } from '../../../../ir/build.js';
import { showPath } from '../../../../ir/path.js';
import type { Value } from '../../../../ir/types.js';
import type { Span } from '../../../ast.js';
import type { ArgVal, Operand } from '../../evaluate/engine.js';
import { type LayerSite, type PartSite, type Site, tensorVal } from '../../evaluate/values.js';
import type { Tracer } from '../memo.js';

/** A layer with its own weights; a fused one with adapters on parts is put together from its parts. */
export function callLayer(engine: Tracer, site: LayerSite | PartSite, x: Operand, span: Span): Value {
  if (site.kind === 'layer' && site.parts.some((p) => p.grafts.length > 0)) {
    const ys = site.parts.map((p) => {
      const y = engine.callSite(p, [{ value: tensorVal(x.value), span: x.span }], span);
      return { value: engine.tensor(y, span), span };
    });
    return engine.trace(site.type, span, ys, (b, o) =>
      b.concat(
        ys.map((y) => y.value),
        -1,
        o,
      ),
    );
  }
  return runLayer(engine, site, x, plainWeight(engine, site), plainBias(site), span);
}

/** The layer's operator with the given weights; its stride, groups and the like stay. */
export function runLayer(
  engine: Tracer,
  site: LayerSite | PartSite,
  x: Operand,
  weight: Value | undefined,
  bias: Value | undefined,
  span: Span,
): Value {
  const whole = site.kind === 'part' ? site.whole : site;
  const rest = [...whole.params].filter(([n]) => n !== 'weight' && n !== 'bias').map(([, p]) => p.value);
  const weights = [weight, bias].flatMap((value) => (value ? [{ value, span: whole.span }] : []));
  return engine.trace(`${whole.type} ${showPath(site.path)}`, span, [x, ...weights], (_, about) =>
    whole.layer.run({ x: x.value, weight, bias, rest, about }),
  );
}

/** The frozen weight of a layer or of the rows of a part, masked if it is pruned. */
export function plainWeight(engine: Tracer, site: LayerSite | PartSite): Value | undefined {
  const whole = site.kind === 'part' ? site.whole : site;
  const slot = whole.params.get('weight');
  if (!slot) return undefined;
  const masked = whole.mask ? build.mul(slot.value, whole.mask.slot.value, engine.about(whole.span)) : slot.value;
  return site.kind === 'part' ? rowsOf(masked, site) : masked;
}

export function plainBias(site: LayerSite | PartSite): Value | undefined {
  const bias = (site.kind === 'part' ? site.whole : site).params.get('bias')?.value;
  return bias && site.kind === 'part' ? rowsOf(bias, site) : bias;
}

const rowsOf = (v: Value, part: PartSite): Value => build.sliceAxis(v, 0, part.rows[0], part.rows[1]);

/** The only argument of a layer. */
export function oneTensor(engine: Tracer, site: Site, args: readonly ArgVal[], span: Span): Operand {
  const [first, second] = args;
  if (!first)
    engine.report.stop(
      'ESP0229',
      { of: showPath(site.path), what: 'a tensor' },
      { primary: { span, text: 'called with nothing' } },
    );
  const extra = second ?? (first?.name === undefined ? undefined : first);
  if (extra) {
    if (extra.name !== undefined) {
      engine.report.stop(
        'ESP0203',
        { option: extra.name, of: showPath(site.path) },
        { primary: { span: extra.span, text: 'a layer takes a tensor and nothing else' } },
      );
    }
    engine.report.stop(
      'ESP0209',
      { of: showPath(site.path), most: 1, found: args.length },
      { primary: { span: extra.span, text: 'one too many' } },
    );
  }
  return { value: engine.tensor(first!.value, first!.span), span: first!.span };
}
