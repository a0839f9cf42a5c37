/** Norms: over the last axes, over channels and groups of them, by vectors' lengths. */
import type { OnnxNode, Rule, Rules } from '../rule.js';
import { along, axesOf, axisOf, number, product, range, rankOf, reshaped, sizes } from './text.js';

const eps = (n: OnnxNode): string => `eps: ${number(n, n.float('epsilon', 1e-5))}`;

/** Statistics are given; a node that is training takes those of the batch, and says what the given ones become. */
const batchNorm: Rule = (n) => {
  const names = range(4, 1).map((i) => n.in(i).text);
  const x = n.in(0);
  const training = n.opset >= 14 ? n.int('training_mode', 0) === 1 : false;
  if (n.opset < 9 && n.int('spatial', 1) !== 1) return n.fail('norms each place for itself');
  const { shape } = x.type;
  // A batch of vectors without channels has one.
  if (!training) {
    if (shape.length === 1)
      return reshaped(
        `batch_norm(${reshaped(x.text, shape, [shape[0]!, 1])}, ${names.join(', ')}, ${eps(n)})`,
        [shape[0]!, 1],
        shape,
      );
    return `batch_norm(${x.text}, ${names.join(', ')}, ${eps(n)})`;
  }
  const axes = `axis: [${range(shape.length)
    .filter((i) => i !== 1)
    .join(', ')}]`;
  const mean = `mean(${x.text}, ${axes})`;
  const variance = `onnx_variance(${x.text}, [${range(shape.length)
    .filter((i) => i !== 1)
    .join(', ')}])`;
  const share = number(n, n.float('momentum', 0.9));
  const after = (given: string, own: string) => `${share} * ${given} + (1 - ${share}) * ${own}`;
  return [
    `batch_norm(${x.text}, ${names[0]}, ${names[1]}, ${mean}, ${variance}, ${eps(n)})`,
    after(names[2]!, mean),
    after(names[3]!, variance),
  ];
};

const layerNorm: Rule = (n) => {
  const x = n.in(0);
  const { shape } = x.type;
  const axis = axisOf(n, n.int('axis', -1), shape.length);
  const width = product(shape.slice(axis));
  const rows = [...shape.slice(0, axis), width];
  const flat = reshaped(x.text, shape, rows);
  const own = (input: number): string | undefined => {
    if (!n.has(input)) return undefined;
    const { text, type } = n.in(input);
    return product(type.shape) === width
      ? reshaped(text, type.shape, [width])
      : `reshape(broadcast(${text}, ${sizes(shape.slice(axis))}), ${sizes([width])})`;
  };
  const [gain, shift] = [own(1), own(2)];
  const given = [gain, shift]
    .filter((t) => t !== undefined)
    .map((t) => `, ${t}`)
    .join('');
  const normed = reshaped(`layer_norm(${flat}${given}, ${eps(n)})`, rows, shape);
  if (!n.wanted[1] && !n.wanted[2]) return normed;
  const column = [...shape.slice(0, axis), ...shape.slice(axis).map(() => 1)];
  const last = rows.length - 1;
  return [
    normed,
    `reshape(mean(${flat}, axis: ${last}), ${sizes(column)})`,
    `reshape(rsqrt(onnx_variance(${flat}, [${last}]) + ${number(n, n.float('epsilon', 1e-5))}), ${sizes(column)})`,
  ];
};

/** Before version 21 a group has one gain, since then each channel has. */
const groupNorm: Rule = (n) => {
  const groups = n.int('num_groups');
  const channels = n.in(0).type.shape[1]!;
  const own = (input: number): string => {
    const { text, type } = n.in(input);
    if (type.shape[0] === channels) return text;
    return `reshape(broadcast(reshape(${text}, [${groups}, 1]), [${groups}, ${channels / groups}]), [${channels}])`;
  };
  return `group_norm(${n.in(0).text}, ${groups}, ${own(1)}, ${own(2)}, ${eps(n)})`;
};

const lpNorm: Rule = (n) => {
  const axis = axisOf(n, n.int('axis', -1), rankOf(n.in(0)));
  const p = n.int('p', 2);
  if (p !== 1 && p !== 2) return n.fail(`norms by a power of ${p}`);
  return `onnx_lp_normalization(${n.in(0).text}, ${p}, ${axis})`;
};

const lrn: Rule = (n) => {
  const x = n.in(0);
  const size = n.int('size');
  const settings = `width: ${size}, alpha: ${number(n, n.float('alpha', 1e-4))}, beta: ${number(n, n.float('beta', 0.75))}, bias: ${number(n, n.float('bias', 1))}`;
  return along(x, 1, (text) => `onnx_local_response(${text}, ${settings})`);
};

export const NORMS: Rules = {
  BatchNormalization: batchNorm,
  LayerNormalization: layerNorm,
  InstanceNormalization: (n) =>
    `group_norm(${n.in(0).text}, ${n.in(0).type.shape[1]}, ${n.in(1).text}, ${n.in(2).text}, ${eps(n)})`,
  GroupNormalization: groupNorm,
  MeanVarianceNormalization: (n) => {
    const axes = axesOf(n, n.ints('axes', [0, 2, 3]), rankOf(n.in(0)));
    return `onnx_mean_variance(${n.in(0).text}, [${axes.join(', ')}])`;
  },
  LpNormalization: lpNorm,
  LRN: lrn,
};
