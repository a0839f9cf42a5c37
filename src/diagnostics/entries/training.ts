/** Messages ESP11xx: runs of training. What is wrong with the data is ESP10xx (data.ts). */
import { entry } from './define.js';

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

/** A module that makes a number for each class of what a backbone gives of an image: maps of features, tokens, or numbers. */
function ownHead(gives: readonly number[], classes: number): string {
  const features = gives[gives.length === 2 ? 1 : 0] ?? 1;
  const rest = gives.length === 2 ? [1] : Array.from(gives.slice(1), (_, i) => i + 2);
  const pooled = rest.length === 0 ? 'base(x)' : `mean(base(x), axis: [${rest.join(', ')}])`;
  return `module Probe(base: module) {\n  fc = Linear(${features} -> ${classes})\n  forward(x) { fc(${pooled}) }\n}`;
}

export const TRAINING = {
  ESP1101: entry<{ param: string; operator: string; more: number }>({
    title: 'A trained parameter without a gradient',
    message: (a) =>
      `the loss gives \`${a.param}\` no gradient${a.operator === '' ? ': it does not depend on it' : `: \`${a.operator}\` passes none on`}${a.more > 0 ? `, and so for ${a.more} more` : ''}`,
    help: () => ['Leave it out of what is trained, or let the loss depend on it.'],
    explain: `Everything that is trained has to change the loss, by operators that have a derivative: \`stop_gradient\`, comparisons, whole numbers and
\`argmax\` pass no gradient on. A parameter that would never move is most likely a slip, so nothing is trained.`,
  }),
  ESP1102: entry<{ batch: number; most: number; parts: number }>({
    title: 'A batch that is too large for one pass',
    message: (a) => `a step takes at most ${a.most} samples at once here, and ${a.batch} are asked for`,
    help: (a) => [
      `Write \`accumulate = ${a.parts}\`: the batch is computed in parts, and their gradients are added up.`,
    ],
    explain: `What a step keeps for its backward pass grows with the samples that it computes at once, and one buffer of a GPU holds only so much. With
\`accumulate\` a batch is computed in parts, one after another: the same gradient, but for rounding, and less memory.`,
  }),
  ESP1103: entry<{
    /** What is not finite: the loss of a step, that of the validation, or a state after a step. */
    what: 'loss' | 'validation' | 'state';
    /** Of a state, its name. */
    value: string;
    epoch: number;
    step: number;
    /** The first tensor that is not, and on which item. */
    first?: string;
    item?: string;
    /** Why that is not known. */
    unknown?: string;
  }>({
    title: 'A loss that is not a number',
    message: (a) => {
      if (a.what === 'validation') return `the loss on the validation split is ${a.value} after epoch ${a.epoch + 1}`;
      if (a.what === 'state') return `\`${a.value}\` is not finite after step ${a.step} (epoch ${a.epoch + 1})`;
      return `the loss is ${a.value} at step ${a.step + 1} (epoch ${a.epoch + 1})`;
    },
    help: (a) => [
      ...(a.first === undefined
        ? []
        : [`The first tensor that is not finite: ${a.first}${a.item === undefined ? '' : `, for ${a.item}`}.`]),
      ...(a.unknown === undefined ? [] : [`Which tensor was first cannot be told: ${a.unknown}.`]),
      'Train with a smaller learning rate, warm up longer, or clip gradients (`clip = 1`).',
    ],
    explain: `A loss, a weight or a moment that is infinite or not a number makes everything that is trained meaningless from then on. Mostly the steps were
too large; where the first tensor is what goes in, or a parameter that is not trained, look at the data and the files.

Which tensor was first is found by making the steps since the last checkpoint again, and interpreting the one that went wrong in f64, for the item that did it
alone. That is left out where it would take longer than some minutes. No checkpoint holds what is not finite, so the last one is good.`,
  }),
  ESP1104: entry<{ path: string; problem: string }>({
    title: 'Not the folder of a run',
    message: (a) => `${a.path} is not a run that can be used: ${a.problem}`,
    help: () => ['Give the folder that `espalier train ... -o` wrote.'],
    explain: `A run has a folder of its own: what it is (run.json), its spec, its metrics, a log (log.txt), checkpoints, and what was trained so far (adapter.safetensors). Commands
that take a run read these.`,
  }),
  ESP1105: entry<{ path: string; pid: string; machine: string; lock: string }>({
    title: 'A run that another process writes',
    message: (a) => `${a.path} belongs to process ${a.pid} of ${a.machine}, which is training in it`,
    help: (a) => [`Wait for it, or use another folder. If that process is gone, remove ${a.lock}.`],
    explain: `Two runs in one folder would overwrite one another's checkpoints, so a process that trains keeps others out. The lock of a process of
this machine that has ended is not heeded.`,
  }),
  ESP1106: entry<{ path: string; changed: readonly string[] }>({
    title: 'Another run than the one to go on with',
    message: (a) => `${a.path} cannot be gone on with: ${a.changed.join(', ')} changed since it began`,
    help: () => [
      'Put back what it was begun with (`spec.peft` in the folder is its spec), or begin another run in another folder.',
    ],
    explain: `A run that goes on is the run that was never interrupted, with the same bits. With another spec, other weights or other data it would be a
different one half-way through, and its curves would mean nothing.`,
  }),
  ESP1107: entry<{ path: string }>({
    title: 'A folder with a run in it',
    message: (a) => `${a.path} has a run already`,
    help: () => ['Go on with it by `--resume`, or give another folder.'],
    explain: `\`espalier train\` never overwrites a run. \`--resume\` goes on with the one in the folder, from its last checkpoint.`,
  }),
  ESP1108: entry<{ model: string }>({
    title: 'Nothing says how to train',
    message: (a) => `the spec has no \`train ${a.model}\``,
    help: (a) => [
      `Add: train ${a.model} { data = images("./photos")  optimizer = adamw(lr: 1e-3)  schedule = cosine(epochs: 20, warmup: 2) }`,
    ],
    explain: `What to train with is said in a block of the spec.

    train Flowers {
      data = images("./flowers")
      optimizer = adamw(lr: 1e-3, weight_decay: 1e-4)
      schedule = cosine(epochs: 20, warmup: 2)
      batch = 32
    }`,
  }),
  ESP1109: entry<{ other: readonly string[] }>({
    title: 'Going on elsewhere',
    severity: 'warning',
    message: (a) =>
      `the run goes on with ${a.other.map((o) => (o === 'device' ? 'another device' : o === 'variants' ? 'other variants of kernels' : 'another program')).join(', ')}: its bits will not be those of an uninterrupted run`,
    explain: `The same sums in another order give other last digits. A run that goes on with the same program, device and kernels gives the bits of a run that was never
interrupted; on another machine, or with another version of Espalier, it goes on and is a little different.`,
  }),
  ESP1110: entry<{ model: string }>({
    title: 'No data to train on',
    message: (a) => `\`train ${a.model}\` names no data`,
    help: () => [
      'Add `data = images("./folder")`: a folder for each class, a table with paths and labels, IDX files or arrays.',
    ],
    explain: `The setting \`data\` says where pictures and labels are: \`images(path)\` finds out what lies there (folders of classes, train and test folders,
metadata.csv, CSV files, list files of VTAB and FGVC, IDX, safetensors). \`format\` says it, where several would fit.`,
  }),
  ESP1111: entry<{ found: number; names: readonly string[]; gives: readonly number[] }>({
    title: 'Classes that do not fit the head',
    message: (a) =>
      `the data have ${a.found} class${a.found === 1 ? '' : 'es'} (${a.names.join(', ')}${a.found > a.names.length ? ', ...' : ''}), and the model gives ${a.gives.length === 1 ? a.gives[0] : `[${a.gives.join(', ')}]`} of an image`,
    help: (a) => {
      if (a.found < 2) return ['There is nothing to tell apart: look at the folders.'];
      const own = `Put a head behind the backbone, \`head = Probe(base)\`, and \`tune head\`:\n${ownHead(a.gives, a.found)}`;
      return a.gives.length === 1 ? [`Write \`classes: ${a.found}\` in the head, if it has that option.`, own] : [own];
    },
    explain: `The head of a model gives a number for each class, so there have to be as many as the data have, and at least two. \`classify(base, classes: 10)\` is the library's, for backbones that
give tokens. What is a backbone alone, an ONNX graph above all, gives what it was made for: a map of features, or numbers for other classes. It gets a head of your own, a module that calls it:

\`\`\`
module Probe(base: module) {
  fc = Linear(256 -> 10)
  forward(x) { fc(mean(base(x), axis: [2, 3])) }
}

model M {
  base = onnx() from "./encoder.onnx"    // [b, 256, 64, 64]
  head = Probe(base)
  tune head
}
\`\`\``,
  }),
  ESP1112: entry<{ name: string; found: string; expected: string | undefined }>({
    title: 'Trained tensors of another model',
    message: (a) =>
      a.expected === undefined
        ? `\`${a.name}\` was trained, and the model has no such parameter`
        : `\`${a.name}\` was trained as ${a.found}, and the model's is ${a.expected}`,
    explain: `What a run trained belongs to the spec that it was begun with. The files that the spec uses, or the configuration of its backbone, are other ones
now.`,
  }),
  ESP1113: entry<{ path: string; reason: string }>({
    title: 'The GPU was lost while it trained',
    message: (a) => `the GPU was lost while it trained in ${a.path}: ${a.reason}`,
    explain: `The driver was reset, the GPU was removed, or a single step took too long. What is on a GPU is lost with it; what a run needs to go on is in its folder, so
nothing is lost but the steps since the last checkpoint (\`save = every(steps: n)\` makes more of them). \`espalier train\` exits with 6, so that a script can tell that
going on with \`--resume\` is all that there is to do. Where it happens again, take smaller parts of a batch (\`accumulate\`).`,
  }),
  ESP1114: entry<{ run: string }>({
    title: 'A run without data that were held out',
    message: (a) => `${a.run} was trained on all of its data: there is no test split, and no validation split`,
    help: (a) => [`Name others: \`espalier eval ${a.run} ./photos\`.`],
    explain: `How well a model does on data that it was trained on says nothing about other data. Without a test split in the data, and with \`validation = 0\`, a run keeps none
back to be evaluated on.`,
  }),
  ESP1115: entry<{ least: number; budget: number; accumulate: number }>({
    title: 'A step that takes more memory than it may',
    message: (a) =>
      `a step holds at least ${mib(a.least)} on the GPU, with everything computed again that can be; \`checkpoint\` allows ${mib(a.budget)}`,
    help: (a) => [`Compute the batch in more parts: \`accumulate = ${2 * a.accumulate}\`.`],
    explain: `\`checkpoint = auto(memory: n)\` keeps a run to n MiB of the GPU's memory: what the forward pass leaves for the backward pass is computed again,
block by block, as far as that takes. Weights, what is trained with its moments, and what one block needs while it is differentiated, are there in any case. Fewer samples at
once need less: a larger \`accumulate\`, which changes no result, or a smaller batch.`,
  }),
  ESP1116: entry<{ pattern: string; some: readonly string[] }>({
    title: 'A gradient by what is not there',
    message: (a) => `no parameter or input is called \`${a.pattern}\``,
    help: (a) => [`There are: ${a.some.join(', ')}, ...`],
    explain: `\`grad(spec, { by })\` takes names of parameters and of the model's inputs, in which \`*\` stands for any characters: \`head.*\`, \`pixels\`.
Parameters are called as \`espalier inspect\` shows them.`,
  }),
};
