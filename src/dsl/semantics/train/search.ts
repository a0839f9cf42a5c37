/** `prune ... by bisection(threshold: 0.9)`: what searches for how much is pruned, how a candidate is tried out, and what it is compared by. */

import { BATCH } from '../../../ir/batch.js';
import { showType } from '../../../ir/ops/shapes.js';
import { SEARCH_DEFAULTS, SEARCHES } from '../../../ir/prune.js';
import type { Value } from '../../../ir/types.js';
import type { Arg, CallExpr, Expr, Span } from '../../ast.js';
import type { SearchSettings } from '../../elaborated.js';
import { lookup } from '../../lookup.js';
import { BUDGET, BY, FEATURE, NEEDED, type Options } from '../../settings.js';
import type { Engine } from '../evaluate/engine.js';
import { describe } from '../evaluate/show.js';
import type { Scope, Site, Val } from '../evaluate/values.js';
import { wrong } from '../models/settings.js';
import type { Pruning } from '../sites/masks/settings.js';
import { formOf } from './forms.js';

const OUTPUT = 'output';

const DEFAULTS = { after: 16, recover: 5 } as const;

export interface Search {
  readonly settings: SearchSettings;
  /** What a site gives for each image, where that is what is compared. */
  readonly feature?: Value;
}

/**
 * The search of a model, if a `prune` statement has one.
 * @param epochs of the whole run
 * @param tap what a site of the model gives; reports and stops where it gives nothing
 */
export function searchOf(
  engine: Engine,
  prunings: readonly Pruning[],
  epochs: number,
  tap: (site: Site, span: Span) => Val,
): Search | undefined {
  const searched = prunings.filter((p) => p.stmt.by);
  const [first, second] = searched;
  if (!first) return undefined;
  const by = first.stmt.by!;
  if (second) {
    engine.report.stop(
      'ESP1137',
      {},
      {
        primary: { span: second.stmt.by!.span, text: 'and here' },
        secondary: [{ span: by.span, text: 'searched here' }],
      },
    );
  }
  const [asked, plain] = featureOf(by);
  const { form, options } = formOf(engine, 'by', plain, BY, first.scope, NEEDED.by);
  const after = (options.after as number | undefined) ?? Math.min(DEFAULTS.after, Math.floor(epochs / 2));
  if (after >= epochs) {
    engine.report.stop('ESP1135', { after, epochs }, { primary: { span: by.span, text: 'this search' } });
  }
  if (form === 'recoverability') warnOfFewer(engine, options, by);
  const own = Object.keys(lookup<Options>(SEARCHES, form)!);
  const feature = asked && tappedBy(engine, asked.value, first.scope, tap);
  const settings: SearchSettings = {
    controller: { form, options: pick(options, own), span: by.span },
    after,
    recover: (options.recover as number | undefined) ?? DEFAULTS.recover,
    ...(options.images === undefined ? {} : { images: options.images as number }),
    similarity: (options.similarity as SearchSettings['similarity'] | undefined) ?? 'cosine',
    fresh: options.optimizer === 'fresh',
    budget: pick(options, Object.keys(BUDGET)) as SearchSettings['budget'],
    span: by.span,
  };
  return { settings, ...(feature ? { feature } : {}) };
}

/** The option whose value is a site, and the rest, which is plain data. */
function featureOf(by: CallExpr): [Arg | undefined, CallExpr] {
  const asked = by.args.find((a) => a.name?.name === FEATURE);
  return [asked, asked ? { ...by, args: by.args.filter((a) => a !== asked) } : by];
}

/** Undefined for `output`. */
function tappedBy(engine: Engine, e: Expr, scope: Scope, tap: (site: Site, span: Span) => Val): Value | undefined {
  if (e.kind === 'name' && e.name === OUTPUT) return undefined;
  const v = engine.evaluate(e, scope);
  if (v.kind !== 'site') return wrong(engine, FEATURE, '`output`, or a site such as `base.neck`', describe(v), e.span);
  const value = engine.tensor(tap(v.site, e.span), e.span);
  // Windows or patches of a picture, as samples of their own, are no maps of it.
  if (value.type.dtype === 'f32' && value.type.shape[0] === BATCH) return value;
  return wrong(
    engine,
    FEATURE,
    'a site that gives f32 numbers, a row for each image',
    `\`${showType(value.type)}\``,
    e.span,
  );
}

/** Of rates that grow step by step, those that an agent can come to when it chooses. */
function warnOfFewer(engine: Engine, options: Readonly<Record<string, unknown>>, by: CallExpr): void {
  const { candidates, from, to, step, choose } = { ...SEARCH_DEFAULTS.recoverability, ...options } as Agent;
  if (candidates !== 'progressive') return;
  const last = from + (choose - 1) * step;
  // Rates are sums of steps, which are rounded.
  if (last + step > to + 1e-9) return;
  engine.report.add(
    'ESP1140',
    { choose, last, to, needed: Math.floor((to - from) / step + 1 + 1e-9) },
    {
      primary: { span: by.span, text: 'this search' },
    },
  );
}

interface Agent {
  readonly candidates: string;
  readonly from: number;
  readonly to: number;
  readonly step: number;
  readonly choose: number;
}

const pick = <T>(from: Readonly<Record<string, T>>, names: readonly string[]): Readonly<Record<string, T>> =>
  Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
