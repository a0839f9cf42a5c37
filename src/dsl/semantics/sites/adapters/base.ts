/** What `base` means inside of an adapter: a layer that can be called with other weights, and its weights with the adapters below merged in. */

import { nearest } from '../../../../diagnostics/suggest.js';
import { showPath } from '../../../../ir/path.js';
import type { Value } from '../../../../ir/types.js';
import type { Span } from '../../../ast.js';
import type { ArgVal } from '../../evaluate/engine.js';
import { type LayerSite, num, type PartSite, type Site, tensorVal, type Val } from '../../evaluate/values.js';
import type { Tracer } from '../memo.js';
import { frameOf } from '../modules/call.js';
import { oneTensor, runLayer } from '../modules/layer.js';
import { isLayer, layerSizes } from '../walk.js';
import { callBelow } from './call.js';
import { adaptersUpTo, mergedBias, mergedWeight } from './merged.js';

const hasWeight = (site: Site): site is LayerSite | PartSite =>
  isLayer(site) && (site.kind === 'part' ? site.whole : site).params.has('weight');

/** `base(x)`, or `base(x, weight: V)`: the layer with another weight, keeping its stride, groups and bias. */
export function callBase(engine: Tracer, site: Site, level: number, args: readonly ArgVal[], span: Span): Val {
  const replaced = args.filter((a) => a.name === 'weight' || a.name === 'bias');
  if (replaced.length === 0) return callBelow(engine, site, level, args, span);
  if (!hasWeight(site)) {
    engine.report.stop(
      'ESP0333',
      { site: showPath(site.path), what: replaced[0]!.name! },
      { primary: { span: replaced[0]!.span, text: 'given here' } },
    );
  }
  const x = oneTensor(
    engine,
    site,
    args.filter((a) => !replaced.includes(a)),
    span,
  );
  const one = (name: string): Value | undefined => {
    const a = replaced.find((r) => r.name === name);
    return a && engine.tensor(a.value, a.span);
  };
  const weight = one('weight') ?? mergedWeight(engine, site, level, span);
  const bias = one('bias') ?? mergedBias(engine, site, level, span);
  site.called = true;
  // The caller is the adapter above this level.
  const frame = { ...frameOf(site), inside: adaptersUpTo(site, level + 1) };
  return engine.within(frame, () => tensorVal(runLayer(engine, site, x, weight, bias, span)));
}

const MEMBERS = ['weight', 'bias', 'parts', 'in', 'out', 'axis', 'kernel', 'groups'];

/** Sizes of a convolution's kernel, one for each axis of places, and how many groups its channels are in; undefined for other layers. */
function kernelOf(site: Site): { readonly sizes: readonly number[]; readonly groups: number } | undefined {
  if (site.kind !== 'layer' || !site.layer.weighted) return undefined;
  const [, read, ...sizes] = site.params.get('weight')?.type.shape ?? [];
  return read === undefined || sizes.length === 0 ? undefined : { sizes, groups: site.layer.in / read };
}

export function baseMember(engine: Tracer, site: Site, level: number, member: string, span: Span): Val {
  if (!MEMBERS.includes(member)) {
    const near = nearest(member, MEMBERS);
    return engine.report.stop(
      'ESP0215',
      { member, of: "the adapter's base" },
      {
        primary: { span, text: 'no such member' },
        help: near === undefined ? [`It has: ${MEMBERS.join(', ')}.`] : [`Did you mean \`${near}\`?`],
      },
    );
  }
  if (!isLayer(site) || ((member === 'weight' || member === 'bias') && !hasWeight(site))) {
    return engine.report.stop(
      'ESP0333',
      { site: showPath(site.path), what: member },
      { primary: { span, text: 'asked for here' } },
    );
  }
  switch (member) {
    case 'weight':
      return tensorVal(mergedWeight(engine, site, level, span));
    case 'bias': {
      const bias = mergedBias(engine, site, level, span);
      // A missing bias is structurally zero: adding it adds nothing.
      return bias ? tensorVal(bias) : num(0);
    }
    case 'parts':
      return num(site.kind === 'layer' ? Math.max(1, site.parts.length) : 1);
    case 'axis':
      return num(site.kind === 'layer' ? site.layer.axis : -1);
    case 'kernel':
    case 'groups': {
      const kernel = kernelOf(site);
      if (!kernel)
        return engine.report.stop(
          'ESP0333',
          { site: showPath(site.path), what: member },
          { primary: { span, text: 'asked for here' } },
        );
      if (member === 'groups') return num(kernel.groups);
      return { kind: 'list', items: kernel.sizes.map((n) => num(n)) };
    }
    default:
      return num(layerSizes(site)![member as 'in' | 'out']);
  }
}
