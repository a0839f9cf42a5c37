/** Messages ESP02xx: names, options, types and settings. */
import { entry } from './define.js';
import { SETTINGS_MESSAGES } from './settings.js';

export const NAMES = {
  ESP0201: entry<{ name: string }>({
    title: 'Unknown name',
    message: (a) => `unknown name \`${a.name}\``,
    explain: `A name is used that nothing binds: it is no option, no binding of the block, and no operator.

    module Mlp(dim: int) {
      fc1 = Linear(dim -> hiden)     // \`hiden\` is bound nowhere
      forward(x: [b, n, dim]) { fc1(x) }
    }

Correct the spelling, or bind the name (an option in the parentheses, or \`name = value\` in the body) first.`,
  }),
  ESP0202: entry<{ what: string; name: string }>({
    title: 'Unknown module, adapter or criterion',
    message: (a) => `there is no ${a.what} \`${a.name}\``,
    explain: `Something is used as a module, backbone, adapter or criterion, and no file in reach declares it.

    adapt base.blocks[*].attn.qkv with lorra(rank: 4)

Correct the spelling. If it is declared elsewhere, \`use std\` or \`use "./file.peft"\` brings it in. Criteria are
declared with \`criterion\`; procedures that search for a mask (learned rates, second-order updates) are not in this version.`,
  }),
  ESP0203: entry<{ option: string; of: string }>({
    title: 'Unknown option',
    message: (a) => `\`${a.of}\` has no option \`${a.option}\``,
    explain: `A call passes an option that its declaration does not have.

    adapt base.blocks[*].attn.qkv with lora(rnk: 4)   // the option is \`rank\`

The help line lists the options that exist.`,
  }),
  ESP0204: entry<{ options: readonly string[]; of: string }>({
    title: 'Missing option',
    message: (a) => `\`${a.of}\` needs a value for ${a.options.map((o) => `\`${o}\``).join(', ')}`,
    explain: `An option without a default was not given.

    adapter lora(rank: int) on base: Linear(in -> out) { ... }
    adapt base.blocks[*].attn.qkv with lora()          // rank has no default

Pass it. Options of a backbone may also come from the configuration file of the folder that \`from\` names.`,
  }),
  ESP0205: entry<{ what: string; expected: string; found: string }>({
    title: 'Wrong type',
    message: (a) => `${a.what} must be ${a.expected}, not ${a.found}`,
    explain: `A value has another type than its place needs.

    lora(rank: "4")      // rank is an int
    lora(rank: 2.5)      // and a whole one

Types are int, float, bool, string, module, lists such as [int], and choices such as none | scalar | channel.`,
  }),
  ESP0206: entry<{ name: string }>({
    title: 'Name bound twice',
    message: (a) => `\`${a.name}\` is bound twice`,
    explain: `Two things of one block have the same name. A module's path is the names it is bound to, so they must differ.

    fc = Linear(8 -> 8)
    fc = Linear(8 -> 4)`,
  }),
  ESP0207: entry<{ name: string }>({
    title: 'Unknown type',
    message: (a) => `unknown type \`${a.name}\``,
    explain: `Types are int, float, bool, string, module, lists of them ([int]), unions (int | [string], int | none) and choices (none | scalar).
The arguments of a function may be of type tensor as well.

    adapter lora(rank: integer) on base: Linear(in -> out) { ... }    // write int`,
  }),
  ESP0208: entry<{ option: string; of: string }>({
    title: 'Option given twice',
    message: (a) => `\`${a.option}\` is given twice to \`${a.of}\``,
    explain: `One call gives the same option two values, by name twice or once by position and once by name.

    lora(4, rank: 8)`,
  }),
  ESP0209: entry<{ of: string; most: number; found: number }>({
    title: 'Too many arguments',
    message: (a) => `\`${a.of}\` takes at most ${a.most} argument${a.most === 1 ? '' : 's'}, and ${a.found} are given`,
    explain: `A call passes more arguments by position than there are parameters.

    gelu(x, y, z)`,
  }),
  ESP0210: entry<{ option: string; found: string; choices: readonly string[] }>({
    title: 'Not one of the choices',
    message: (a) => `\`${a.option}\` must be one of ${a.choices.join(', ')}, not ${a.found}`,
    explain: `An option with a fixed list of choices got something else.

    karst(rescale: chanel)       // none | scalar | channel`,
  }),
  ESP0211: entry<{ name: string }>({
    title: 'Unknown library module',
    message: (a) => `the standard library has no \`${a.name}\``,
    explain: `\`use std\` brings in the whole library, \`use std.vit\` one part of it. The help line lists the parts.`,
  }),
  ESP0212: entry<{ path: string }>({
    title: 'File to use not found',
    message: (a) => `cannot find \`${a.path}\``,
    explain: `\`use "./mine.peft"\` is read relative to the file it is written in. Check the path and the file's name.`,
  }),
  ESP0213: entry<{ chain: readonly string[] }>({
    title: 'Cyclic use',
    message: (a) => `files use each other in a circle: ${a.chain.join(' -> ')}`,
    explain: `a.peft uses b.peft, which uses a.peft. Move what both need into a third file that both use.`,
  }),
  ESP0214: entry<{ name: string }>({
    title: 'Declared twice',
    message: (a) => `\`${a.name}\` is declared twice`,
    explain: `Two declarations of a file have one name. Rename one of them. ESP1310 is about two files, ESP1311 about a name of the standard library.`,
  }),
  ESP1310: entry<{ name: string; files: readonly [string, string]; library: boolean }>({
    title: 'Two files declare one name',
    message: (a) => `\`${a.name}\` is declared in ${a.files[0]} and in ${a.files[1]}`,
    help: (a) => [
      a.library
        ? `Use only the part of the library that is meant: \`use ${a.files[0].replace(/\.peft$/, '').replaceAll('/', '.')}\`.`
        : 'Rename one of them, or use only one of the files here: each file sees what it uses itself.',
    ],
    explain: `A name stands for one declaration, so two files that a file uses, or a file and one that it uses, may not both declare it: neither would silently win.

    // a.peft                       // b.peft
    criterion score(weight) = ...    criterion score(weight, input) = ...

    // spec.peft
    use "./a.peft"
    use "./b.peft"                   // which \`score\` would \`prune fc with score()\` be?

Rename one. What a file needs only for itself goes into a third file that only it uses: names are not handed on, a file sees what it declares and what the files that it
names in \`use\` declare, and nothing that those use. A file that is used by two others is one file, and no clash.`,
  }),
  ESP1311: entry<{ name: string; file: string; library: string }>({
    title: 'A name of the library is taken',
    severity: 'note',
    message: (a) => `\`${a.name}\` stands for the one of ${a.file}, not for the library's in ${a.library}`,
    help: () => [
      "Rename it if the library's was meant, or use only the parts of the library that are needed (`use std.NAME`).",
    ],
    explain: `What your files declare comes before the standard library, so that a spec means the same when the library gets another name. It is said, since a spec that
uses the library's \`lora\` and declares one of its own has only its own. The library itself is not changed by it: its files see their own declarations.

    use std
    adapter lora(rank: int) on base: Linear(in -> out) { ... }   // this one is meant from here on

The note is gone where the name is another, or where \`use\` names only parts of the library that do not declare it.`,
  }),
  ESP0215: entry<{ member: string; of: string }>({
    title: 'Unknown member',
    message: (a) => `${a.of} has no \`${a.member}\``,
    explain: `\`a.b\` reads a binding of a module, an option of it, \`.T\` of a tensor, or weight, bias, parts and axis of an adapter's base.

    base.wieght + delta          // base.weight`,
  }),
  ESP0216: entry<{ what: string }>({
    title: 'Cannot be called',
    message: (a) => `${a.what} cannot be called`,
    explain: `Parentheses after a value call it. Modules, labelled sites, lists of modules, an adapter's base and operators can be called.

    dim(x)         // dim is a number`,
  }),
  ESP0217: entry<{ name: string }>({
    title: 'Used before it is bound',
    message: (a) => `\`${a.name}\` is used before it is bound`,
    explain: `Statements run in order. Move the binding above its use.

    y = x + 1
    x = 2`,
  }),
  ESP0218: entry<{ what: string }>({
    title: 'Not known while compiling',
    message: (a) => `${a.what} must be known while compiling, and this is a tensor`,
    explain: `Conditions, counts, dimensions and options are fixed before any weight is read; they cannot depend on what flows through
the model or on parameters.

    if sum(x, axis: 0) > 0 { ... }     // not possible`,
  }),
  ESP0219: entry<{ what: string }>({
    title: 'A module needs a name',
    message: (a) => `${a.what} must be bound to a name in a module's body`,
    explain: `Modules and parameters live at the path of the names they are bound to, so that checkpoints can hold them.

    forward(x: [b, n, dim]) { Linear(dim -> dim)(x) }   // write fc = Linear(dim -> dim) above, and fc(x) here`,
  }),
  ESP0220: entry<{ what: string; where: string }>({
    title: 'Not allowed here',
    message: (a) => `${a.what} is not allowed in ${a.where}`,
    explain: `Some statements have one place: \`site\` and \`forward\` stand in the body of a module or adapter, not in one another.`,
  }),
  ESP0221: entry<{ of: string }>({
    title: 'No forward',
    message: (a) => `\`${a.of}\` has no forward`,
    explain: `A module, backbone or adapter that is called needs \`forward(x: [...]) { ... }\`, whose last line is its result.`,
  }),
  ESP0222: entry<{ names: number; values: number }>({
    title: 'Wrong number of names',
    message: (a) => `${a.names} names are bound to ${a.values} value${a.values === 1 ? '' : 's'}`,
    explain: `\`q, k, v = value\` takes a list, or a tensor whose first axis has as many elements as there are names.`,
  }),
  ESP0223: entry<{ text: string }>({
    title: 'A requirement does not hold',
    message: (a) => a.text,
    explain: `A declaration states what its options must satisfy with \`require(condition, "message")\`, and the options given do not.

    adapt base.blocks[*].mlp.fc1 with lora(rank: 0)     // rank must be at least 1`,
  }),
  ESP0224: entry<{ what: string }>({
    title: 'No value',
    message: (a) => `${a.what} has no value`,
    explain: `A block that is used as a value must end in an expression, and an \`if\` that is used as a value needs an \`else\`.

    y = if bias { c }            // add else { 0 }`,
  }),
  ESP0225: entry<{ name: string }>({
    title: 'Something contains itself',
    message: (a) => `\`${a.name}\` contains itself`,
    explain: `Modules, variants, labelled stretches and functions may not be recursive, directly or through one another: they would have no end.

    module Block(dim: int) {
      inner = Block(dim)      // and that one has another, and so on
    }

A number of equal modules, one after another, is a \`repeat\`.`,
  }),
  ESP0226: entry<{ what: string; found: string; range: string }>({
    title: 'Number out of range',
    message: (a) => `${a.what} must be ${a.range}, not ${a.found}`,
    explain: `A number lies outside of what its place allows.

    prune base.blocks[*].mlp.fc1 with magnitude(sparsity: -10%)      // from 0% to below 100%`,
  }),
  ESP0227: entry<{ what: string; value: string }>({
    title: 'Arithmetic does not work out',
    message: (a) => `${a.what} is ${a.value}`,
    explain: `A compile-time calculation divides by zero, takes the root or logarithm of a negative number, or overflows. (Or it
comes to a multiple of 67,108,859, by which the compiler knows the batch: take another number.)`,
  }),
  ESP0228: entry<{ left: string; op: string; right: string }>({
    title: 'Operator does not apply',
    message: (a) => `\`${a.op}\` does not apply to ${a.left} and ${a.right}`,
    explain: `Arithmetic works on numbers and tensors, and \`-\`, \`*\`, \`/\` and \`%\` of a list of numbers and a number on each of these; \`and\`, \`or\` and \`not\` on true and false, \`@\` on tensors, \`+\` also joins lists.`,
  }),
  ESP0229: entry<{ of: string; what: string }>({
    title: 'Missing argument',
    message: (a) => `\`${a.of}\` needs ${a.what}`,
    explain: `An operator or a module is called without one of the arguments that it must have.`,
  }),
  ESP0230: entry<{
    location: string;
    options: readonly { readonly option: string; readonly spec: string; readonly file: string }[];
  }>({
    title: 'Spec and checkpoint disagree',
    message: ({ location, options }) => {
      const [first, ...others] = options.map((o) => [o.option, o.spec, o.file] as const);
      const rest = others.map(([option, spec, file]) => `, \`${option}\` ${spec} and ${file}`).join('');
      return `\`${first![0]}\` is ${first![1]} in the spec and ${first![2]} in \`${location}\`${rest}`;
    },
    explain: `The configuration in the folder that \`from\` names fixes an option, and the spec gives it another value. Drop the option from
the spec, or name the folder that fits.`,
  }),
  ESP0231: entry<{ option: string; location: string }>({
    title: 'Unused entry of a configuration',
    severity: 'warning',
    message: (a) => `\`${a.location}\` says \`${a.option}\`, for which the spec has no option`,
    explain: `The checkpoint's configuration has something that this backbone has no option for. The results may differ from the original's.`,
  }),
  ESP0232: entry<{ unit: string }>({
    title: 'A number with a unit',
    message: (a) => `no number here has the unit \`${a.unit}\``,
    help: () => ['Write the number alone; two arguments are separated by a comma.'],
    explain: `A word right behind a number is its unit, as in \`5 epochs\`. Nothing in this version takes a unit, and nothing that is written is ignored.

    lora(rank: 2k)            // write 2000
    batch = [8 images]        // write [8]
    lora(4 alpha: 8)          // a comma is missing: lora(4, alpha: 8)`,
  }),
  ESP0233: entry<{ path: string; layout: string }>({
    title: 'Names map: unknown path',
    message: (a) => `names ${a.layout}: nothing has the path \`${a.path}\``,
    explain: `The right side of an entry of a \`names\` block is the path of a layer, a row part of a fused layer, a module or a parameter, relative to
the backbone or to the model.

    names huggingface { "vit.layernorm" = nrom }       // norm`,
  }),
  ESP0234: entry<{ layout: string; what: string }>({
    title: 'Names map: not one to one',
    message: (a) => `names ${a.layout}: ${a.what}`,
    explain: `A \`names\` block is a bijection: each parameter (or each row of a fused one) has one place in the checkpoint, and each tensor of
the checkpoint one use.`,
  }),
  ESP0235: entry<{ name: string; pattern: string }>({
    title: 'Names map: index missing',
    message: (a) => `\`${a.name}\` stands on one side of the entry "${a.pattern}" only`,
    explain: `An index such as {i} in the pattern must be the index of a list in the path, and the other way round.

    "encoder.layer.{i}.output.dense" = blocks[i].mlp.fc2`,
  }),
  ESP0236: entry({
    title: 'No model',
    message: () => 'the file declares no model',
    explain: `Only a \`model\` can be compiled; modules, adapters and criteria are what it is made of.

    model Flowers {
      base = vit_base_patch16() from "./vit-base-patch16"
      head = classify(base)
    }`,
  }),
  ESP0237: entry<{ models: readonly string[] }>({
    title: 'Which model?',
    message: (a) => `the file declares several models: ${a.models.join(', ')}`,
    explain: `Say which one to compile, with --model NAME on the command line or \`model\` in the options of the API.`,
  }),
  ESP0238: entry<{ name: string }>({
    title: 'Unknown model',
    message: (a) => `there is no model \`${a.name}\``,
    explain: `\`train\`, \`deploy\` and --model name a model that is declared in the same file.`,
  }),
  ESP0239: entry<{ option: string; model: string }>({
    title: '--set names an unknown option',
    message: (a) => `--set: the model \`${a.model}\` has no option \`${a.option}\``,
    explain: `\`--set rank=4\` gives an option of the model a value: what stands in the parentheses of \`model Name(rank: int = 8)\`.`,
  }),
  ESP0240: entry<{ option: string; text: string; expected: string }>({
    title: '--set: wrong value',
    message: (a) => `--set ${a.option}=${a.text}: must be ${a.expected}`,
    explain: `The text after \`=\` is read by the option's type: 4, 1e-3, 50%, true, a word of the choices, or any text for a string.`,
  }),
  ESP0242: entry({
    title: 'A line that does nothing',
    message: () => 'the value of this is not used',
    help: () => ['Bind it, `y = ...`, or make it the last line of its block, whose value it then is.'],
    explain: `A line is an expression, its value goes nowhere, and since nothing here has effects the line does nothing.

    forward(x) {
      fc1(x)              // meant was: y = fc1(x)
      fc2(x)
    }

The value of a block is that of its last line.`,
  }),
  ESP0243: entry<{ name: string }>({
    title: 'A model without input',
    message: (a) => `\`${a.name}\` takes no tensor, so the model has no input`,
    help: () => ['Give its forward an argument with a shape: `forward(pixels: [b, 3, 224, 224]) { ... }`.'],
    explain: `What the last binding of a model takes is the model's input. One that takes nothing would give the same result for ever.

    forward(pixels: [b, channels, image, image]) { ... }`,
  }),
  ESP0241: entry<{ name: string }>({
    title: 'The model is empty',
    message: (a) => `the model \`${a.name}\` binds nothing that can run`,
    explain: `A model binds at least one backbone: \`base = vit_base_patch16() from "./folder"\`.`,
  }),
  ...SETTINGS_MESSAGES,
};
