/** Messages ESP06xx. */
import { entry } from './define.js';

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

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
  ESP0602: entry<{ operator: string; bytes: number; limit: number }>({
    title: 'Tensor too large for one kernel',
    message: (a) =>
      a.bytes > a.limit
        ? `\`${a.operator}\` touches ${mib(a.bytes)} of one tensor at a time; a WebGPU device binds at least ${mib(a.limit)}`
        : `\`${a.operator}\` needs more workgroups at a time than the 65,535 that every WebGPU device runs along a dimension`,
    help: () => [
      'use a smaller batch or image',
      'or compile for devices with larger limits: `limits = device` under `deploy`',
    ],
    explain: `A kernel sees a tensor through a binding, and WebGPU guarantees bindings of 128 MiB. Larger tensors are worked on in
parts where every part of the result needs only a part of the operands. Here it needs more at once, for instance all of a very
large table.

Use a smaller batch or image size, or compile for a device with larger limits; such a program refuses to load elsewhere.`,
  }),
  ESP0603: entry<{ operator: string; needs: number; limit: number }>({
    title: 'Too many operands',
    message: (a) => `\`${a.operator}\` needs ${a.needs} buffers at once; a kernel may have ${a.limit}`,
    help: () => ['add its operands up in several steps'],
    explain: `WebGPU guarantees eight storage buffers for a kernel. Chains of operators are cut so that each part stays within that,
but a single operator with more operands than that (an attention with many bias factors) cannot be cut.

An attention reads q, k and v, writes its result, and has room for four factors of bias. Add smaller factors up before they go in.`,
  }),
  ESP0604: entry<{ name: string; bytes: number; limit: number }>({
    title: 'Tensor larger than a buffer',
    message: (a) => `\`${a.name}\` takes ${mib(a.bytes)}; a WebGPU buffer holds at least ${mib(a.limit)}`,
    help: () => ['use a smaller batch or image'],
    explain: `Each intermediate tensor lies in one buffer, and WebGPU guarantees buffers of 256 MiB. One tensor of this program is
larger: usually the batch size times the tokens times the width of a hidden layer.

Compile with a smaller batch size (\`deploy { batch: [1, 8] }\`) or a smaller image.`,
  }),
  ESP0605: entry<{ name: string; what: string }>({
    title: 'Rows of a batch depend on one another',
    message: (a) => `\`${a.name}\` is not computed for each image by itself: ${a.what}`,
    help: () => ['keep the first axis, the batch, out of reductions and reshapes', 'or compile with `batch = [1]`'],
    explain: `A program takes any number of images: a session runs them in batches of the sizes it was compiled for, and fills the last
batch up. That is right only if an image's result does not depend on its neighbours, so a model is run on a few images one by
one and together before its folder is written.

\`\`\`
forward(x: [b, n, d]) { x - mean(x, axis: 0) }    // an average over the batch: refused
forward(x: [b, n, d]) { x - mean(x, axis: 1) }    // over each image's own tokens
\`\`\``,
  }),
};
