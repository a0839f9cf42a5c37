/** Messages ESP05xx: checkpoints, adapter and mask files, configurations, images, and writing. */
import { waive } from '../waive.js';
import { entry } from './define.js';

/** At most `most` lines of a list, each indented, and how many were left out. */
function listed(lines: readonly string[], most = 12): string {
  const shown = lines.slice(0, most).map((l) => `\n    ${l}`);
  const rest = lines.length > most ? `\n    ... and ${lines.length - most} more` : '';
  return shown.join('') + rest;
}

export const FILES = {
  ESP0500: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),

  ESP0501: entry<{ path: string; reason: string }>({
    title: 'A file or folder cannot be read',
    message: (a) => `cannot read ${a.path}: ${a.reason}`,
    explain: `A path that a spec or a command names does not lead to something that can be read. A path in a spec is relative to the
file that it is written in, a path on the command line to the current folder.

    base = vit(dim: 128) from "./vit-fashoin"      // no such folder

Correct the path, or the permissions of the file.`,
  }),

  ESP0502: entry<{ file: string; problem: string }>({
    title: 'Not a valid safetensors file',
    message: (a) => `${a.file} is not a valid safetensors file: ${a.problem}`,
    help: () => [
      'Download or write the file again; Espalier reads nothing from a file whose header cannot be trusted.',
    ],
    explain: `A safetensors file starts with 8 bytes that give the length of its header, then the header (JSON), then the tensors. The
length must fit in the file, and the tensors must follow each other without gaps and without overlaps until the file ends.

A file that was cut off while it was downloaded is the commonest cause:

    model.safetensors is not a valid safetensors file: its tensors need 3,276,800 bytes, but only 1,048,000 follow the header

Also common is a small text file that Git LFS leaves in place of the real one: run \`git lfs pull\`.`,
  }),

  ESP0503: entry<{ file: string; tensor: string; problem: string }>({
    title: 'A tensor of a safetensors file is described wrongly',
    message: (a) => `${a.file}: tensor "${a.tensor}" ${a.problem}`,
    explain: `The header of a safetensors file gives each tensor a dtype, a shape and the range of bytes that holds it. The range must be
inside the file and exactly as long as the shape and the dtype say.

    {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 12]}}      // 16 bytes are needed

The program that wrote the file is at fault; write the file again.`,
  }),

  ESP0504: entry<{ file: string; tensor: string; dtype: string }>({
    title: 'A tensor has a dtype that Espalier cannot read',
    message: (a) => `${a.file}: tensor "${a.tensor}" is stored as ${a.dtype}, which Espalier cannot read`,
    help: () => ['Espalier reads F64, F32, F16, BF16, I64, I32, I16, I8, U32, U16, U8 and BOOL.'],
    explain: `Quantised and 8-bit floating-point weights cannot be read yet.

Convert the checkpoint, for instance with PyTorch: \`model.to(torch.float16).save_pretrained(...)\`.`,
  }),

  ESP0505: entry<{ file: string; tensor: string; dtype: string; as?: string }>({
    title: 'An integer of a checkpoint does not fit',
    message: (a) =>
      `${a.file}: tensor "${a.tensor}" (${a.dtype}) holds an integer that ${a.as === undefined ? 'does not fit in 32 bits' : `is no ${a.as}, which its parameter is`}`,
    explain: `Tensors of 64-bit integers are read as 32-bit ones, which is what WebGPU has, and whole numbers as the parameter has them that takes them (i32 from
-2147483648 to 2147483647, u32 from 0 to 4294967295, bool 0 or 1). Indices and counts fit; this value does not.

    near = param i32[49, 49] zeros       // takes integers of a file that are i32`,
  }),

  ESP0506: entry<{ path: string; found: string }>({
    title: 'Not a kind of checkpoint that Espalier knows',
    message: (a) => `${a.path} is not a checkpoint that Espalier can read: ${a.found}`,
    help: () => [
      'It reads a .safetensors file, a state dict of PyTorch (.bin, .pt, .pth), a Hugging Face folder (config.json and model.safetensors or pytorch_model.bin), and a PEFT folder (adapter_config.json and adapter_model.safetensors or .bin).',
    ],
    explain: `What a \`from\` names must be one of:

* a \`.safetensors\` file: a backbone's weights, an adapter file of Espalier, or a mask file;
* a state dict that \`torch.save\` wrote (\`.bin\`, \`.pt\`, \`.pth\`): such files are Python pickles, and are read without running anything in them
  (ESP1281);
* a folder in Hugging Face's layout: \`config.json\`, \`preprocessor_config.json\` (may be absent), and \`model.safetensors\` or
  \`model.safetensors.index.json\` with its shards; without either, \`pytorch_model.bin\` or its index;
* a folder that the library \`peft\` wrote: \`adapter_config.json\` and \`adapter_model.safetensors\` or \`adapter_model.bin\`.`,
  }),

  ESP0507: entry<{ file: string; problem: string }>({
    title: 'A configuration file is wrong',
    message: (a) => `${a.file}: ${a.problem}`,
    explain: `A JSON file beside the weights (\`config.json\`, \`preprocessor_config.json\`, \`adapter_config.json\`, an index of shards) is
not JSON, lacks something that must be there, or has a value of the wrong type.

    {"model_type": "vit", "hidden_size": "128"}      // a number is wanted, not a string`,
  }),

  ESP0508: entry<{ file: string; type: string; variant: string; reads: readonly string[] }>({
    title: 'A model type that the variant does not read',
    message: (a) =>
      `${a.file} describes a model of type "${a.type}", and \`${a.variant}\` reads ${a.reads.join(' or ')}`,
    help: () => [
      'The folder can still be used: give its model.safetensors to a backbone whose options you write in the spec.',
    ],
    explain: `From the \`config.json\` of a Hugging Face folder a variant takes the backbone's options (image and patch size, width, depth,
heads) and the names of the classes. Which files it reads, and how, its \`config\` says: \`match "model_type" = "vit"\`.

For another type, write the backbone and a variant of it in \`.peft\`, or load the file itself:

    base = my_backbone(dim: 384, depth: 12) from "./folder/model.safetensors"`,
  }),

  ESP0509: entry<{ file: string; field: string; value: string; why: string }>({
    title: 'A preprocessing or model setting that Espalier cannot reproduce',
    message: (a) => `${a.file}: ${a.field} = ${a.value} ${a.why}`,
    explain: `Preprocessing is part of a compiled program, and the numbers would be wrong if a setting were ignored. So a setting that cannot
be reproduced is an error.

    "resample": 1            // Lanczos: Espalier has nearest (0), bilinear (2) and bicubic (3)
    "hidden_act": "relu"     // the library's ViT has GELU

Write the steps in the variant's \`preprocess\` instead, or change the setting if the model allows it.`,
  }),

  ESP0510: entry<{
    file: string;
    layout: string;
    missing: readonly string[];
    unexpected: readonly string[];
    misshapen: readonly string[];
  }>({
    title: 'A checkpoint does not fit the model',
    message: (a) => {
      const parts: string[] = [];
      if (a.missing.length > 0) parts.push(`\n  missing (${a.missing.length}):${listed(a.missing)}`);
      if (a.misshapen.length > 0) parts.push(`\n  of another shape (${a.misshapen.length}):${listed(a.misshapen)}`);
      if (a.unexpected.length > 0) parts.push(`\n  unexpected (${a.unexpected.length}):${listed(a.unexpected)}`);
      return `${a.file} does not fit the model (read with its ${a.layout} names)${parts.join('')}`;
    },
    help: (a) => (a.unexpected.length > 0 ? [waive(a.unexpected.map((t) => t.replace(/ \[[^[]*\]$/, '')))] : []),
    explain: `Every tensor of a checkpoint must be accounted for. The message lists, together,

* **missing**: what the model needs and the file does not have, with the nearest names that it does have;
* **of another shape**: what is there with a shape that the spec's options do not give;
* **unexpected**: what is in the file and has no place in the model.

Tensors of another shape usually come from an option that differs from the trained model's:

    base = vit(dim: 192, depth: 4, heads: 3) from "./vit-small"      // trained with dim: 384
    
Missing and unexpected tensors with similar names come from names that the variant's \`names\` block does not list. What nobody wants is waived in
the model: \`ignore "mask_token", "decoder.*"\`.`,
  }),

  ESP0511: entry<{ file: string; why: string }>({
    title: 'A file holds nothing for what was asked',
    message: (a) => `${a.file} ${a.why}`,
    explain: `The file can be read, but none of its tensors is what the spec takes from it: it may belong to another model, or be an adapter
where a backbone is wanted.

    tune head from "./adapters/lora-mnist"      // the folder has no head: train it with modules_to_save=["classifier"]`,
  }),

  ESP0512: entry<{ file: string; field: string; value: string; why: string }>({
    title: 'A PEFT setting that Espalier cannot reproduce',
    message: (a) => `${a.file}: ${a.field} = ${a.value}: ${a.why}`,
    explain: `An adapter folder of the library \`peft\` was trained with a setting that changes the computation and that Espalier does not
import yet. Loading it without the setting would give wrong numbers, so it is refused.

LoRA and DoRA are imported, with \`use_rslora\`, \`rank_pattern\`, \`alpha_pattern\`, \`modules_to_save\`, \`bias\`, \`lora_bias\` and every
\`init_lora_weights\` that can be worked out (ESP1291). Other types of adapters, trained embeddings and bare parameters are not. Merge the adapter in Python (\`model.merge_and_unload()\`) and give the result to Espalier as a backbone.`,
  }),

  ESP0513: entry<{ file: string; fields: readonly string[] }>({
    title: 'Unknown fields in a configuration file',
    severity: 'warning',
    message: (a) => `${a.file} has fields that Espalier does not know and ignores: ${a.fields.join(', ')}`,
    explain: `The library that writes \`adapter_config.json\` adds fields with every version. A field that Espalier does not know, and that is not at a
value meaning "off", is reported, because it may change what is computed. Compare the numbers with Python's if you do not know the field. (Of a
\`preprocessor_config.json\` such a field is an error, ESP0509.)`,
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

  ESP0517: entry<{ file: string; problem: string }>({
    title: 'Not a valid IDX file',
    message: (a) => `${a.file} is not a valid IDX file: ${a.problem}`,
    explain: `IDX is the format of the MNIST files: two zero bytes, a type (8 for bytes), the number of dimensions, the dimensions as
big-endian 32-bit numbers, and then the data. Espalier reads IDX files of bytes; those of a data set may be
compressed (.gz).`,
  }),

  ESP0518: entry<{ file: string; tensors: readonly string[] }>({
    title: 'Weights that are not numbers',
    message: (a) => `${a.file} holds NaN or infinite values:${listed(a.tensors)}`,
    help: () => ['Training diverged, or the file was damaged; use an earlier checkpoint.'],
    explain: `A NaN or an infinite weight makes everything that it touches useless, and merging it would write it into a checkpoint. It is
refused before anything is written.`,
  }),

  ESP0519: entry<{ layout: string; params: readonly string[] }>({
    title: 'A layout cannot hold what was merged',
    message: (a) => `the ${a.layout} layout has no place for:${listed(a.params)}`,
    help: () => ['Write the merged model in the layout `espalier`, or compile it instead.'],
    explain: `Merging can make parameters that the base model did not have: an adapter with a shift, on a layer without a bias, gives the
layer one. A checkpoint in the base model's own layout has no name for it, and programs that read such checkpoints would not look for it.

    // qkv_bias: false, and an adapter that adds a shift to qkv: merged, qkv needs a bias`,
  }),

  ESP0520: entry<{ path: string; reason: string }>({
    title: 'A file cannot be written',
    message: (a) => `cannot write ${a.path}: ${a.reason}`,
    explain: `Output is first written under a temporary name and renamed when it is complete, so that a failure leaves nothing half written.
Here already the temporary file could not be written or renamed. Look at the free space and the permissions of the folder.`,
  }),

  ESP0521: entry<{ program: string; number: boolean }>({
    title: 'The model does not choose one class among all',
    message: (a) =>
      a.number
        ? `${a.program} gives one number, and folders of classes say nothing of numbers`
        : `${a.program} gives several labels at once, and of each image a folder of classes names one`,
    help: () => ['`espalier run --json` prints what it gives for each image.'],
    explain: `A multi-label classifier answers yes or no for each label: \`run\` shows a probability of each by itself (a sigmoid). A head with one output is a
regression: \`run\` shows the number. \`eval\` of a compiled program compares one predicted class with the name of a folder, which is neither. A run of
training on data with several labels is evaluated with its own data: \`espalier eval RUN\`.`,
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

  ESP0540: entry<{ file: string; field: string; name: string; variant: string }>({
    title: 'A published model that no variant is',
    message: (a) => `${a.file} says ${a.field} = "${a.name}", and no variant of \`${a.variant}\` is for that one`,
    explain: `Some configurations say little more than the name of a published model, whose sizes and activation are in the code of another library. Here they are in
variants: each says by \`match\` which names are its own, and \`sizes "architecture"\` in the \`config\` of the variant that they build on says where the name stands.

    variant vit_base_patch16 = vit_auto(patch: 16, dim: 768, depth: 12, heads: 12) {
      config timm { match "architecture" = "vit_base_patch16_224", "vit_base_patch16_384" }
    }

A model that is not among them needs such a variant, in your own file, with what it is made of. It is not guessed from the tensors: heads, epsilons and activations do
not show there.`,
  }),

  ESP0541: entry<{ location: string; assumed: readonly string[] }>({
    title: 'What a file of tensors does not show',
    severity: 'warning',
    message: (a) =>
      `\`${a.location}\` does not show all that its model computes; taken for it: ${a.assumed.join(', ')}`,
    help: (a) => [
      `If that is right, say so in the spec: (${a.assumed.join(', ')}). A folder with the configuration beside the weights says it itself.`,
    ],
    explain: `Tensors have names and shapes. From these nobody can see how many heads attention has, the epsilon of norms, the function between the layers of an
MLP, or what the classifier reads: a wrong guess gives wrong numbers without a word. A bare file of weights is read with the variant's defaults for these, and
which they are is said once, unless the spec gives them:

    base = vit_base_patch16(eps: 1e-6, activation: gelu, global_pool: token) from "./vit.safetensors"

Which options checkpoints of a layout may differ in without showing it, a variant says: \`names timm { unseen heads, eps, activation }\`. Each is tried out: of those
that change nothing here (how positions are resampled, where images are of the checkpoint's size) and those that a table's shape shows after all nothing is said.`,
  }),

  ESP0542: entry<{ location: string; tensor: string; path: string; part: string }>({
    title: 'A head of another kind than the checkpoint has',
    severity: 'warning',
    message: (a) =>
      `\`${a.location}\` has ${a.tensor} for \`${a.path}\`, which \`${a.part}\` here does not have: it is left out, and \`${a.part}\` starts at random`,
    help: (a) => [
      `Train it (\`tune ${a.part}\`), load it (\`tune ${a.part} from "./trained.safetensors"\`), or write \`${a.part} = classify(base)\`.`,
    ],
    explain: `A checkpoint's classifier goes to the layer \`fc\` of the part of the model that is called \`head\`, as \`classify\` of the library has it. A head of your own with
other layers does not get it, whatever it is called: its weights are trained, or come from a file of their own.

    head = mine(base)
    tune head from "./trained.safetensors"`,
  }),

  ESP0530: entry<{ file: string; reason: string }>({
    title: 'Not an image that can be read',
    message: (a) => `${a.file} cannot be read as an image: ${a.reason}`,
    help: () => ['Espalier reads PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF and SVG files.'],
    explain: `The file is empty, cut off, or not an image, whatever its name says. Pictures of any depth and colour space are converted to 8-bit
RGBA; the first frame of an animation is taken; the camera's orientation is applied.

HEIC (of iPhones), JPEG 2000, JPEG XL and other formats are named and not decoded: convert them to PNG, which loses nothing. On an iPhone "Most
Compatible" under Settings, Camera, Formats makes JPEG.`,
  }),

  ESP0531: entry<{ folder: string; why: string }>({
    title: 'A folder without images',
    message: (a) => `${a.folder} ${a.why}`,
    explain: `\`run\` takes images, or folders with images. \`eval\` takes a folder in which each class has a folder of its own, named as the
class:

    test/
      cat/  1.jpg  2.jpg
      dog/  7.jpg`,
  }),

  ESP0532: entry<{ file: string; width: number; height: number; limit: number }>({
    title: 'An image is too large',
    message: (a) => `${a.file} has ${a.width} x ${a.height} pixels, more than the ${a.limit} that are decoded`,
    explain: `A small file can claim an enormous picture. Pictures beyond the limit are not decoded; make the picture smaller first.`,
  }),

  ESP1280: entry<{ file: string; problem: string }>({
    title: 'A file of PyTorch that cannot be read',
    message: (a) => `${a.file} is not a state dict that can be read: ${a.problem}`,
    explain: `\`.bin\`, \`.pt\` and \`.pth\` files are read without running anything in them. What is read is what \`torch.save(model.state_dict(), path)\`
writes: a dictionary of tensors, at the top or below a name such as \`state_dict\`, \`model\` or \`model_ema\`.

    checkpoint.pth is not a state dict that can be read: it is a ZIP archive without its end: it was cut off

Download or write the file again; in PyTorch, \`torch.save({k: v.contiguous() for k, v in model.state_dict().items()}, path)\`.`,
  }),

  ESP1281: entry<{ file: string; name: string }>({
    title: 'A pickle that asks for more than tensors',
    message: (a) => `${a.file} asks Python for ${a.name}, and only tensors are read from such a file`,
    help: () => [
      'If you trust the file, take its tensors out of it in Python: `torch.save(model.state_dict(), "weights.pth")`, or `safetensors.torch.save_file`.',
    ],
    explain: `Files of \`torch.save\` are pickles: programs, which may name any function of Python and call it. Espalier runs none of that. Its reader
knows tensors, parameters, storages and dictionaries; a file that names anything else is refused at that name, before anything is done with it.

    torch.save(model, "model.pth")                            // asks for the class of the model
    torch.save({"model": ..., "args": args}, "model.pth")     // asks for argparse.Namespace
    torch.save(model.state_dict(), "model.pth")               // is read

A name like \`os.system\` or \`builtins.eval\` means that somebody wants to run code on your machine: delete the file.`,
  }),

  ESP1282: entry<{ file: string; name: string; others: readonly string[] }>({
    title: 'A state dict below a name',
    severity: 'note',
    message: (a) =>
      `${a.file}: the weights are those below \`${a.name}\`${a.others.length > 0 ? `; ${a.others.slice(0, 8).join(', ')}${a.others.length > 8 ? ` and ${a.others.length - 8} more are` : a.others.length > 1 ? ' are' : ' is'} not read` : ''}`,
    explain: `Training scripts save a state dict beside epochs and optimisers: \`{"model": ..., "optimizer": ..., "epoch": 299}\`. Averaged weights
(\`model_ema\`, \`state_dict_ema\`) are taken where there are any, as timm takes them, then \`state_dict\`, \`model_state_dict\` and \`model\`.`,
  }),

  ESP1283: entry<{ file: string; prefix: string }>({
    title: 'A prefix of all tensors',
    severity: 'note',
    message: (a) =>
      `${a.file}: the names of its tensors are read without \`${a.prefix}\`, which stands in front of each`,
    explain: `A model that was wrapped when it was saved has the wrapper's name in front of each tensor: \`module.\` is that of
\`DataParallel\`, \`_orig_mod.\` that of \`torch.compile\`, \`model.\` that of many training scripts. It is left out where all tensors have it and the model wants
the names without.`,
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
