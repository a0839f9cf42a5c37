/** The part of a report about a search for how much is pruned: its picture, what it found, its candidates. */
import { type JournalLine, rateOf } from '../../search/journal.js';
import { searchPicture } from '../../search/picture.js';
import type { PrunedEvent } from '../train/events.js';
import { Html, html } from './html.js';
import { count, percent } from './numbers.js';

/** A search of a run, as far as it has come. */
export interface SearchReport {
  /** As the spec writes it. */
  readonly controller: string;
  /** The least similarity that was asked for, where the controller has one. */
  readonly threshold?: number;
  readonly candidates: readonly JournalLine[];
  /** What it found; absent while it is under way. */
  readonly pruned?: PrunedEvent;
}

const digits = (x: number | undefined): string => (x === undefined ? '–' : x.toFixed(4));

export function searchSection(search: SearchReport | undefined): Html | undefined {
  if (!search) return undefined;
  const { controller, threshold, candidates, pruned } = search;
  const found = !pruned
    ? 'It has not ended.'
    : pruned.rates.length === 0
      ? `Nothing is pruned: ${pruned.why}.`
      : `${percent(pruned.zeros / pruned.elements)} of ${count(pruned.elements)} weights are pruned: ${pruned.why}.`;
  const took = pruned
    ? ` ${count(pruned.candidates)} candidates took ${count(pruned.steps)} steps and ${count(pruned.images)} image-steps.`
    : '';
  const agent = candidates.some((c) => c.action !== undefined);
  const picture =
    candidates.length === 0 ? '' : searchPicture(candidates, { threshold, rates: pruned ? pruned.rates : undefined });
  const head = [
    '',
    'pruned',
    'similarity',
    'loss',
    'score',
    ...(agent ? ['action', 'reward', 'value of retain', 'of prune'] : []),
    '',
  ];
  return html`<section><h2>How much is pruned (${controller})</h2><p class="soft">${found}${took}</p>${new Html(picture)}<div class="scroll"><table class="grid"><thead><tr>${head.map(
    (h) => html`<th>${h}</th>`,
  )}</tr></thead><tbody>${candidates.map((c) => {
    const cells = [
      String(c.number),
      percent(rateOf(c)),
      c.problem ?? digits(c.similarity),
      digits(c.loss?.recovered),
      digits(c.score),
      ...(agent ? [c.action ?? '–', digits(c.reward), digits(c.values?.retain), digits(c.values?.prune)] : []),
      c.accepted ? 'accepted' : '',
    ];
    return html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  })}</tbody></table></div></section>`;
}
