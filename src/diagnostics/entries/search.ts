/** Messages ESP1135 to 1149: searches for how much is pruned, as a spec asks for them and as a run keeps them. */
import { entry } from './define.js';

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

export const SEARCH = {
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
