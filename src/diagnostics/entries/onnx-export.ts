/** Messages ESP124x: what cannot be written as ONNX. */
import { entry } from './define.js';

export const ONNX_EXPORT = {
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
