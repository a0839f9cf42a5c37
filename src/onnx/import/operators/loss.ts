/** Losses of classes, which models that were trained carry along. */
import type { OnnxNode, Operand, Rule, Rules } from '../rule.js';
import { product, reshaped } from './text.js';

/** [samples, classes, places] and targets [samples, places]. */
function loss(n: OnnxNode, x: Operand, log: string, target: Operand): string {
  const { shape } = x.type;
  const reduction = n.text('reduction', 'mean');
  if (reduction !== 'none' && reduction !== 'mean' && reduction !== 'sum') return n.fail(`reduces by \`${reduction}\``);
  const places = product(shape.slice(2));
  const flat = reshaped(log, shape, [shape[0]!, shape[1]!, places]);
  const targets = reshaped(target.text, target.type.shape, [shape[0]!, places]);
  const weights = n.has(2) ? n.in(2).text : `full([${shape[1]}], 1)`;
  const ignored = n.hasAttribute('ignore_index') ? n.int('ignore_index') : 'none';
  const made = `onnx_class_loss(${flat}, ${targets}, ${weights}, ${ignored}, ${reduction})`;
  return reduction === 'none' ? reshaped(made, [shape[0]!, places], target.type.shape) : made;
}

const nll: Rule = (n) => loss(n, n.in(0), n.in(0).text, n.in(1));

const softmaxCrossEntropy: Rule = (n) => {
  const log = `onnx_log_softmax(${n.in(0).text}, axis: 1)`;
  const made = loss(n, n.in(0), log, n.in(1));
  return n.wanted[1] ? [made, log] : made;
};

export const LOSSES: Rules = {
  NegativeLogLikelihoodLoss: nll,
  SoftmaxCrossEntropyLoss: softmaxCrossEntropy,
};
