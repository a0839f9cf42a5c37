/** What is said of ONNX graphs that are imported. */
import { entry } from './define.js';

const few = (names: readonly string[], most = 4): string =>
  names.slice(0, most).join(', ') + (names.length > most ? ` and ${names.length - most} more` : '');

/** Sizes of an input as they may be said: a number in the place of each that is open. */
function bound(open: string): string {
  const [name, sizes] = open.split(' = ');
  if (sizes === undefined) return `${open.split(',')[0]} = b, 3, 224, 224`;
  return `${name} = ${sizes
    .split(', ')
    .map((size) => (/^(b|\d+)$/.test(size) ? size : '224'))
    .join(', ')}`;
}

export const ONNX_IMPORT = {
  ESP1230: entry<{
    file: string;
    operators: readonly { op: string; nodes: readonly string[] }[];
    /** Values that other nodes make and these read. */
    before: readonly string[];
  }>({
    title: 'Operators of ONNX that are not read',
    message: (a) =>
      `${a.file} has operators that Espalier does not read: ${a.operators.map((o) => `${o.op} (${few(o.nodes, 3)})`).join('; ')}`,
    help: (a) => [
      ...(a.before.length > 0
        ? [
            `Without them: \`onnx(outputs: [${a.before
              .slice(0, 8)
              .map((v) => `"${v}"`)
              .join(', ')}])\` gives what they read.`,
          ]
        : []),
      '`espalier explain ESP1230` says which kinds there are.',
    ],
    explain: `A graph is imported whole or not at all: an operator without a meaning here has no place in the program. All of them are listed, with nodes that have them.

Read is what has one result for one input, with shapes that are known: not loops and branches (\`If\`, \`Loop\`, \`Scan\`), recurrence (\`LSTM\`, \`GRU\`, \`RNN\`), random numbers, sequences, optional values
and strings, and not operators whose results are as large as their data say (\`NonMaxSuppression\`, \`Unique\`, \`NonZero\` of what is not known): a program has results of one size.

Such parts mostly stand at the end, as what picks among boxes, or at the beginning. \`outputs\` may name any value of the graph, and what stands behind it is left out:
\`onnx(outputs: ["boxes", "scores"])\`, or \`--result boxes --result scores\`. What stands before is cut off by a tool such as onnx.utils.extract_model.`,
  }),
  ESP1231: entry<{ file: string; node: string; why: string }>({
    title: 'A node of an ONNX graph that cannot be imported',
    message: (a) => `${a.file}: ${a.node}: ${a.why}`,
    explain: `The node's operator is read, but not in this form: an attribute has a value that Espalier has no words for, a shape or an axis comes from data that are known only when the
program runs, or the node does not fit its inputs. The message says what, with the types as Espalier has them (\`b\` is the batch).

Sizes that stand in the graph as numbers do not go together with a batch that is left open: where an exporter wrote \`Reshape(x, [1, 64, 64, -1])\`, only one sample can be imported (\`x = 1, 3, 224, 224\`
in place of \`x = b, 3, 224, 224\`).`,
  }),
  ESP1232: entry<{ file: string; open: readonly string[] }>({
    title: 'Sizes of an ONNX graph that are left open',
    message: (a) => `${a.file} leaves sizes of its inputs open: ${a.open.map((o) => `\`${o}\``).join('; ')}`,
    help: (a) => [
      `Say them: \`onnx(shapes: [${a.open.map((o) => `"${bound(o)}"`).join(', ')}])\`, or \`--shape\` of \`espalier import\`.`,
    ],
    explain: `A program is made for fixed sizes. Only the first axis of an input can be left open: it is the batch, \`b\`. Say what the others are, for each input, in the order of its axes:

\`\`\`
model M {
  base = onnx(shapes: ["x = b, 3, 48, 320"]) from "./recogniser.onnx"
}
\`\`\`

The command line takes the same: \`espalier import recogniser.onnx --shape "x = b, 3, 48, 320"\`.`,
  }),
  ESP1233: entry<{ what: string; why: string }>({
    title: 'What an ONNX graph does not have',
    message: (a) => `${a.what} does not fit the graph: ${a.why}`,
    explain: `\`shapes\` of \`onnx(...)\` and \`--shape\` take \`name = sizes\`, one size for each axis of that input: a number, or \`b\` for the batch, in the first place. Where the file says a size it has to be that one; a first
axis of 1 may be the batch, if the graph allows it. \`outputs\` and \`--result\` take names of its outputs, or of any other value that a node makes: what stands behind it is left out.`,
  }),
  ESP1234: entry<{ file: string; why: string }>({
    title: 'An ONNX file where there is none, or the other way round',
    message: (a) => `${a.file} ${a.why}`,
    explain: `\`onnx()\` is the graph of the \`.onnx\` file that \`from\` names: \`base = onnx() from "./model.onnx"\`. Its options are \`shapes\`, sizes of inputs as strings, \`outputs\`, the
names of those that are wanted, \`preprocess\`, the steps that make a picture its input, and \`classes\`, names for the numbers of its result.
An ONNX file can also be where a backbone of the library takes its weights from; then only its tensors are read.`,
  }),
  ESP1235: entry<{ file: string }>({
    title: 'A merge into an ONNX file',
    message: (a) =>
      `${a.file} is an ONNX file: its weights are a part of its graph, and \`merge\` writes weights alone`,
    help: () => ['`espalier export --onnx merged.onnx SPEC` writes the graph with its adapters merged.'],
    explain: `\`merge\` writes the merged checkpoint in the layout of the base, for programs that have the network already. An ONNX file is network and weights in one, and its tensors have
names that only its graph knows. \`export --onnx\` writes both, with adapters merged and masks applied, and what it writes can be a base again:

    espalier export --onnx merged.onnx spec.peft`,
  }),
  ESP1236: entry<{ file: string; field: string; why: string }>({
    title: 'Metadata of an ONNX file that do not fit',
    message: (a) => `${a.file}: \`${a.field}\` of its metadata ${a.why}`,
    help: () => [
      'Write the file again (`espalier export --onnx`), or say it in the spec: `onnx(preprocess: [...], classes: [...])`.',
    ],
    explain: `A file that \`export --onnx\` wrote names its classes (\`labels\`) and the steps that make a picture its input (\`preprocess\`) in its metadata, as JSON. They are read back when the file is a base,
and stand where the spec does not say otherwise. Here they are no such list, or steps that make other pictures than the graph takes.`,
  }),
};
