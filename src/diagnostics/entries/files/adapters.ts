/** Messages of adapter and mask files: those of Espalier, and folders of peft. */
import { waive } from '../../waive.js';
import { entry, listed } from '../define.js';

export const ADAPTER_FILES = {
  ESP0512: entry<{ file: string; field: string; value: string; why: string }>({
    title: 'A PEFT setting that Espalier cannot reproduce',
    message: (a) => `${a.file}: ${a.field} = ${a.value}: ${a.why}`,
    explain: `An adapter folder of the library \`peft\` was trained with a setting that changes the computation and that Espalier does not
import yet. Loading it without the setting would give wrong numbers, so it is refused.

LoRA and DoRA are imported, with \`use_rslora\`, \`rank_pattern\`, \`alpha_pattern\`, \`modules_to_save\`, \`bias\`, \`lora_bias\` and every
\`init_lora_weights\` that can be worked out (ESP1291). Other types of adapters, trained embeddings and bare parameters are not. Merge the adapter in Python (\`model.merge_and_unload()\`) and give the result to Espalier as a backbone.`,
  }),

  ESP0514: entry<{ file: string; modules: readonly string[]; nearest: readonly string[] }>({
    title: 'A PEFT adapter names modules that the model does not have',
    message: (a) =>
      `${a.file} adapts modules that have no place in the model:${listed(a.modules)}${
        a.nearest.length > 0 ? `\n  the model has, for instance: ${a.nearest.join(', ')}` : ''
      }`,
    help: (a) => [waive(a.modules)],
    explain: `The names of an adapter folder are those of the model that it was trained on. They are looked up among the names that the
backbone's variant gives its layers (\`names huggingface { ... }\`).

An adapter that was trained on another architecture, or on more layers than the model has, does not fit. Of one that is on two encoders at once, the half that
the model has no place for is waived in the model: \`ignore "text_model.*"\`.`,
  }),

  ESP0515: entry<{ file: string; problem: string }>({
    title: 'Not an adapter file of Espalier',
    message: (a) => `${a.file} is not a valid adapter file: ${a.problem}`,
    explain: `Espalier's own adapter file is a safetensors file whose tensors have the names of the model's parameters
(\`base.blocks.0.attn.qkv@lora.A\`, \`head.fc.weight\`) and whose metadata say what it is:

    {"format": "espalier.adapter", "version": "1", "labels": "[\\"cat\\", \\"dog\\"]"}

\`labels\` is a JSON list of class names and may be absent.`,
  }),

  ESP0516: entry<{ file: string; problem: string }>({
    title: 'Not a valid mask file',
    message: (a) => `${a.file} is not a valid mask file: ${a.problem}`,
    explain: `A mask file is a safetensors file with metadata \`{"format": "espalier.mask", "version": "1"}\` that holds a tensor of zeros
and ones (BOOL, U8 or a float) for each masked weight, named after it: \`base.blocks.0.mlp.fc1.weight#mask\`.`,
  }),

  ESP0522: entry<{ adapters: readonly string[] }>({
    title: 'What a PEFT folder cannot say',
    message: (a) => `a folder of the library \`peft\` cannot say this:${listed(a.adapters)}`,
    help: () => ['`espalier merge` writes a whole checkpoint, whatever the adapters are, as long as they merge.'],
    explain: `\`espalier export\` writes adapters as the Python library \`peft\` keeps LoRA and DoRA: for each linear layer of the checkpoint's network a
pair of matrices A [rank, in] and B [out, rank], a scale, and perhaps a magnitude [out].

    W + scale * B A
    m / norm(W + scale * B A) * (W + scale * B A)      norm of each row

An adapter is taken for one of these by what it computes, whatever it is called: its parameters are named A and B (and m), and merged, at random
numbers, its layers are what these lines say. Anything else has no place there: other methods, parameters that several sites share, masks, two adapters
on one layer, adapters with magnitudes beside some without, a part of a layer that the checkpoint keeps whole, and trained parameters that are
not all of a module's.`,
  }),

  ESP0523: entry<{ file: string; site: string; parts: readonly string[]; why: string }>({
    title: 'Pairs of the parts of a layer that are no pair of the layer',
    message: (a) => `${a.file} adapts ${a.parts.join(', ')}, which are parts of ${a.site}, and ${a.why}`,
    help: (a) => [`adapt the parts: \`adapt ${a.site}.{q, v} with ...\`, by the names that \`espalier inspect\` shows`],
    explain: `The network that the folder of the library \`peft\` was made for keeps a layer in parts (query, key and value), and the spec adapts the layer as a
whole. The pairs of the parts are one pair of the whole,

    W + scale * [B_q; B_k; B_v] A

where each part has one and all have the same A: so \`espalier export\` writes an adapter of the whole layer. Parts that were trained by themselves have an A
each, and some may have none. Their adapter is one of the parts: \`adapt base.blocks[*].attn.qkv.{q, v} with lora() from "./folder"\`.`,
  }),

  ESP1284: entry<{ file: string; field: string; keys: readonly string[] }>({
    title: 'A name or pattern that matches no module',
    severity: 'warning',
    message: (a) => `${a.file}: ${a.field} names modules that the folder does not adapt: ${a.keys.join(', ')}`,
    explain: `\`rank_pattern\` and \`alpha_pattern\` give some modules a rank or an alpha of their own. A pattern matches the whole name of a module, or
its end behind a dot. One that matches nothing changes nothing: its name may be misspelt, or that of another version of transformers.

    "alpha_pattern": {"qurey": 32}      // \`query\` keeps lora_alpha

\`target_modules\` says which modules were to be adapted. What was adapted the tensors of the folder say, so a target without tensors changes nothing either:
the model that it was trained on had no such module.`,
  }),

  ESP1291: entry<{ file: string; init: string; why: string }>({
    title: 'An adapter of a base that is not to be had',
    message: (a) =>
      `${a.file}: init_lora_weights = "${a.init}" took numbers out of the base's weights before training, ${a.why}; this is an adapter of what was left`,
    help: () => [
      'In Python, keep the start (`model.save_pretrained("start")` before training) and convert what was trained to an adapter of the base itself: `model.save_pretrained("folder", path_initial_model_for_weight_conversion="start")`. Or merge it there: `model.merge_and_unload()`.',
    ],
    explain: `Some ways of starting an adapter move a part of the base's weights into it: \`W\` becomes \`W - s B0 A0\`, and \`B0\`, \`A0\` are what is
trained. The folder holds what they became, and not what they were.

    "pissa"              the largest singular values: worked out again from the base
    "olora"              what the first columns span: worked out again
    "pissa_niter_4"      the same by a search from random numbers: others each time
    "corda", "lora_ga"   depends on data
    "loftq"              the rest of the base was quantised

The first two are adapters of twice the rank on the base itself, \`[B, -B0] [A; A0]\`, as \`peft\` converts them; they are refused where two singular values are
equal at the rank, or columns depend on each other, so that there are several starts. "gaussian", "orthogonal", "eva" and "mica" leave the base as it is.
A folder that was converted says \`"init_lora_weights": true\`.`,
  }),

  ESP1292: entry<{ file: string; module: string; site: string; others: readonly string[] }>({
    title: 'A pair of a layer of which only parts are adapted',
    message: (a) =>
      `${a.file} adapts ${a.module} as a whole, which is ${a.site}, and the spec does not adapt ${a.others.join(', ')}`,
    help: (a) => [`adapt all of it: \`adapt ${a.site} with ...\``],
    explain: `The network that the folder of the library \`peft\` was made for has queries, keys and values in one layer, as timm's have, and so the folder has one pair for
all of them. It can be read as the pairs of the parts, which have the same A and some rows of B each,

    adapt base.blocks[*].attn.qkv.{q, k, v} with lora() from "./folder"

but of all parts: where one is left out, what the folder changes there would be lost.`,
  }),

  ESP1293: entry<{ file: string; count: number; bias: string }>({
    title: 'Biases of the base that were trained with an adapter',
    severity: 'note',
    message: (a) =>
      `${a.file}: ${a.count} bias${a.count === 1 ? '' : 'es'} of the base's layers ${a.count === 1 ? 'was' : 'were'} trained with the adapter (bias = "${a.bias}"), and ${a.count === 1 ? 'stands' : 'stand'} in place of the base's own`,
    explain: `With \`bias: "lora_only"\` the library \`peft\` trains the biases of the layers that it adapts, with \`bias: "all"\` those of all layers, norms among them. The
folder holds what they became. They are the base's from then on: in what is compiled, merged and trained further. An \`adapt ... from\` the folder
is enough; a \`tune ... from\` a file takes precedence for what it names.`,
  }),
};
