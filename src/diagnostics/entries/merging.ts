/** Messages ESP04xx. */
import { entry } from './define.js';

export const MERGING = {
  ESP0401: entry<{ adapter: string; site: string; op: string; reason: string }>({
    title: 'An adapter cannot merge',
    severity: 'warning',
    message: (a) => `cannot merge ${a.adapter} at ${a.site}: ${a.op} stands in the way`,
    help: (a) => [
      `${a.op}: ${a.reason}.`,
      'The adapter stays beside its layer and runs with it. That is correct, and costs its own operators.',
    ],
    explain: `Merging is algebra: an adapter disappears into a layer where the layer's result is still a matrix
times its input plus a constant. Each operator on the way either keeps that form (a linear layer, a sum, a scale for each
channel, a change of layout that leaves the channels together) or ends it. The message names the operator that ends it.

An example: a bottleneck with an activation between its two layers.

    forward(x) { base(x) + up(relu(down(x))) }

\`relu\` is not affine, so no weight of \`base\` can do the same. Leave the activation out, or accept that the adapter stays.

Another: a shift in front of windows that are padded with zeros. The padding would be 0 before the shift and not after it, so
the shift stays where it is. Leave the shift out, or put the adapter behind the windows.`,
  }),
  ESP0402: entry<{ layer: string }>({
    title: 'Merging created a bias',
    severity: 'note',
    message: (a) => `merging gives a bias to ${a.layer}, which had none`,
    explain: `A shift that merges into a layer becomes part of its bias. This layer had none, so one was created: the program
adds it like any other. A checkpoint of the merged model holds one tensor more than that of the base.

An example: a layer without bias under an adapter that ends in \`y + t\`.

    proj = Linear(dim -> dim, bias: false)

Where the layout of the base has to be kept exactly, use the adapter without its shift.`,
  }),
  ESP0403: entry<{ site: string; difference: number; tolerance: number }>({
    title: 'A merged layer differs',
    message: (a) =>
      `the merged ${a.site} differs from the layer with its adapter by ${a.difference.toExponential(1)}, more than ${a.tolerance.toExponential(1)}`,
    help: () => [
      'Weights of very different sizes can cause this in half precision; store them as f32. Otherwise this is a defect: please report it.',
    ],
    explain: `Before a merged weight is used, the layer and its merged form are computed for a few random tokens in double
precision, the merged one with its weights rounded as they will be stored. They differ by more than rounding explains, so the
merge is refused.

With \`weights = f16\` large factors may be the reason: a scale of 10,000 leaves no room for the weight's own digits.

    deploy Flowers { weights = f32 }`,
  }),
  ESP0404: entry<{ site: string; parameter?: string }>({
    title: 'A merged layer is not finite',
    message: (a) =>
      a.parameter
        ? `cannot merge at ${a.site}: ${a.parameter} holds a value that is not finite`
        : `cannot merge at ${a.site}: the merged layer gives values that are not finite`,
    help: (a) => [
      a.parameter
        ? 'A training run that diverged leaves such files. Take an earlier checkpoint.'
        : 'The parameters are finite, their product is too large for the precision in which the weight is stored.',
    ],
    explain: `A merged weight would hold NaN or infinity, and every result after it too, so the merge is refused.

The usual cause is an adapter from a training run that diverged: one NaN in a factor of rank 4 spoils a whole weight. The other is
a weight that is too large for half precision, whose largest number is 65,504.

Take an earlier checkpoint of the adapter; or, if only the precision is too small, store weights as f32.`,
  }),
  ESP0406: entry<{ adapter: string; site: string }>({
    title: 'An adapter cannot stay in factors',
    severity: 'warning',
    message: (a) => `${a.adapter} at ${a.site} cannot be kept as factors: its product is part of the weight`,
    help: () => ['It is merged instead. A mask over the sum, or a norm of the sum, needs the sum.'],
    explain: `\`adapters = factored\` keeps an adapter beside its layer: y = W x + (what the adapter adds to x). That works where the
adapter's weight is added. Here it is multiplied with something of the weight's own size, or its norm is taken, and that needs every
element of the sum.

An example: a mask over base and adapter together.

    prune mlp.fc1 with magnitude(sparsity: 50%, over: sum)

Use \`over: base\`, or \`adapters = merged\`.`,
  }),
  ESP0407: entry<{ zeros: number }>({
    title: 'Adapters over a pruned base',
    severity: 'warning',
    message: (a) =>
      `merging fills in ${a.zeros.toLocaleString('en-US')} zeros of the pruned base, and nothing says that it may`,
    help: () => [
      'Write under `deploy` which one you want; the summary says what each costs: `adapters = merged`, dense weights; `adapters = factored`, the zeros stay and adapters run beside.',
      'Or prune the sum, `over: sum`, and train it so: the zeros stay and nothing runs beside.',
    ],
    explain: `A mask \`over: base\` covers the frozen weight alone, and what is trained on it is dense; their sum has no zeros. There are three ways to ship such a model:

    deploy M { adapters = merged }      // dense: the fewest operations, no zeros
    deploy M { adapters = factored }    // the base keeps its zeros, adapters take operations of their own
    prune ... with magnitude(..., over: sum)    // the mask covers the sum, in training too: zeros and no further operations, but another model

\`espalier compile\` prints the zeros and the operations of each. With \`adapters = auto\`, the default, time decides, which is \`merged\` nearly always.`,
  }),
  ESP1305: entry<{ file: string; text: string }>({
    title: 'A record of merges that cannot be read',
    severity: 'warning',
    message: (a) =>
      `\`espalier.merged\` in the metadata of ${a.file} is no record of merges: ${a.text.length > 60 ? `${a.text.slice(0, 60)}...` : a.text}`,
    help: () => ['It is left out of what is written, whose record begins with this merge.'],
    explain: `\`espalier merge\` writes into the metadata of its file which adapters were merged into it, by their names and the SHA-256 of their
files, so that an adapter that is in the weights already can be noticed:

    "espalier.merged": [{"method": "karst", "name": "karst-mnist.safetensors", "sha256": "5d9c...", "espalier": "0.1.0"}]

A merge into a merged checkpoint adds to this list. What stands there in this file is no such list: something else wrote it.`,
  }),
  ESP1285: entry<{ file: string; base: string; method: string }>({
    title: 'An adapter that is merged already',
    severity: 'warning',
    message: (a) => `${a.file} was merged into ${a.base} before (${a.method}), and is put on it once more`,
    help: () => ['Take the base as it was before the merge, or leave the `from` of the adapter out.'],
    explain: `\`espalier merge\` records in the checkpoint that it writes which adapters went into it, by the SHA-256 of their files. An adapter that is put on such a base a second time counts
twice: what it adds to the weights is there already.

    base = vit_auto() from "./merged"                              // written by merge, with the adapter in it
    adapt base.blocks[*].attn.qkv with lora(rank: 8) from "./lora"  // the same adapter`,
  }),
  ESP1286: entry<{ file: string; trained: string; base: string }>({
    title: 'An adapter of another base',
    severity: 'warning',
    message: (a) => `${a.file} says that it was trained on ${a.trained}, and the base is ${a.base}`,
    help: () => [
      'Take the base that it was trained on. Where the two are the same weights by other names, this is nothing to worry about.',
    ],
    explain: `What an adapter adds was learnt for the weights of one base; on another one of the same shape it loads, and gives nonsense. The folder of an adapter of peft names its
base (\`base_model_name_or_path\`), and a base is called by the repository that it was fetched from, or by \`_name_or_path\` in its config.json. Paths are not compared.`,
  }),
  ESP1287: entry<{ file: string; module: string; beside: string; count: number; base: string }>({
    title: 'An adapter that Python never calls',
    severity: 'warning',
    message: (a) =>
      `${a.file} adapts ${a.module}${a.count > 1 ? ` and ${a.count - 1} more` : ''}, and the network in Python passes ${a.count > 1 ? 'these' : 'it'} by: it reads the weight itself, beside \`${a.beside}\``,
    help: () => [
      'What is computed here is the adapter as it is written. In Python it counts once it is merged (`merge_and_unload`); trained there unmerged, it has learnt nothing. Adapt other modules, such as what follows attention and the MLP.',
    ],
    explain: `peft puts an adapter around a module, and it is computed when that module is called. Some networks read the weight of a module and multiply with it themselves: timm does so where queries and
values have biases of their own beside one layer for queries, keys and values (\`q_bias\` beside \`qkv\`), and PyTorch where it attends with one packed layer (\`in_proj_weight\` beside \`out_proj\`). An adapter
on such a module trains without an effect, its B stays at 0, and its folder loads without a message. Espalier computes what the folder says, as peft does once it is merged.

A variant says which modules these are, beside the names of its layout: \`names timm { bypassed "*.attn.qkv" = "q_bias" }\`.`,
  }),
  ESP1144: entry<{
    file: string;
    trained: string;
    base: string;
    compared: number;
    differing: readonly string[];
    apart: number;
  }>({
    title: 'An adapter of other weights',
    severity: 'warning',
    message: (a) =>
      `${a.file} was trained on other weights (${a.trained}) than those of ${a.base}: ${a.differing.length} of ${a.compared} that were compared differ, ${a.differing[0]} the first, half of their numbers by more than ${a.apart < 0.1 ? (100 * a.apart).toPrecision(2) : Math.round(100 * a.apart)}%`,
    help: () => [
      'Take the base that it was trained on. If it is on this one on purpose (one that was trained a little further), evaluate it: what the adapter learnt was for the other.',
    ],
    explain: `What an adapter adds was learnt for the weights of one base. On another one of the same shapes it loads and runs, and gives numbers that mean nothing. So a few numbers of
some weights of the base go along in the metadata of what \`train\` and \`export\` write (\`espalier.base\`), and are compared with those of the base that a spec puts the adapter on.

A copy of the base in halves (f16, bfloat16) is the same base, and so is one in other shards or in another library's layout. One that was trained further, pruned, quantized to 8 bits or merged
into is another. It is a warning, since an adapter on a base that has moved a little may be what you want. Adapters that other programs wrote have no such record; of those the name of
the base is compared (\`espalier explain ESP1286\`).`,
  }),
  ESP1145: entry<{ file: string; text: string }>({
    title: 'A record of a base that cannot be read',
    severity: 'warning',
    message: (a) =>
      `\`espalier.base\` in the metadata of ${a.file} is no record of a base: ${a.text.length > 60 ? `${a.text.slice(0, 60)}...` : a.text}`,
    help: () => ['Whether the adapter was trained on this base is not known. Everything else of the file is read.'],
    explain: `Adapter files that Espalier writes hold the name and a few numbers of the base that they were trained on, so that another base is noticed:

    "espalier.base": {"name": "vit-base", "weights": {"blocks.0.attn.qkv.weight": {"shape": [2304, 768], "values": [0.0123, -0.0456]}}}

What stands there in this file is no such record: something else wrote it.`,
  }),
  ESP1306: entry<{
    name: string;
    share: number;
    limit: number;
    at: readonly number[];
    value: number;
    written: number;
  }>({
    title: 'Weights too small for f16',
    severity: 'warning',
    message: (a) =>
      `${(100 * a.share).toFixed(1)}% of ${a.name} are too small for f16 to hold all their digits, such as [${a.at.join(', ')}] = ${Number(a.value.toPrecision(6))}, which becomes ${Number(a.written.toPrecision(6))}`,
    help: (a) => [`More than ${100 * a.limit}% of a weight are named. With \`weights = f32\` nothing is lost.`],
    explain: `Halves have 11 binary digits from 2^-14 (6.1e-5) upwards. Below that they have fewer, and below 2^-25 (3.0e-8) a number becomes 0. A few such
numbers beside larger ones do no harm; where they are a twentieth of a weight or more, the whole weight is small (a layer scale that was merged into it, say)
and loses much.

    deploy Flowers { weights = f16 }

The summary of \`espalier compile\` says what halves cost over all weights: the largest change, and the largest in proportion.`,
  }),
};
