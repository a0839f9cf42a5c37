/** Messages ESP06xx. */
import { entry } from './define.js';

/** In MiB, with as many digits as tell it from the limit that it exceeds. */
function size(bytes: number, limit = 0): string {
  const mib = (n: number, digits: number): string => `${(n / 2 ** 20).toFixed(digits)} MiB`;
  let digits = 1;
  while (digits < 6 && bytes !== limit && mib(bytes, digits) === mib(limit, digits)) digits++;
  return mib(bytes, digits);
}

const forDevice = (device: boolean): string[] =>
  device ? ["or compile for GPUs with larger limits, as this machine's: `limits = device` under `deploy`"] : [];
const smaller = (device: boolean): string[] => ['use a smaller image, or fewer tokens', ...forDevice(device)];
const fewer = (device: boolean): string[] => [
  'make it several parameters, and read each by itself',
  ...forDevice(device),
];

const ONE_IN_A_PASS = 'the program is right as it is, with one image in each pass: `batch = [1]` asks for that';

const ATTEND = 'give q, k and v as [b, heads, tokens, width]: `transpose` or `rearrange` before it';
/** Where the batch came to lie, though kernels for any number of images have it outermost, and the cure. */
const INSIDE = {
  joined: {
    what: 'joins the batch with an axis before it',
    cure: 'move the batch to the front first: `transpose`, then `reshape`',
  },
  split: {
    what: 'puts another axis before the batch',
    cure: 'split it so that the batch stays the first: [b, 2, ...] instead of [2, b, ...]',
  },
  divided: {
    what: 'finds its elements by a division of the number of images',
    cure: 'concatenate and reshape along other axes than the batch',
  },
  columns: {
    what: 'has the batch as its columns',
    cure: 'multiply the other way round, so that the batch is among the rows: `x @ W.T` instead of `W @ x.T`',
  },
  rows: { what: 'has the batch as its queries', cure: ATTEND },
  keys: { what: 'has the batch as its keys', cure: ATTEND },
  headDim: { what: 'has the batch as the width of its queries and keys', cure: ATTEND },
  valueDim: { what: 'has the batch as the width of its values', cure: ATTEND },
};

