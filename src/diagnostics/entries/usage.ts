/** Messages ESP09xx: the command line and the API's own arguments; ESP125x: programs that count. */
import { entry } from './define.js';

export const USAGE = {
  ESP0900: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    help: () => ['This is a fault of Espalier. Please report it with the command and the spec that caused it.'],
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),
  ESP0901: entry<{ path: string }>({
    title: 'Spec not found',
    message: (a) => `there is no spec at ${a.path}`,
    help: () => ['Give the path of a `.peft` file; `espalier init` writes one to start from.'],
    explain: `The file named on the command line does not exist or cannot be read.

    espalier check flowers.peft

Check the path and the folder you are in. \`espalier init\` writes a first spec.`,
  }),
  ESP0902: entry<{ names: readonly string[]; file: string }>({
    title: 'Which model?',
    message: (a) => `${a.file} has several models: ${a.names.join(', ')}`,
    help: () => ['Say which one with `--model NAME`.'],
    explain: `A spec may hold several models. Commands that work on one need to know which.

    espalier compile crowd.peft --model Crowd -o out`,
  }),
  ESP0903: entry<{ text: string }>({
    title: 'Malformed --set',
    message: (a) => `cannot read \`--set ${a.text}\``,
    help: () => ['Write `--set name=value`, as in `--set rank=4`.'],
    explain: `\`--set\` gives an option of the model a value from outside the spec.

    model Flowers(rank: int = 8) { ... }
    espalier compile flowers.peft --set rank=4 -o out`,
  }),
  ESP0904: entry<{ pass: string; passes: readonly string[] }>({
    title: 'Unknown stage',
    message: (a) => `there is no stage called \`${a.pass}\``,
    help: (a) => [`Stages are: ${a.passes.map((p) => `after:${p}`).join(', ')}.`],
    explain: `\`--emit after:<pass>\` prints the program as it is after one pass. \`espalier inspect --emit help\` lists them in order.`,
  }),
  ESP0905: entry<{ path: string; found: string }>({
    title: 'Not a compiled program',
    message: (a) => `${a.path} is not a compiled program: ${a.found}`,
    help: () => ['Compile one with `espalier compile spec.peft -o DIR`.'],
    explain: `\`run\` and \`eval\` take the folder that \`compile\` wrote: it holds program.json, the kernels and the weights.`,
  }),
  ESP0906: entry<{ path: string; kind?: 'file' }>({
    title: 'Output exists and is something else',
    message: (a) => `${a.path} exists and is not a ${a.kind ?? 'folder'} that Espalier wrote; it is left as it is`,
    help: (a) => [`Choose another ${a.kind ?? 'folder'}, or remove that one first.`],
    explain: `A compiled folder or merged checkpoint takes the place of an earlier one: the new folder is completed under a temporary name and then takes its place, so that a run that is interrupted at any instant leaves the old one or the new one, and what else is in it stays. A folder that holds something else is left alone, so that this can never mix with or remove something of yours.`,
  }),
  ESP0927: entry<{ path: string }>({
    title: 'Output written by another process',
    message: (a) => `${a.path} was written by another process while this one worked; it is left as that one wrote it`,
    help: () => ['Run this one again to take its place, or give it another folder.'],
    explain: `Two runs wrote into the same folder at the same time. The first to end has written it whole; the other one would have replaced what it never
saw, so it wrote nothing.`,
  }),
  ESP0907: entry<{ source: string; count: number }>({
    title: 'Weights made up',
    severity: 'warning',
    message: (a) => `${a.source} has no \`from\`: ${a.count.toLocaleString('en-US')} parameters start at random`,
    help: () => ['Name the pretrained weights: `base = vit_auto() from "./folder"`.'],
    explain: `A backbone without weights compiles, so that shapes, cost and kernels can be looked at before anything is downloaded. Its predictions mean nothing. The numbers come from the initialisation in the library, with seed 0, and are the same every time.`,
  }),
  ESP0908: entry<{ name: string; input: string }>({
    title: 'Adapter untrained',
    severity: 'warning',
    message: (a) => `${a.name} has no \`from\`: it starts as it would before training`,
    help: (a) => [`Load trained tensors with \`${a.input}\`.`],
    explain: `An \`adapt\` or \`tune\` statement without \`from\` uses the initialisation of the adapter. LoRA, KARST and ALoRE then change nothing; a new head predicts at random.

    adapt blocks[*].attn.qkv with lora(rank: 8) from "./lora.safetensors"`,
  }),
  ESP0910: entry<{ what: string }>({
    title: 'Merged program differs',
    message: (a) => `the merged program does not compute what the unmerged one does: ${a.what}`,
    help: () => [
      'Nothing was written. Please report this with the spec: it is a fault of the compiler, or weights too large for f32.',
    ],
    explain: `After merging, the whole model is run once as it was written and once as it was compiled. They must agree within the tolerance of the precision. A folder is written only then.`,
  }),
  ESP0911: entry<{ layout: string; tensor: string; why: string }>({
    title: 'Layout cannot hold the merge',
    message: (a) => `a merged checkpoint in the ${a.layout} layout cannot hold ${a.tensor}: ${a.why}`,
    help: () => [
      'Use `espalier compile`, whose own format has no such limit, or an adapter without a shift on that layer.',
    ],
    explain: `\`merge\` writes the checkpoint in the layout of the base, so that other programs can load it. A shift on a layer without a bias makes one, an adapter that cannot merge keeps operators of its own: neither has a place in that layout.

What the base does itself between its layers stays: under \`x + gamma * fc(x)\` a LoRA on \`fc\` goes into \`fc.weight\` alone. One beside
\`gamma * fc(x)\` would have to be divided by \`gamma\`, which may be 0.`,
  }),
  ESP0912: entry<{ value: string; option: string; allowed: readonly string[] }>({
    title: 'Option out of range',
    message: (a) => `\`${a.option}\` cannot be ${a.value}`,
    help: (a) => [`It is one of: ${a.allowed.join(', ')}.`],
    explain: `The value of a command-line option is not one that it takes. \`espalier help COMMAND\` lists them.`,
  }),
  ESP0913: entry<{ code: string; near: string | undefined }>({
    title: 'Unknown code',
    message: (a) => `there is no diagnostic ${a.code}`,
    help: (a) =>
      a.near ? [`Did you mean ${a.near}?`] : ['Codes look like ESP0101 and stand in front of every message.'],
    explain: `\`espalier explain CODE\` takes a code that some message began with.`,
  }),
  ESP0914: entry<{ file: string }>({
    title: 'No model',
    message: (a) => `${a.file} declares no model`,
    help: () => ['A spec to compile has a `model Name { ... }`; a file of adapters and modules alone is for `use`.'],
    explain: `\`compile\`, \`merge\` and \`inspect\` work on a model. The file has only library declarations.

    model Digits {
      base = vit() from "./vit-folder"
      head = classify(base, pool: cls)
    }`,
  }),
  ESP0916: entry<{ path: string }>({
    title: 'File exists',
    message: (a) => `${a.path} exists already; it is left as it is`,
    help: () => ['Give another folder; `init` writes over the file with `--force`.'],
    explain: '`espalier init` writes over a file only with `--force`, and `espalier import` never does.',
  }),
  ESP0918: entry<{ model: string }>({
    title: 'Nothing to merge into',
    message: (a) => `the backbone of ${a.model} has no \`from\`, so there is no checkpoint to merge into`,
    help: () => ['Name the pretrained weights: `base = vit_base_patch16() from "./folder"`.'],
    explain:
      '`merge` writes a checkpoint in the layout of the one that the backbone came from. A backbone that starts at random came from none.',
  }),
  ESP0919: entry<{ name: string; value: string }>({
    title: 'Merged weights are not finite',
    message: (a) => `merging gives ${a.value} in ${a.name}`,
    help: () => [
      'Nothing was written. Look for NaN or very large values in the adapter file; its training may have diverged.',
    ],
    explain: `A merged weight is NaN or infinite. The checkpoint and the adapter are each read without one, so the product overflowed, or a division in the adapter's formula was by zero (DoRA divides by the norm of each row).`,
  }),
  ESP0920: entry<{ program: string }>({
    title: 'Program has no classes',
    message: (a) => `${a.program} has no class names, so its predictions cannot be scored`,
    help: () => ['Give the head class names: `classify(base, pool: cls, classes: ["cat", "dog"])`.'],
    explain:
      '`eval` compares predicted class names with the names of the sub-folders. A program compiled from a head without names has none to compare.',
  }),
  ESP1270: entry<{ path: string }>({
    title: 'A file for outputs of another kind',
    message: (a) => `${a.path} ends neither in .safetensors nor in .npy`,
    explain: `\`espalier run DIR IMAGES --output FILE\` writes what a program gives: a .safetensors file with a tensor for each output, and the names of the images in its
metadata; or a .npy file for the only output of a program, with a text file of the names beside it.`,
  }),
  ESP1271: entry<{ path: string; outputs: readonly string[] }>({
    title: 'Several outputs for one array',
    message: (a) => `${a.path} holds one array, and the program gives ${a.outputs.join(', ')}`,
    help: () => ['Write a .safetensors file, which holds all of them.'],
    explain:
      'A .npy file is one array. A program with several outputs is written as .safetensors, with a tensor for each.',
  }),
  ESP1272: entry<{ program: string; output: string; shape: readonly number[] }>({
    title: 'Program gives no embedding',
    message: (a) =>
      `${a.program} gives \`${a.output}\` [${a.shape.join(', ')}] for each image, and neighbours are found by one vector`,
    help: () => ['Compile a model that gives one: `out = embedding(base, pool: cls)`, or `pool: mean`.'],
    explain:
      '`eval --knn` compares the first output of a program, one vector for each image, by the cosine between them. Tokens and maps of features have to be pooled first.',
  }),
  ESP1273: entry<{ k: number; pictures: number; folder: string }>({
    title: 'More neighbours than pictures',
    message: (a) => `${a.k} neighbours are asked for, and ${a.folder} holds ${a.pictures} pictures that can be read`,
    explain:
      '`eval --knn K --train FOLDER` lets the K pictures of FOLDER that are most alike vote, so there have to be at least as many.',
  }),
  ESP1274: entry<{ image: string }>({
    title: 'An embedding without a direction',
    message: (a) => `the embedding of ${a.image} is zero or not finite, so nothing is near to it`,
    explain:
      'Neighbours are found by the cosine between embeddings, which a vector of zeros, or one with infinity or NaN, has not. Numbers that are not finite come of f16 activations or of a damaged checkpoint.',
  }),
  ESP1250: entry<{ program: string; takes: readonly string[]; gives: readonly string[]; pictures: boolean }>({
    title: 'Program does not count',
    message: (a) =>
      a.pictures
        ? `${a.program} gives ${a.gives.join(', ')}; one that counts gives density [b, 1, h, w] and count [b]`
        : `${a.program} takes ${a.takes.join(', ')}, and no pictures; one that counts takes pictures`,
    help: () => ['Compile a model whose head gives both: a map of densities, and `count`, its sum.'],
    explain: `\`espalier count\` takes programs with two results: \`density\`, a map of one channel that says for each of its cells how many things there are in it, and \`count\`,
its sum for each picture. A head that gives both ends in a record of these names:

    forward(x: [b, dim, h, w]) {
      map = relu(conv(x))
      { density: map, count: sum(rearrange(map, "b c h w -> b (c h w)"), axis: -1) }
    }

\`espalier run\` prints the classes of a program that classifies. A program that takes pictures has \`preprocess\`, which its backbone's variant says.`,
  }),
  ESP0921: entry<{ folder: string; what: string; unknown: readonly string[]; labels: readonly string[] }>({
    title: 'A label is no class',
    message: (a) =>
      `${a.folder} has ${a.what} that are no class of the model: ${a.unknown.slice(0, 5).join(', ')}${a.unknown.length > 5 ? `, ... (${a.unknown.length} in all)` : ''}`,
    help: (a) => [
      a.labels.every((label, i) => label === String(i))
        ? `It has ${a.labels.length} classes: labels are 0 to ${a.labels.length - 1}.`
        : `Its classes are: ${a.labels.slice(0, 20).join(', ')}${a.labels.length > 20 ? ', ...' : ''}.`,
    ],
    explain: `The name of each sub-folder, or each label of a list, is the true class of its images. Characters that a folder's name cannot hold are written as \`_\`: the class \`T-shirt/top\` is the folder \`T-shirt_top\`. Labels that are numbers throughout are numbers of classes, from 0.`,
  }),
  ESP0922: entry<{ problem: string; command: string | undefined }>({
    title: 'Wrong command line',
    message: (a) => a.problem,
    help: (a) => [
      a.command ? `\`espalier help ${a.command}\` shows what it takes.` : '`espalier help` lists the commands.',
    ],
    explain: `A command, an option or an argument is unknown, missing, or one too many.

    espalier compile flowers.peft --bacth 8 -o out

\`espalier help\` lists the commands, \`espalier help COMMAND\` the options of one.`,
  }),
  ESP0917: entry<{ path: string }>({
    title: 'Spec too large',
    message: (a) => `${a.path} is too large to be a spec`,
    help: () => ['Give a .peft file; weights are named inside it with `from`.'],
    explain:
      'The file is larger than 64 MiB, so it is not read. It is probably a checkpoint that was given in the place of a spec.',
  }),
  ESP0926: entry<{ folder: string; label: string; classes: readonly number[]; what: string }>({
    title: 'Two classes of one name',
    message: (a) =>
      `${a.what === 'sub-folders' ? `${a.folder}/${a.label}` : `the label ${a.label} of ${a.folder}`} could be any of the classes ${a.classes.join(', ')}, which have the same name`,
    help: () => ['Give the head class names that differ: `classify(base, pool: cls, classes: ["crane bird", ...])`.'],
    explain:
      '`eval` takes the name of each sub-folder as the true class of its images. Where two classes of the program have the same name (ImageNet has two cranes), a folder cannot say which one is meant, and the figures would be wrong.',
  }),
  ESP0925: entry<{ name: string; coords: readonly number[]; value: number }>({
    title: 'Weight too large for f16',
    message: (a) =>
      `${a.name}[${a.coords.join(', ')}] = ${a.value} does not fit f16 storage, whose largest value is 65504`,
    help: () => ['Nothing was written. Compile with `weights = f32`.'],
    explain:
      'With `weights = f16`, matrices are stored as 16-bit floats. A weight outside of their range would become infinite, so the program is refused instead. The message says which number it is; the place shown is where the spec has it from: the file, or the adapter that was merged into it.',
  }),
  ESP1307: entry<{ file: string; why: string }>({
    title: 'Not JSON',
    message: (a) => `${a.file} is not JSON: ${a.why}`,
    explain: `A spec in JSON is JSON as its standard has it: keys and words in double quotes, no comments, no comma behind the last item.

    { "use": ["std"], "model": { "name": "M", "body": [{ "name": "base", "value": { "vit_auto": [] }, "from": "./vit" }] } }

\`espalier fmt --to json spec.peft\` shows how a spec looks, \`espalier schema\` gives editors what they complete and check by.`,
  }),
  ESP1308: entry<{ problem: string }>({
    title: 'Not a spec in JSON',
    message: (a) => a.problem,
    help: () => ['`espalier explain ESP1308` shows the forms, `espalier schema` prints them for an editor.'],
    explain: `A spec in JSON has sections \`use\`, \`code\`, \`model\`, \`train\` and \`deploy\`, or is a list of objects with these.

    {
      "use": ["std", "./mine.peft"],
      "code": ["function twice(n: int) = 2 * n"],            // declarations that are code, a line an item
      "model": {
        "name": "Digits",
        "options": { "rank": { "type": "int", "default": 4 } },
        "body": [
          { "name": "base", "value": { "vit_auto": [] }, "from": "./vit" },
          { "in": "base.blocks[*]", "body": [{ "adapt": ["attn.qkv"], "with": { "lora": { "rank": "rank" } } }] },
          { "prune": ["base.blocks[*].mlp.*"], "with": { "magnitude": { "sparsity": "50%" } }, "by": { "bisection": [] } },
          { "if": "rank > 4", "then": [{ "tune": ["head"], "from": "./head.safetensors" }], "else": [] },
          { "for": "i", "below": 4, "body": [{ "tune": ["base.blocks[i].norm1"] }] }
        ]
      },
      "train": { "data": { "images": ["./digits"] }, "optimizer": { "adamw": { "lr": 1e-3 } }, "schedule": { "cosine": { "epochs": 20 } } },
      "deploy": { "adapters": "merged", "batch": [1, 8] }
    }

(The comment is not part of it.) A call is an object with one key: a list is its arguments by their order, an object by name, with \`$args\` for those
that come first. A string is an expression as in a \`.peft\` file; a string of the language is { "$string": "a b" }. Where a setting asks for a string, it is
one, and { "$expr": "..." } is an expression.`,
  }),
  ESP1309: entry<{ file: string; why: string }>({
    title: 'A spec that cannot be converted',
    message: (a) => `${a.file}: ${a.why}`,
    explain: `\`espalier fmt --to json\` writes every spec that a checker takes. An object of JSON has each key once, so a block that sets something twice, or two options
of one name, has no form there; take one of them out.

    deploy M {
      batch = 1
      batch = 8
    }

Pages read \`.peft\` alone: \`espalier/browser\` is without a reader of JSON. Convert the spec before, \`espalier fmt --to peft spec.json\`.`,
  }),
  ESP1295: entry<{ folder: string; why: string }>({
    title: 'A folder that amounts to no spec',
    message: (a) => `${a.folder} amounts to no spec: ${a.why}`,
    help: () => ['Name the base of an adapter with `--base FOLDER`, or write a spec that names its files with `from`.'],
    explain: `A folder stands for a spec where it says all that a spec would: the checkpoint of a backbone that the library has, or an adapter folder of \`peft\`
whose base can be found. \`espalier init --from FOLDER\` writes that spec; commands that take a spec take the folder in its place.

    espalier init --from ./my-lora               // writes my-lora.peft
    espalier compile ./my-lora -o out            // the same spec, without a file
    espalier compile ./my-lora --base ./vit -o out

\`check\`, \`compile\`, \`merge\`, \`inspect\` and \`export\` take the folder as their spec; \`run\`, \`eval\` and \`count\` compile it in memory before they run it. \`train\` and \`sweep\` need more
than a folder says (ESP1312). In code these are \`analyse\`, \`compile\`, \`merge\`, \`inspect\`, \`exportAdapters\`, \`exportOnnx\` and \`openProgram\`.

The base is what \`base_model_name_or_path\` of adapter_config.json leads to, from the working folder, from the adapter's or from the one around it, or a folder of that name
beside the adapter's.`,
  }),
  ESP1296: entry<{ folder: string; text: string }>({
    title: 'A folder is taken for a spec',
    severity: 'note',
    message: (a) => `${a.folder} amounts to this spec:\n\n${a.text.trimEnd().replace(/^(?=.)/gm, '    ')}`,
    help: (a) => [`\`espalier init --from ${a.folder}\` writes it into a file, to be changed.`],
    explain: `Where a command takes a spec, the folder of a checkpoint or of an adapter stands for the spec that it amounts to, which is printed.`,
  }),
  ESP1312: entry<{ folder: string; file: string; model: string; base?: string }>({
    title: 'A folder does not say how to train',
    message: (a) => `${a.folder} says what is adapted, and nothing of what to train it with`,
    help: (a) => [
      `Write its spec, \`espalier init --from ${a.folder}${a.base === undefined ? '' : ` --base ${a.base}`}\`, and add to ${a.file}: train ${a.model} { data = images("./photos")  optimizer = adamw(lr: 1e-4)  schedule = cosine(epochs: 10) }`,
      `Then \`espalier train ${a.file} -o run\` goes on from the weights of ${a.folder}: its \`from\` are where training begins.`,
    ],
    explain: `The folder of an adapter or a checkpoint stands for a spec without a \`train\` block. Data, rates and epochs are decisions that no folder holds and that nobody
should find set by a default, so \`train\` and \`sweep\` ask for a spec. It is two steps: the spec that the folder amounts to, and a block.

    espalier init --from ./my-lora               // writes my-lora.peft

    train my_lora {
      data = images("./photos")
      optimizer = adamw(lr: 1e-4)
      schedule = cosine(epochs: 10)
    }

    espalier train my-lora.peft -o run

What the spec takes \`from\` the folder is where training begins, so an adapter is continued; without the \`from\` of \`adapt\` a new one begins. The run's folder is compiled, merged and
evaluated like a spec.`,
  }),
};
