/** Messages ESP025x and ESP026x: the settings in \`train\` and \`deploy\`, preprocessing, and optimizers. */
import { entry } from './define.js';

export const SETTINGS_MESSAGES = {
  ESP0250: entry<{ block: string; name: string }>({
    title: 'Unknown setting',
    message: (a) => `\`${a.block}\` has no setting \`${a.name}\``,
    explain: `As in \`deploy Flowers { bacth = 8 }\`.

\`deploy\` has:

    adapters      merged, factored, or auto: by cost (the default)
    weights       f32 (the default) or f16
    batch         the most images of a pass: [1] unless it is said
    limits        baseline, what every GPU has, or device: this one's
    prepare       cpu, gpu, or load: where adapters are merged into weights

\`train\` has:

    data          images("./folder", ...): what is learnt; points("./folder", sigma: 4, kernel: 15, ...): what is counted
    augment       a list of crop, cut, flip, flip_vertical, rand_augment, mixup, cutmix
    loss          a function of prediction and target, or an expression of them: cross_entropy()
    optimizer     adamw(lr: 1e-3), adam, sgd, lion, or your own
    groups        a list of group("head", lr: 1e-2): what moves otherwise
    schedule      cosine(epochs: 20, warmup: 2), constant, step, one_cycle, or your own function
    batch         items of a step: 32
    accumulate    parts of a batch, one after another, which takes less memory: 1
    clip          the largest norm of all gradients together
    ema           share of itself that the moving average of the weights keeps at a step
    checkpoint    none, blocks, or auto(memory: MiB): what the backward pass computes again rather than keep it
    cache         auto(memory: MiB, folder: "...") or none: what is frozen and sees the same images, once an image
    adapters      factored (the default), merged or auto
    order         shuffled, or balanced: of each class as many
    seed          of how what is trained starts, and of the order of the data
    validation    share of the training data that is held out where there is no such split: 10%
    split_seed    which items these are
    corrupt       share of the items that may be unreadable, which take no part: 10%
    patience      epochs without a better validation, after which a run ends
    save          every(steps: n): checkpoints inside of epochs
    keep          how many of the last checkpoints are kept: 2`,
  }),
  ESP0251: entry<{ setting: string; expected: string; found: string }>({
    title: 'Wrong value of a setting',
    message: (a) => `\`${a.setting}\` must be ${a.expected}, not ${a.found}`,
    explain: `A setting of \`deploy\` or \`train\`, or a step of \`preprocess\`, has a value that it cannot have.

    deploy Flowers { weights = f8 }      // f32 or f16`,
  }),
  ESP0252: entry<{ setting: string; name: string }>({
    title: 'Unknown form of a setting',
    message: (a) => `\`${a.setting}\` knows no \`${a.name}\``,
    explain: `A setting takes one of a few forms, and this is none of them.

    augment = flop(50%)                  // crop, flip, flip_vertical, ...
    preprocess = risize(224)             // colour, resize, crop, pad, grayscale, normalize`,
  }),
  ESP1141: entry<{ twice: boolean }>({
    title: 'A rule of colors that is not the first step',
    message: (a) =>
      a.twice
        ? '`preprocess` says twice which colors pictures are decoded to'
        : '`colour` says how pictures are decoded, and stands after another step',
    help: () => ['Write it once, as the first step: `preprocess = colour(managed), resize(224), ...`.'],
    explain: `Pictures are decoded before anything else is done to them, so \`colour\` is the first step of \`preprocess\`, and there is one of it.

    variant mine = vit_auto() { preprocess = colour(managed) }

\`colour(raw)\`, the default, takes a file's own numbers, whatever its color profile says: what Pillow gives the image processors that models are trained with.
\`colour(managed)\` converts a picture that has an ICC profile by it to sRGB. Alone it leaves the other steps as they are: those of the variant that is filled in, or of the
files beside the weights, which say nothing of colors. Programs, training, exports and imports carry it with the other steps.`,
  }),
  ESP0253: entry<{ block: string; model: string }>({
    title: 'Settings given twice',
    message: (a) => `there are two \`${a.block}\` blocks for \`${a.model}\``,
    explain: `A model has at most one \`train\` and one \`deploy\` block in a file. Put the settings together.`,
  }),
  ESP0254: entry<{ setting: string }>({
    title: 'Setting given twice',
    message: (a) => `\`${a.setting}\` is set twice`,
    explain: `A block gives one setting two values. Keep one of them.`,
  }),
  ESP0256: entry<{ text: string }>({
    title: 'Not an index',
    message: (a) => `\`${a.text}\` is not an index`,
    explain: `Braces in a tensor's name stand for an index of the path beside it: its name, or a sum, difference or product of names and whole numbers.

    names huggingface {
      "encoder.layer.{i}.output.dense" = blocks[i].mlp.fc2
      "stages.{i + 1}.norm" = stages[i].norm
    }`,
  }),
  ESP0258: entry<{ file: string; name: string }>({
    title: 'Configuration that nothing reads',
    severity: 'warning',
    message: (a) => `\`${a.name}\` does not say what ${a.file} means, so nothing of it is read`,
    help: (a) => [
      `Say it in a variant of \`${a.name}\`, by a \`config\` block; \`espalier explain ESP0257\` shows its forms.`,
    ],
    explain: `The folder that \`from\` names has a configuration beside its weights. What its fields mean, which are options and which must hold, is said by the
\`config\` block of a variant; a backbone alone, or a variant without such a block, takes its options from the spec. If the weights fit, the model runs, but
what the configuration says otherwise (another activation, another epsilon) is not known.`,
  }),
  ESP0257: entry<{ block: string; expected: string }>({
    title: 'Not a form of a configuration',
    message: (a) => `a \`${a.block}\` has ${a.expected} here`,
    explain: `A variant's \`config\` says what the configuration beside the weights means. Each line has one of these forms:

    match "model_type" = "vit"                     // the first says which files the variant reads; \`none\` among the values: or absent
    dim = count("hidden_size") or 768              // an option of the backbone: the first field that is there, or a value
    patch = square("patch_size") or 16             // a number, or a pair of equal ones
    eps = amount("layer_norm_eps") or 1e-12        // a number of at least 0
    qkv_bias = "qkv_bias" or true                  // whatever the option's type takes
    activation = word("hidden_act", swish: silu)   // one of the option's words, or what the file calls one
    sizes "architecture"                           // options come from the variant built on this one that is for the file
    only "model_args" = "*drop_rate"               // what else this object sets is refused
    labels "id2label" or count("num_classes")      // names of the classes, or how many there are; at last, names where the file has none
    several "problem_type" = "multi_label_classification"
    set "label2id" = places                        // in an export with other classes: \`names\`, \`places\`, a value, or none

A variant may have one for each layout, and inherits what the variants that it builds on say of it and it does not.

A \`processor\` does the same for preprocessing: \`match\`, names that it calculates with, \`"resample" = 2\` for a field that the file leaves out, and
\`set "size" = ...\` for one that means something else than it says.`,
  }),
  ESP0260: entry<{ optimizer: string }>({
    title: 'An optimizer without a rate',
    message: (a) => `the optimizer \`${a.optimizer}\` has no option \`lr\``,
    help: () => [
      'Declare `lr: float`: the schedule makes the rate of each step of it, and `forward` asks for that as `rate`.',
    ],
    explain: `Every optimizer has a learning rate, as an option called \`lr\`.

    optimizer plain(lr: float) {
      forward(weight, gradient, rate) { weight - rate * gradient }
    }`,
  }),
  ESP0261: entry<{ name: string; optimizer: string }>({
    title: 'Nothing that an optimizer is given',
    message: (a) => `\`${a.optimizer}\` asks for \`${a.name}\`, which no step has`,
    explain: `The \`forward\` of an optimizer asks by name for what it needs: \`weight\`, \`gradient\` (of the weight's shape), \`rate\` (the learning rate
now) and \`count\` (1 at the first step). What it keeps from step to step are its states: \`m = state zeros\`.`,
  }),
  ESP0262: entry<{ what: string; expected: string; found: string }>({
    title: 'An optimizer that changes a shape',
    message: (a) => `${a.what} is ${a.found}, and the weight is ${a.expected}`,
    explain: `What a weight and the states of an optimizer become has the weight's shape, for weights of any shape.`,
  }),
  ESP0263: entry<{ settings: readonly string[]; model: string }>({
    title: 'Settings that training needs',
    message: (a) => `\`train\` does not say ${a.settings.map((s) => `\`${s}\``).join(' and ')}`,
    help: () => [
      'For example: optimizer = adamw(lr: 1e-3), schedule = cosine(epochs: 20, warmup: 2), loss = cross_entropy(); these are in the standard library (`use std`).',
    ],
    explain: `A \`train\` block needs an optimizer, with its learning rate, and a schedule, with the number of epochs. The loss is \`cross_entropy\` where none is
given. All three are declarations of the library, or your own.

    train Flowers {
      optimizer = adamw(lr: 1e-3, weight_decay: 1e-4)
      schedule = cosine(epochs: 100, warmup: 10)
    }`,
  }),
  ESP0264: entry({
    title: 'Nothing to train',
    message: () => 'nothing of this model is trained',
    help: () => [
      'Put an adapter on it (`adapt base.blocks[*].attn.qkv with lora(rank: 8)`), or train a part of it (`tune head`).',
    ],
    explain: `All parameters of a model are frozen but those of its adapters and those that \`tune\` names. A \`train\` block on a model that has none
of these has nothing to do.`,
  }),
  ESP0265: entry<{ pattern: string; some: readonly string[] }>({
    title: 'A group of nothing',
    message: (a) => `no trained parameter is called \`${a.pattern}\``,
    help: (a) => [`There are ${a.some.map((name) => `\`${name}\``).join(', ')} and others.`],
    explain: `A group gives some of the trained parameters another learning rate or other options. It names them by a path as specs write it, in which
\`*\` stands for anything; all that is below a path belongs to it. Frozen parameters are in no group.

    groups = [group("head", lr: 1e-2), group("*.bias", weight_decay: 0)]`,
  }),
  ESP0266: entry<{ state: string; optimizer: string }>({
    title: 'A state that never changes',
    message: (a) => `\`${a.optimizer}\` keeps \`${a.state}\` and never changes it`,
    help: () => [
      'Bind its name in `forward` itself, outside of the braces of an `if`: `v = if momentum > 0 { ... } else { ... }`.',
    ],
    explain: `What a state's name is bound to when \`forward\` ends is what the state becomes. Names that are bound in the braces of an expression are
gone after them.

    optimizer momentum(lr: float, share: float = 0.9) {
      v = state zeros
      forward(weight, gradient, rate) {
        v = share * v + gradient
        weight - rate * v
      }
    }`,
  }),
};
