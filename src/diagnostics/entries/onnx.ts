/** Messages ESP120x and ESP124x: files of ONNX, and what cannot be written as one. */
import { entry } from './define.js';

export const ONNX = {
  ESP1201: entry<{ file: string; problem: string }>({
    title: 'Not a valid ONNX file',
    message: (a) => `${a.file} is not a valid ONNX file: ${a.problem}`,
    help: () => ['Download or write the file again; `onnx.checker.check_model` of Python says the same of it.'],
    explain: `An ONNX file is one protobuf message, a model: versions, and a graph of nodes with its inputs, outputs and weights. All that it says is
checked before anything is computed from it. The message names the place in the file, by the fields of ONNX's own description:

    model.onnx is not a valid ONNX file: graph.node[17].attribute[0]: the bytes are no protobuf (premature EOF)

A file that was cut off while it was downloaded is the commonest cause, or the small text file that Git LFS leaves in place of the real one.`,
  }),

  ESP1202: entry<{ file: string; node: string; problem: string }>({
    title: 'A node of an ONNX graph is wrong',
    message: (a) => `${a.file}: ${a.node} ${a.problem}`,
    explain: `Each name that a node reads has to be an input of the graph, an initialiser, or what exactly one other node gives, and no node may
depend on itself.

    node "/head/Gemm" (Gemm) reads "/head/x", which nothing gives

Attributes must be of one of ONNX's types. The program that wrote the file is at fault, or a tool that took the graph apart.`,
  }),

  ESP1203: entry<{ file: string; found: string; first: number; last: number }>({
    title: 'A version of the operators that is not read',
    message: (a) => `${a.file} ${a.found}; Espalier reads ${a.first} to ${a.last}`,
    help: (a) => [
      `Export the model again with \`opset_version=${a.last}\`, or convert it with \`onnx.version_converter.convert_version\`.`,
    ],
    explain: `What an ONNX operator does depends on the version of its operator set, which the file names (\`opset_import\`). Versions 9 to 21 of the
default set are read. Older ones mean other things by the same names; of newer ones it is not known yet.`,
  }),

  ESP1204: entry<{ file: string; what: string; type: string }>({
    title: 'Something in an ONNX file that is not read',
    message: (a) => `${a.file}: ${a.what} is ${a.type}, which Espalier does not read`,
    help: () => [
      'It reads dense tensors of float, double, float16, bfloat16, bool, and whole numbers of 8 to 64 bits.',
    ],
    explain: `ONNX also has texts, sequences, maps, optional values, complex numbers, floats of 4 and 8 bits, whole numbers of 4 bits and sparse tensors.
A model that uses them as inputs, outputs, weights or attributes is refused, with the name of what it is.

Quantised weights: export the model in float32 or float16.`,
  }),

  ESP1205: entry<{ file: string; tensor: string; problem: string }>({
    title: 'A tensor of an ONNX file is described wrongly',
    message: (a) => `${a.file}: ${a.tensor} ${a.problem}`,
    explain: `A tensor has a type, sizes, and as many elements as its sizes say, either as bytes (\`raw_data\`) or as a list of numbers.

    tensor "conv.weight" has 108 bytes, but float [4, 3, 3, 3] needs 432

The program that wrote the file is at fault; write the file again.`,
  }),

  ESP1206: entry<{ file: string; tensor: string; location: string; problem: string }>({
    title: 'Weights beside an ONNX file cannot be read',
    message: (a) => `${a.file}: the data of ${a.tensor} are said to be in "${a.location}": ${a.problem}`,
    help: () => ['Files of a model that are larger than 2 GB belong together: copy all of them into one folder.'],
    explain: `A model may keep its weights in files of their own (external data): it names for each tensor a file, relative to its own folder, an offset
and a length. Such a file has to lie in that folder or in one below it. A name that leads out of it (\`..\`, an absolute path, a link to
another folder) is refused, since a model that somebody hands over could have any file of this machine read.`,
  }),

  ESP1240: entry<{ operator: string; site: string; why: string }>({
    title: 'Something that ONNX cannot say',
    message: (a) => `\`${a.operator}\`${a.site === '' ? '' : ` in ${a.site}`} cannot be written as ONNX: ${a.why}`,
    explain: `A model is written with the operators that ONNX has in the version that was asked for (\`--opset\`, 17 if nothing is said). Most of what a
newer version has is put together from others in an older one. What cannot be put together is refused, with its place: sums at indices before
version 16, operations on bits before version 18, and in any version random bits, one turn of a sort, the solution of equations and the derivative of a
convolution, which no model needs that infers.

    x & 255      // x: i32, --opset 17`,
  }),

  ESP1241: entry<{ problem: string }>({
    title: 'Preprocessing that cannot become a part of the graph',
    message: (a) => `preprocessing cannot become a part of the graph: ${a.problem}`,
    help: () => [
      'Leave `--picture` out: the graph then takes what the model takes, and the steps stand in its metadata.',
    ],
    explain: `With \`--picture 480x640\` the graph takes pictures of 8 bits and that size, and does to them what \`preprocess\` says, to the bit as it is done
here. The steps have to end in the size that the model takes, as they have to everywhere.

    preprocess = [resize(256), crop(224, 224), normalize(...)]

A picture of another size is another graph: sizes between the steps follow from it.`,
  }),
};
