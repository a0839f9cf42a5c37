/** Messages ESP1120 to 1149: searches for how much is pruned, as a spec asks for them and as a run keeps them. */
import { entry } from './define.js';

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

export const SEARCH = {
  ESP1120: entry<{ of: string; budget: number; least: number }>({
    title: 'No budget for one candidate',
    message: (a) => `the search has a budget of ${a.budget} ${a.of}, and its first candidate takes ${a.least}`,
    help: (a) => [`Give it at least ${a.least} ${a.of}, better many times as many.`],
    explain: `A candidate is a rate that is tried out: the model is pruned by it, what is trained recovers for some epochs, and then it is judged. \`steps\` and \`most\` end a search
before the candidate that would go beyond them. A budget that is over before the first candidate finds nothing, so it is refused.

    prune base.** with magnitude(scope: global) by bisection(threshold: 0.9, recover: 1, images: 64, steps: 100)

\`recover\` and \`images\` say how many steps a candidate takes.`,
  }),
  ESP1121: entry<{ candidates: number; why: string }>({
    title: 'Nothing is pruned',
    severity: 'warning',
    message: (a) =>
      a.candidates === 0
        ? `the search ended without a candidate, so the model stays as it is: ${a.why}`
        : `none of ${plural(a.candidates, 'candidate')} was accepted, so the model stays as it is: ${a.why}`,
    help: () => [
      'Ask for less similarity (`threshold`), for smaller rates, or give each candidate more epochs to recover.',
    ],
    explain: `A search prunes by the rate that it accepts. If there is none, no weight is pruned, and training goes on with the model as it was. The journal of the search
has a line for each candidate, with its similarity and what was thought of it.`,
  }),
  ESP1122: entry<{ rates: readonly number[]; problem: string }>({
    title: 'A candidate failed',
    severity: 'warning',
    message: (a) =>
      `the candidate ${a.rates
        .slice(0, 4)
        .map((r) => `${Number((100 * r).toFixed(2))}%`)
        .join(', ')}${a.rates.length > 4 ? ', ...' : ''} failed: ${a.problem}`,
    help: () => ['The search goes on without it.'],
    explain: `While a candidate recovered something went wrong: its loss was no number, or what it gives is the same everywhere, so that nothing can be compared. It counts as
one that is not accepted. Where all fail, the rate of learning may be too large for what is left of the model.`,
  }),
  ESP1123: entry<{ saved: string; controller: string }>({
    title: 'Another search was saved',
    message: (a) => `what was saved is of a search by ${a.saved}, and this one is by ${a.controller}`,
    help: () => ['Begin a new run, or put the spec back as it was.'],
    explain:
      'A search goes on as it was begun: another controller would not know what to make of what this one has learnt.',
  }),
  ESP1124: entry<{ form: string; problem: string }>({
    title: 'Rates of a search out of order',
    message: (a) => `${a.form} has nothing to search: ${a.problem}`,
    help: () => ['The first must be smaller than the last; the rate of `amc` lies between the bounds of its layers.'],
    explain: `\`from\` and \`to\` bound the rates that are tried out.

    prune base.** with magnitude(scope: global) by recoverability(from: 10%, to: 70%, step: 5%)`,
  }),
  ESP1135: entry<{ after: number; epochs: number }>({
    title: 'A search after the last epoch',
    message: (a) =>
      `the search begins after ${plural(a.after, 'epoch')}, and the run has ${plural(a.epochs, 'epoch')} in all`,
    help: (a) => [`Begin it earlier, \`after: ${Math.max(0, a.epochs - 1)}\` at the latest, or train for more epochs.`],
    explain: `\`after\` epochs train without a mask; then the search finds out how much can be pruned, and the epochs that are left train what was pruned.

    prune base.** with magnitude(scope: global) by bisection(threshold: 0.9, after: 4)
    // and in the train block: schedule = cosine(epochs: 12)

Left out, \`after\` is 16 epochs, or half of all where there are fewer than 32.`,
  }),
  ESP1136: entry<{ model: string }>({
    title: 'Nothing has searched yet',
    message: (a) => `how much of ${a.model} is pruned is found by a search, which is a part of training`,
    help: () => [
      'Train it, and name the folder of the run: `espalier train spec.peft -o run`, then `espalier compile run -o out`.',
      'Or say how much, `sparsity: 50%`, in place of `by`.',
    ],
    explain: `With \`prune ... by ...\` the share of the weights that become zero is found while the model is trained. What works on the spec alone does not know it; the folder of
a run does, once its search has ended.`,
  }),
  ESP1137: entry<Record<never, never>>({
    title: 'Two searches',
    message: () => 'a model has one search, and this is a second one',
    help: () => ['Put all that is to be pruned under one statement; `amc` finds a share for each of its layers.'],
    explain: `A candidate of a search is judged by what the whole model gives, so two searches would judge each other's. One \`prune\` statement may select any number of layers.

    prune base.blocks[*].attn.qkv, base.blocks[*].mlp.* with magnitude(scope: global) by recoverability()`,
  }),
  ESP1138: entry<{ rates: number; targets: number }>({
    title: 'Rates of another search',
    message: (a) => `there are ${plural(a.rates, 'rate')} for a statement that prunes ${plural(a.targets, 'weight')}`,
    explain: `What a search found is one rate for all weights of its statement, or one for each of them. These are for a statement that selects others: the spec, or the files
that it uses, have changed since the run was begun.`,
  }),
};
