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
