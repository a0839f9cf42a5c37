/** Windows and filters of signals: tables that follow from their lengths. */
import type { Fold, Folds, Known, OnnxNode } from '../../rule.js';
import { range, typeOfCode } from '../text.js';
import { element, known } from './known.js';

const numberOf = (n: OnnxNode, x: Known | undefined): number =>
  Number((x ?? n.fail('leaves out an operand that it needs')).data[0]);

/** a0 - a1 cos(2πi/N) + a2 cos(4πi/N), over as many places as there are, or as if there were one more. */
const windowOf =
  (a0: number, a1: number, a2: number): Fold =>
  (n, inputs) => {
    const size = numberOf(n, inputs[0]);
    const length = n.int('periodic', 1) === 1 ? size : size - 1;
    const dtype = typeOfCode(n, n.int('output_datatype', 1));
    const at = (i: number) => (2 * Math.PI * i) / length;
    return [
      known(
        dtype,
        [size],
        range(size).map((i) => element(n, dtype, a0 - a1 * Math.cos(at(i)) + a2 * Math.cos(2 * at(i)))),
      ),
    ];
  };

/** Triangles over bins of frequency, evenly apart on the mel scale: [bins of the spectrum, bins of mel]. */
const melWeights: Fold = (n, inputs) => {
  const [mels, length, rate, low, high] = inputs.map((x) => numberOf(n, x)) as [number, number, number, number, number];
  const dtype = typeOfCode(n, n.int('output_datatype', 1));
  const bins = Math.floor(length / 2) + 1;
  const toMel = (f: number) => 2595 * Math.log10(1 + f / 700);
  const [first, last] = [toMel(low), toMel(high)];
  const step = (last - first) / (mels + 2);
  const edges = range(mels + 2).map((i) =>
    Math.floor(((length + 1) * (700 * (10 ** ((first + i * step) / 2595) - 1))) / rate),
  );
  const data = new Float64Array(bins * mels);
  for (let m = 0; m < mels; m++) {
    const [from, middle, to] = [edges[m]!, edges[m + 1]!, edges[m + 2]!];
    if (middle === from) data[middle * mels + m] = 1;
    else for (let j = from; j <= middle; j++) data[j * mels + m] = (j - from) / (middle - from);
    if (to > middle) for (let j = middle; j < to; j++) data[j * mels + m] = (to - j) / (to - middle);
  }
  return [
    known(
      dtype,
      [bins, mels],
      data.map((v) => element(n, dtype, v)),
    ),
  ];
};

export const SIGNAL_FOLDS: Folds = {
  HannWindow: windowOf(0.5, 0.5, 0),
  HammingWindow: windowOf(25 / 46, 21 / 46, 0),
  BlackmanWindow: windowOf(0.42, 0.5, 0.08),
  MelWeightMatrix: melWeights,
};
