/** `prune ... by bisection(threshold: 0.9)`: what searches for how much is pruned, and how a candidate is tried out, as plain data. */

import { SEARCHES } from '../../../ir/prune.js';
import type { SearchSettings } from '../../elaborated.js';
import { lookup } from '../../lookup.js';
import type { Engine } from '../evaluate/engine.js';
import type { Pruning } from '../sites/masks/settings.js';
import { type Forms, formOf, type Options } from './forms.js';

/** How candidates are tried out, whatever proposes them: `recover` in epochs, of so many `images`. */
const TRYING: Options = {
  after: 'whole',
  recover: 'count',
  images: 'count',
  similarity: ['cosine', 'linear_cka'],
};
/** Where a search ends at the latest: after so many candidates, steps of training, seconds. */
const BUDGET: Options = { most: 'count', steps: 'count', seconds: 'positive' };

const DEFAULTS = { after: 16, recover: 5 } as const;

const NEEDED = ['rate', 'rates'];

/** The search of a model, if a `prune` statement has one. @param epochs of the whole run */
export function searchOf(engine: Engine, prunings: readonly Pruning[], epochs: number): SearchSettings | undefined {
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
  const forms: Forms = Object.fromEntries(
    Object.entries<Options>(SEARCHES).map(([name, own]) => [name, { ...own, ...TRYING, ...BUDGET }]),
  );
  const { form, options } = formOf(engine, 'by', by, forms, first.scope, NEEDED);
  const after = (options.after as number | undefined) ?? Math.min(DEFAULTS.after, Math.floor(epochs / 2));
  if (after >= epochs) {
    engine.report.stop('ESP1135', { after, epochs }, { primary: { span: by.span, text: 'this search' } });
  }
  const own = Object.keys(lookup<Options>(SEARCHES, form)!);
  return {
    controller: { form, options: pick(options, own), span: by.span },
    after,
    recover: (options.recover as number | undefined) ?? DEFAULTS.recover,
    ...(options.images === undefined ? {} : { images: options.images as number }),
    similarity: (options.similarity as SearchSettings['similarity'] | undefined) ?? 'cosine',
    budget: pick(options, Object.keys(BUDGET)) as SearchSettings['budget'],
    span: by.span,
  };
}

const pick = <T>(from: Readonly<Record<string, T>>, names: readonly string[]): Readonly<Record<string, T>> =>
  Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]])));