export const GENERATION = {
  ESP0600: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),
  ESP0601: entry<{ operator: string }>({
    title: 'Operator without a kernel',
    message: (a) => `no kernel computes \`${a.operator}\` when input arrives`,
    help: () => ['compute it from parameters alone: then it runs once, when weights are prepared'],
    explain: `Most operators run on the GPU. A few, such as \`solve\`, exist only for work on weights, which is done once on the CPU
before the program is written. This one depends on the program's input, so it would have to run on the GPU at every call.

\`\`\`
forward(x) { solve(gram(x), x) }        // depends on x: refused
param U = ...
forward(x) { x * solve(gram(U), U) }    // depends on parameters alone: computed once
\`\`\`

Move the operator to a place where it sees parameters only, or write it with operators that have kernels.`,
  }),
  ESP0602: entry<{
    operator: string;
    /** Of all that the kernel binds. */
    bytes: number;
    bindings: number;
    limits: { binding: number; bindings: number };
    device: boolean;
  }>({
    title: 'Tensors too large for one kernel',
    message: (a) =>
      `\`${a.operator}\` needs ${size(a.bytes, a.limits.binding)} at a time, which takes ${a.bindings} bindings of at most ` +
      `${size(a.limits.binding)}; a kernel may have ${a.limits.bindings}`,
    help: (a) => smaller(a.device),
    explain: `A kernel sees a tensor through a binding, and WebGPU guarantees eight bindings of 128 MiB. Larger tensors are worked on
in parts where every part of the result needs only a part of the operands, and through several bindings where it needs them whole.
Here those are more than eight.

It is about one image: of several, as many are run at a time as fit. Use a smaller image. If this machine's GPU offers more, \`limits = device\` under \`deploy\` compiles for that; such a
program refuses to load where less is offered.`,
  }),
  ESP0603: entry<{ operator: string; needs: number; limit: number }>({
    title: 'Too many operands',
    message: (a) => `\`${a.operator}\` needs ${a.needs} buffers at once; a kernel may have ${a.limit}`,
    help: () => ['add its operands up in several steps'],
    explain: `WebGPU guarantees eight storage buffers for a kernel. Chains of operators are cut so that each part stays within that,
but a single operator with more operands than that (an attention with many bias factors) cannot be cut.

An attention reads q, k and v, writes its result, and has room for four factors of bias. Add smaller factors up before they go in.`,
  }),
  ESP0604: entry<{ name: string; bytes: number; limit: number; what: 'weight' | 'activation'; device: boolean }>({
    title: 'Tensor larger than a buffer',
    message: (a) => `\`${a.name}\` takes ${size(a.bytes, a.limit)}; a buffer holds at most ${size(a.limit)}`,
    help: (a) => (a.what === 'weight' ? fewer(a.device) : smaller(a.device)),
    explain: `A tensor lies in one buffer, and WebGPU guarantees buffers of 256 MiB. One tensor of this program is larger, for one image
alone: usually the tokens times the width of a hidden layer. The weight of a matrix product may be larger, for it is cut along its outputs;
a table that is read as it is may not.

Use a smaller image, or fewer tokens.`,
  }),
  ESP0605: entry<{ name: string; what: string }>({
    title: 'Rows of a batch depend on one another',
    message: (a) => `\`${a.name}\` is not computed for each image by itself: ${a.what}`,
    help: () => ['keep the first axis, the batch, out of reductions and reshapes'],
    explain: `A program takes any number of images, and a session runs them in passes of as many as fit. That is right only if an image's
result does not depend on its neighbours, so a model is run on a few images one by one and together before its folder is written.

\`\`\`
forward(x: [b, n, d]) { x - mean(x, axis: 0) }    // an average over the batch: refused
forward(x: [b, n, d]) { x - mean(x, axis: 1) }    // over each image's own tokens
\`\`\``,
  }),
  ESP0606: entry<{ name: string; shape: string }>({
    title: 'A parameter for each image of a batch',
    message: (a) => `\`${a.name}\` is ${a.shape}, with as many rows as the program is given images`,
    help: () => ['give it the size 1 where the batch is, and `expand` it'],
    explain: `A program has one set of weights for any number of images, so no parameter may have the batch in its shape.

\`\`\`
P = param [b, n, d] zeros      // as many as there are images in a batch: refused
P = param [1, n, d] zeros      // one for all; expand(P, b) repeats it
\`\`\``,
  }),
  ESP0607: entry<{ operator: string; inside: keyof typeof INSIDE; from: readonly string[]; to: string }>({
    title: 'Images run one by one',
    severity: 'warning',
    message: (a) => {
      const { what } = INSIDE[a.inside];
      return `\`${a.operator}\` ${what} (from ${a.from.join(', ')} to ${a.to}), so images run one by one`;
    },
    help: (a) => [INSIDE[a.inside].cure, ONE_IN_A_PASS],
    explain: `Kernels are built for any number of images: the batch is the outermost axis of every tensor in memory, wherever it stands in a
shape, and a kernel is told how many there are. Some operators cannot be written so:

* what joins the batch with an axis before it, or splits it so that another axis comes first: where an element lies would be a product with the number of images;
* what reads samples that are concatenated along the batch through a reshape that does not divide them alike;
* a matrix product whose columns are the batch, and attention whose tokens or widths are: their tiles are cut when kernels are built.

The program is right, but it runs images one after the other, whatever \`batch\` asks for. Move the batch to the front before the operator:

\`\`\`
reshape(transpose(x, [1, 0, 2]), [n * b, d])    // [n, b, d]: the batch is inside, one by one
reshape(x, [b * n, d])                          // [b, n, d]: fine
W @ x.T                                         // [m, k] @ [k, b]: the columns are the batch, one by one
x @ W.T                                         // [b, k] @ [k, m]: the rows are, fine
\`\`\``,
  }),
  ESP0608: entry<
    { operator: string } & (
      | { what: 'sample'; bytes: number; limit: number; device: boolean }
      | { what: 'bindings'; bindings: number; limit: number }
    )
  >({
    title: 'One image as large as a pass',
    severity: 'warning',
    message: (a) =>
      a.what === 'sample'
        ? `what \`${a.operator}\` gives takes ${size(a.bytes, a.limit)} for one image; a kernel sees at most ${size(a.limit)} of a tensor, so images run one by one`
        : `\`${a.operator}\` needs ${a.bindings} bindings for its tensors; a kernel may have ${a.limit}, so images run one by one, each in parts`,
    help: (a) => [...smaller(a.what === 'sample' && a.device), ONE_IN_A_PASS],
    explain: `A kernel sees a tensor through bindings, and WebGPU guarantees eight of them of 128 MiB each. As many images as fit are run in one
pass. Here one image alone takes more: it is worked on in parts, and the next image begins when it is done, whatever \`batch\` asks for.

Use a smaller image, or fewer tokens. If this machine's GPU offers more, \`limits = device\` under \`deploy\` compiles for that.`,
  }),
  ESP0609: entry<{ entry: string; what: string; why: string }>({
    title: 'Images that cannot run one by one',
    message: (a) => `\`${a.entry}\` gives ${a.what} for all images together, and has to run them one by one: ${a.why}`,
    help: () => ['make room for all of them in one pass, as the reason says'],
    explain: `A function may give something that is of all its images together: a loss, a gradient, a new state. It then has to see them in one
pass. Here something in it can only be computed for one image at a time: an operator that has the batch inside its shapes (ESP0607), or a tensor
that takes more than a binding holds for a single image (ESP0608).`,
  }),
  ESP0610: entry<{ operator: string }>({
    title: 'Weights that no kernel prepares',
    message: (a) => `weights are prepared with \`${a.operator}\`, which no kernel computes`,
    help: () => ['prepare them on the CPU: `prepare = cpu` under `deploy`, or `--prepare cpu`'],
    explain: `\`prepare = gpu\` and \`prepare = load\` merge adapters by kernels, as the model itself runs. A few operators, such as \`solve\`, have no kernel:
an adapter that needs one (an orthogonal one by a Cayley transform) is merged on the CPU, when the program is compiled. That is the default, and the most
exact: it computes in f64.`,
  }),
};
