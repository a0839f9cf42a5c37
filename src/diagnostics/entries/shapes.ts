/** Messages ESP03xx: shapes, indices, parameters; sites, selectors and pruning statements are in sites.ts. */
import { entry } from './define.js';
import { SITES } from './sites.js';

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
export const SHAPES = {
  ESP0301: entry<{ op: string; why: string }>({
    title: 'Shapes do not fit',
    message: (a) => `${a.op}: ${a.why}`,
    explain: `The operands of an operator have shapes that it cannot take. The labels show the place of the operator, where each operand was made,
and both shapes. Every dimension is a number before any weight is read.

    fc1 = Linear(dim -> hidden)
    fc2 = Linear(dim -> dim)
    forward(x: [b, n, dim]) { fc2(fc1(x)) }       // fc2 gets hidden channels`,
  }),
  ESP0302: entry<{ of: string; param: string; declared: string; found: string }>({
    title: 'Argument of the wrong shape',
    message: (a) => `\`${a.of}\` takes ${a.param}: ${a.declared}, and gets ${a.found}`,
    explain: `A module is called with a tensor of another shape than its \`forward\` declares. A bare name that nothing binds stands for any size (and for
the same size wherever it stands again); everything else must be equal.

    forward(x: [b, n, dim]) { ... }`,
  }),
  ESP0303: entry<{ left: string; right: string; what: string }>({
    title: 'Division is not exact',
    message: (a) => `${a.what} must be a whole number, and ${a.left} / ${a.right} is not`,
    explain: `\`/\` gives a whole number only if it divides evenly; where a whole number is needed (a dimension, a count, an index) nothing is rounded
silently.

    grid = image / patch              // 225 / 16 does not work out

Choose sizes that divide, or say floor(a / b) or ceil(a / b).`,
  }),
  ESP0304: entry<{ what: string; found: number }>({
    title: 'Dimension out of range',
    message: (a) => `${a.what} must be at least 1, not ${a.found}`,
    explain: `A dimension of a parameter, a layer or a tensor came out as zero or less.

    A = param [rank, in] zeros        // with rank = 0`,
  }),
  ESP0305: entry<{ axis: number; rank: number }>({
    title: 'No such axis',
    message: (a) => `there is no axis ${a.axis} in a tensor of ${a.rank} ax${a.rank === 1 ? 'is' : 'es'}`,
    explain: `Axes count from 0; negative ones count from the end, -1 is the last.`,
  }),
  ESP0306: entry<{ index: string; size: string; what: string }>({
    title: 'Index out of range',
    message: (a) => `index ${a.index} is outside of ${a.what} of size ${a.size}`,
    explain: `Indices count from 0; negative ones count from the end. Ranges a..b are half open: a is in, b is not.`,
  }),
  ESP0307: entry<{ pattern: string; why: string }>({
    title: 'Pattern of rearrange',
    message: (a) => `rearrange "${a.pattern}": ${a.why}`,
    explain: `The pattern names every axis on the left and uses every name once on the right; parentheses split an axis (left) or merge axes (right).

    rearrange(x, "b n (h d) -> b h n d", h: heads)

In each pair of parentheses on the left, the sizes of all names but one are given.`,
  }),
  ESP0308: entry<{ found: number; most: number }>({
    title: 'Too many indices',
    message: (a) => `${a.found} indices for a tensor of ${a.most} ax${a.most === 1 ? 'is' : 'es'}`,
    explain: `\`x[i, j]\` has at most one index for each axis; \`new\` adds an axis and does not count.`,
  }),
  ESP0309: entry<{ of: string; expected: string; found: string }>({
    title: 'Initial value of the wrong shape',
    message: (a) => `${a.of} has shape ${a.expected}, and its initial value ${a.found}`,
    explain: `A parameter that starts from a computed value must have that value's shape.

    m = param [out] norm(base.weight, axis: 0)       // that norm has [in] elements; axis: 1 has [out]`,
  }),
  ESP0310: entry<{ what: string; limit: number; found: number }>({
    title: 'Too large',
    message: (a) => `${a.what} would be ${a.found}, and at most ${a.limit} are allowed`,
    explain: `A count in the spec is so large that compiling could not end. It is usually a slip in an option.`,
  }),
  ESP0311: entry<{ name: string }>({
    title: 'A free dimension at the input',
    message: (a) => `the size \`${a.name}\` of the model's input is not known`,
    explain: `Only the first axis of a model's input, the batch, may be left open; its size is known when the program runs. Others must follow from the options.

    forward(pixels: [b, 3, image, image]) { ... }`,
  }),
  ESP0313: entry<{ start: string; end: string }>({
    title: 'Empty range',
    message: (a) => `the range ${a.start}..${a.end} is empty`,
    help: () => ['Ranges are half open: `a..b` begins with a and ends before b.'],
    explain: `A range selects at least one element. Ranges are half open: \`a..b\` begins with a and ends before b, and negative
numbers count from the end.

    adapt base.blocks[3..1].mlp.fc1 with lora(rank: 4)     // empty
    adapt base.blocks[1..4].mlp.fc1 with lora(rank: 4)     // blocks 1, 2 and 3`,
  }),
  ESP0312: entry<{ found: string }>({
    title: 'Elements of a table',
    message: (a) => `an element of a table must be a number or true or false, not ${a.found}`,
    explain: `\`table(i < n, j < m: expression)\` makes a constant tensor. The expression is a whole number, a number, or a truth value, of one kind for
all elements.`,
  }),
  ESP0314: entry<{ what: string; why: string }>({
    title: 'Element types do not fit',
    message: (a) => `${a.what}: ${a.why}`,
    explain: `The elements of a tensor are numbers (f32; i32 for counting and indices) or truth values (bool, what a comparison gives). Nothing is
converted by itself: a number takes the element type of the tensor beside it and must be one of its values, and two tensors must have
one element type.

    fc(0.5 * (x < 1))                    // a number and truth values
    fc(0.5 * cast(x < 1, f32))           // \`cast\` makes 1 and 0 of them
    fc(where(x < 1, 0.5, 0))             // or choose

    arange(n) + 0.5                      // arange counts in whole numbers
    cast(arange(n), f32) + 0.5`,
  }),
  ESP0315: entry<{ what: string; limit: number }>({
    title: 'The model asks for too much work',
    message: (a) => `the model takes more than ${a.limit} ${a.what}`,
    help: () => ['Is a number of turns, blocks or experts larger than it was meant to be?'],
    explain: `What a spec asks for is counted while it is worked out: expressions, modules and parameters, operators of the graph. Real models stay far
below the limits (ViT-L with adapters on all its layers takes some 50,000 expressions, 2,000 parameters and 5,000 operators), so a spec that
reaches one has loops in loops that would take minutes or all memory.`,
  }),
  ESP0316: entry<{ bytes: number; limit: number; started: boolean; most: number }>({
    title: 'Too many parameters',
    message: (a) =>
      a.started
        ? `parameters of ${gib(a.bytes)} come from no file, and at most ${gib(a.limit)} are made up`
        : `the model has parameters of ${gib(a.bytes)}, and at most ${gib(a.limit)} can be compiled`,
    help: (a) =>
      a.started
        ? [
            `Name the files that hold them with \`from\`, or check the sizes. Of parameters that files hold, at most ${gib(a.most)} can be compiled.`,
          ]
        : [
            'Take a smaller model of the family, or check the sizes. They are counted as f32, which they are while a model is compiled: neither a file of f16 nor `weights = f16` makes them fewer.',
          ],
    explain: `Parameters are counted, at 4 bytes each, before memory is asked for. Those that no \`from\` gives are made up (they start at random,
or as an adapter says), which is for trying a spec out: that much of it is a slip in a size, or a \`from\` that is missing.

    base = vit(dim: 4096, depth: 64, heads: 32)      // 48 GiB of random numbers`,
  }),
  ESP0317: entry<{ op: string; why: string }>({
    title: 'An operator has no result for these values',
    message: (a) => `\`${a.op}\` cannot be computed: ${a.why}`,
    explain: `The types and shapes fit, but the numbers themselves leave the operator without a result: an index that is not on the axis it counts along, or
equations whose matrix is singular. It was met when weights were prepared, or when the model was run to check it.

    near = table(i < 9: i + 1)
    gather(bias, near)                   // the axis has 9 places: 0 to 8`,
  }),
  ESP0318: entry<{ what: string }>({
    title: 'The batch has no number here',
    message: (a) => `\`${a.what}\` is not known before the program runs`,
    help: () => ['A program runs on any number of images: what it is built of cannot depend on how many there are.'],
    explain: `A model's first axis is its batch, and a compiled program runs on any number of images. So \`b\` is a size, not a number: it may
stand in shapes, be multiplied by whole numbers, and be used in calculations with tensors; nothing can be counted, compared or rounded by it.

    sum(x, axis: 0) / b              // fine: with a tensor, \`b\` is a number of the run
    reshape(x, [b * n, d])           // fine: a size
    repeat i < b { Linear(8 -> 8) }  // refused: how many layers?
    sqrt(b)                          // refused; sqrt(b + zeros([1])) is a tensor`,
  }),
  ...SITES,
};
