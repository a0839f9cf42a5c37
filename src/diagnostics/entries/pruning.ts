/** Messages ESP08xx: finding masks; ESP1120 to 1149: searches for how much is pruned. What a `prune` statement may say is checked by the language (ESP034x). */
import { entry } from './define.js';

const at = (index: readonly number[]): string => `[${index.join(', ')}]`;
const percentOf = (rate: number): string => `${Number((100 * rate).toFixed(2))}%`;
const many = (count: number, what: string): string => (count === 1 ? `one ${what}` : `${count} ${what}s`);

export const PRUNING = {
  ESP0800: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),
  ESP0801: entry<{ param: string; count: number; index: readonly number[] }>({
    title: 'A weight to prune is not finite',
    message: (a) =>
      `${a.param} holds ${many(a.count, 'value')} that ${a.count === 1 ? 'is' : 'are'} not finite, the first at ${at(a.index)}`,
    help: () => ['Prune a checkpoint whose training did not diverge.'],
    explain: `Masks are found by ranking scores of the checkpoint's weights, and NaN or infinity has no rank. Such a weight usually comes from a training
run that diverged, or from a file that was written in a precision too small for it.

    prune mlp.fc1 with magnitude(sparsity: 50%)      // and base.mlp.fc1.weight[3, 17] is NaN

Take another checkpoint, or repair this one before pruning it.`,
  }),
  ESP0802: entry<{ criterion: string; param: string; count: number; index: readonly number[] }>({
    title: 'A criterion gives NaN',
    message: (a) =>
      `\`${a.criterion}\` gives NaN for ${many(a.count, 'element')} of ${a.param}, the first at ${at(a.index)}`,
    explain: `The weights are finite, but the criterion's formula is undefined for some of them, so they have no rank.

    criterion logarithm(weight) = log(weight)        // NaN for every negative weight

Write the formula so that it is defined everywhere: log(abs(weight)).`,
  }),
  ESP0803: entry<{ criterion: string; needs: string; site: string }>({
    title: 'What was gathered is not there',
    message: (a) => `\`${a.criterion}\` reads ${a.needs}, and nothing gives it for ${a.site}`,
    explain: `A score reads what calibration gathered of what its layer reads. In a spec, \`calibration\` sees to that; whoever calls \`findMasks\` in code
passes it as \`statistics\`.

    prune base.blocks[*].mlp.fc1 with wanda(sparsity: 50%, calibration: "./images")`,
  }),
  ESP0804: entry<{ criterion: string; needs: string; expected: readonly number[]; found: readonly number[] }>({
    title: 'What was gathered has another shape',
    message: (a) => `\`${a.criterion}\` reads ${a.needs}: ${at(a.expected)}, and gets ${at(a.found)}`,
    explain: `What was passed to \`findMasks\` as \`statistics\` does not have the shape that the score reads for this layer: usually what was gathered for
another layer.

    findMasks(jobs, { params, statistics: (target, name) => gathered.get(target.mask)!.get(name) })`,
  }),
  ESP0805: entry<{ sites: readonly string[] }>({
    title: 'A layer is pruned away',
    severity: 'warning',
    message: (a) => `every weight of ${a.sites.join(', ')} is pruned`,
    help: () => ['Use `scope: layer`, or a lower sparsity.'],
    explain: `One count over several weights (\`scope: global\`) takes the lowest scores wherever they are. A layer whose weights are all smaller than the others'
loses all of them, and then gives its bias for every input.

    prune blocks[*].mlp.fc1 with magnitude(sparsity: 95%, scope: global)`,
  }),
  ESP0806: entry<{ sparsity: number; scope: string; block: boolean }>({
    title: 'Nothing is pruned',
    severity: 'warning',
    message: (a) =>
      `${Number((100 * a.sparsity).toPrecision(6))}% of ${a.scope === 'global' ? 'all weights' : a.scope === 'row' ? 'a row' : 'a weight'} is less than one ${a.block ? 'block' : 'element'}: nothing is pruned`,
    explain: `The number of zeros is rounded down, and blocks go whole. A small sparsity of a small weight, or of one with few large blocks, comes to less than
one.

    prune head.fc with magnitude(sparsity: 5%, shape: block(16, 16))      // of a 16x64 weight: 5% of 4 blocks`,
  }),
  ESP0807: entry<{ sites: readonly string[] }>({
    title: 'No image reaches a layer',
    message: (a) =>
      `nothing that the model gives is computed by way of ${a.sites.join(', ')}, so no image reaches ${a.sites.length === 1 ? 'it' : 'them'}`,
    help: () => ['Select the layers that the model uses, or prune these with a criterion of the weight alone.'],
    explain: `A criterion that asks for \`input\` is calibrated with what a layer reads while the model computes its results. A layer whose result
nothing reads is not computed, so there is nothing to say of what it reads.

    side = side_branch(x)          // and the forward ends without \`side\``,
  }),
  ESP0808: entry<{ why: string }>({
    title: 'Nothing to calibrate with images',
    message: (a) => `cannot calibrate with images: ${a.why}`,
    help: () => [
      'Prune with a criterion of the weight alone, or give a mask file: prune ... from "./mask.safetensors".',
    ],
    explain: `\`calibration\` shows the model pictures of a folder, prepared by the backbone's \`preprocess\`. A model of other inputs, or of several, has no
use for them; and a page, which has no folders, prunes by a mask file.

    prune base.fc with magnitude(sparsity: 50%)
    prune base.fc with wanda(sparsity: 50%) from "./mask.safetensors"`,
  }),
};

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
  ESP1139: entry<Record<never, never>>({
    title: 'Features in a run with a search',
    severity: 'warning',
    message: () =>
      'nothing is computed once in this run: a search changes what is frozen, so `cache` has nothing to keep',
    help: () => ['Leave `cache` out, or train what is found in a run of its own, with `sparsity` in place of `by`.'],
    explain: `What is frozen up to some point gives the same for the same image in every epoch, and \`cache\` says where that is kept. A search prunes what is frozen, once for each candidate
and once in the end, so a run that has one computes all of it in every step.`,
  }),
  ESP1140: entry<{ choose: number; last: number; to: number; needed: number }>({
    title: 'A search that ends before its last rate',
    severity: 'warning',
    message: (a) =>
      `the agent chooses among ${plural(a.choose, 'candidate')}, so it comes to ${percentOf(a.last)} at the most, and \`to\` is ${percentOf(a.to)}`,
    help: (a) => [`Let it choose among all, \`choose: ${a.needed}\`, or say \`to: ${percentOf(a.last)}\`.`],
    explain: `Candidates that are \`progressive\` grow from \`from\` by \`step\`, and \`choose\` is how many the agent looks at once it has learnt. With fewer of them than there are rates, the
largest rates are never chosen, however well the model recovers from them.

    by recoverability(from: 10%, to: 80%, step: 10%, choose: 8)`,
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
