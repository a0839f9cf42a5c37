/** Messages ESP08xx: finding masks. What a `prune` statement may say is checked by the language (ESP034x). */
import { entry } from './define.js';

const at = (index: readonly number[]): string => `[${index.join(', ')}]`;
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
    title: 'A criterion needs calibration data',
    message: (a) => `\`${a.criterion}\` reads ${a.needs}, and nothing gives it for ${a.site}`,
    help: () => [
      'Find the mask where calibration data is, and name its file: prune ... with ... from "./masks.safetensors".',
    ],
    explain: `Some criteria score a weight by what flows through its layer (Wanda) or by the gradient of the loss. That comes from calibration data, which
a compilation does not have.

    criterion wanda(weight: [out, in], input) = abs(weight) * norm(input, axes: all but last)

Pass the statistics to \`findMasks\`, use a criterion of the weight alone (\`magnitude\`), or give a mask file with \`from\`.`,
  }),
  ESP0804: entry<{ criterion: string; needs: string; expected: readonly number[]; found: readonly number[] }>({
    title: 'Calibration data of the wrong shape',
    message: (a) => `\`${a.criterion}\` reads ${a.needs}: ${at(a.expected)}, and gets ${at(a.found)}`,
    explain: `What was collected over the calibration data does not have the shape that the criterion declares for this layer: usually statistics of another
layer, or of outputs where inputs are wanted.

    criterion wanda(weight: [out, in], input: [tokens, in]) = ...`,
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
};
