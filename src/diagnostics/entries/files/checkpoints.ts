/** Messages ESP05xx of checkpoints: safetensors, configurations, what does not fit a model, and writing. */
import { waive } from '../../waive.js';
import { entry, listed } from '../define.js';

export const CHECKPOINT_FILES = {
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

  ESP0513: entry<{ file: string; fields: readonly string[] }>({
    title: 'Unknown fields in a configuration file',
    severity: 'warning',
    message: (a) => `${a.file} has fields that Espalier does not know and ignores: ${a.fields.join(', ')}`,
    explain: `The library that writes \`adapter_config.json\` adds fields with every version. A field that Espalier does not know, and that is not at a
value meaning "off", is reported, because it may change what is computed. Compare the numbers with Python's if you do not know the field. (Of a
\`preprocessor_config.json\` such a field is an error, ESP0509.)`,
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
};
