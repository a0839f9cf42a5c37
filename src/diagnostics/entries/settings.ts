/** Messages ESP025x: the settings in \`train\` and \`deploy\`, and preprocessing. */
import { entry } from './define.js';

export const SETTINGS_MESSAGES = {
  ESP0250: entry<{ block: string; name: string }>({
    title: 'Unknown setting',
    message: (a) => `\`${a.block}\` has no setting \`${a.name}\``,
    explain: `\`deploy\` has adapters, weights, batch and limits. \`train\` has data, loss, optimizer, schedule, batch, seed, clip and drop_path.

    deploy Flowers { bacth = 8 }`,
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

    optimizer = adamv(lr: 1e-3)          // adamw, sgd`,
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
  ESP0255: entry<{ model: string }>({
    title: 'A `train` block does nothing yet',
    severity: 'warning',
    message: (a) => `\`train ${a.model}\` is checked and not used: this version of Espalier does not train`,
    help: () => [
      'Train the adapters elsewhere, and name the file with `from`: adapt ... with lora(rank: 8) from "./trained.safetensors".',
    ],
    explain: `What a \`train\` block says is read and checked, so that a spec can hold it, and then nothing reads it: \`compile\`, \`merge\` and
\`inspect\` do the same with the block as without it.

    train Flowers {
      optimizer = adamw(lr: 1e-3)
    }

Adapters without a file keep the values that they start with, which for most methods change nothing.`,
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
    labels "id2label"                              // names of the classes
    several "problem_type" = "multi_label_classification"
    set "label2id" = places                        // in an export with other classes: \`names\`, \`places\`, a value, or none

A \`processor\` does the same for preprocessing: \`match\`, names that it calculates with, \`"resample" = 2\` for a field that the file leaves out, and
\`set "size" = ...\` for one that means something else than it says.`,
  }),
};
