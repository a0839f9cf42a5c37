/** Matrix products and Einstein sums. */
import type { OnnxNode, Operand, Rule, Rules } from '../rule.js';
import { number, product, range, rankOf, reshaped, size, sizes, transposed } from './text.js';

/** The product of two texts with vectors as NumPy has them: a row on the left, a column on the right. */
export function matmulOf(a: Operand, b: Operand, join: (a: string, b: string) => string): string {
  const [left, right] = [a.type.shape, b.type.shape];
  const [row, column] = [left.length === 1, right.length === 1];
  const x = row ? reshaped(a.text, left, [1, left[0]!]) : a.text;
  const y = column ? reshaped(b.text, right, [right[0]!, 1]) : b.text;
  const made = join(x, y);
  if (!row && !column) return made;
  const lead = row ? right.slice(0, -2) : left.slice(0, -2);
  return `reshape(${made}, ${sizes([...lead, ...(row ? [] : [left.at(-2)!]), ...(column ? [] : [right.at(-1)!])])})`;
}

const matmul: Rule = (n) => {
  const [a, b] = [n.in(0), n.in(1)];
  // Products of floats have kernels; whole numbers are exact as sums of products.
  return matmulOf(a, b, a.type.dtype === 'f32' ? (x, y) => `${x} @ ${y}` : (x, y) => `onnx_whole_matmul(${x}, ${y})`);
};

const gemm: Rule = (n) => {
  const [a, b] = [n.in(0), n.in(1)];
  if (a.type.dtype !== 'f32') return n.fail('multiplies matrices of whole numbers');
  const [alpha, beta] = [n.float('alpha', 1), n.float('beta', 1)];
  const left = n.int('transA', 0) === 1 ? `${a.text}.T` : a.text;
  const turned = n.int('transB', 0) === 1;
  const c = n.has(2) && beta !== 0 ? n.in(2) : undefined;
  const outs = b.type.shape[turned ? 0 : 1]!;
  if (turned && alpha === 1 && (!c || (beta === 1 && c.type.shape.length === 1 && c.type.shape[0] === outs))) {
    return `linear(${[left, b.text, ...(c ? [c.text] : [])].join(', ')})`;
  }
  const made = `${left} @ ${turned ? `${b.text}.T` : b.text}`;
  const scaled = alpha === 1 ? made : `${number(n, alpha)} * (${made})`;
  if (!c) return scaled;
  return beta === 1 ? `${scaled} + ${c.text}` : `${scaled} + ${number(n, beta)} * ${c.text}`;
};

// ---- Einstein sums ---------------------------------------------------------------------------------------------------

/** A tensor whose axes have labels. */
interface Labelled {
  readonly text: string;
  readonly labels: readonly string[];
}

interface Sum {
  readonly n: OnnxNode;
  readonly length: ReadonlyMap<string, number>;
}

const lengths = ({ length }: Sum, labels: readonly string[]): number[] => labels.map((l) => length.get(l)!);

/** The labels of a term; axes of `...` are numbered from the end. */
function labelsOf(n: OnnxNode, term: string, rank: number): string[] {
  const [before, after] = term.includes('...') ? (term.split('...') as [string, string]) : [term, undefined];
  if (after === undefined) {
    if (before.length !== rank) return n.fail(`names ${before.length} axes of ${rank} by \`${term}\``);
    return [...before];
  }
  const open = rank - before.length - after.length;
  if (open < 0) return n.fail(`names more axes than ${rank} by \`${term}\``);
  return [...before, ...range(open).map((i) => `.${open - i}`), ...after];
}

/** An axis that is named twice is its diagonal: what stands beside it is 0, and summed away. */
function diagonal(sum: Sum, x: Labelled): Labelled {
  const twice = x.labels.findIndex((l, i) => x.labels.indexOf(l) < i);
  if (twice < 0) return x;
  const first = x.labels.indexOf(x.labels[twice]!);
  const size = sum.length.get(x.labels[twice]!)!;
  const shape = x.labels.map((_, i) => (i === first || i === twice ? size : 1));
  const text = `sum(${x.text} * reshape(onnx_identity(${size}), ${sizes(shape)}), axis: ${twice})`;
  return diagonal(sum, { text, labels: x.labels.filter((_, i) => i !== twice) });
}

/** Sums over labels that nothing else reads. */
function without(x: Labelled, gone: readonly string[]): Labelled {
  const axes = gone.map((l) => x.labels.indexOf(l)).filter((i) => i >= 0);
  if (axes.length === 0) return x;
  return { text: `sum(${x.text}, axis: [${axes.join(', ')}])`, labels: x.labels.filter((l) => !gone.includes(l)) };
}

/** The axes in another order, under another shape. */
function arranged(sum: Sum, x: Labelled, order: readonly string[], shape: readonly number[]): string {
  const turned = transposed(
    x.text,
    order.map((l) => x.labels.indexOf(l)),
  );
  return reshaped(turned, lengths(sum, order), shape);
}

/** A product of matrices: labels of both that stay are in front, those that go are summed. */
function pair(sum: Sum, a: Labelled, b: Labelled, kept: readonly string[]): Labelled {
  const alone = (x: Labelled, y: Labelled) => x.labels.filter((l) => !y.labels.includes(l) && !kept.includes(l));
  const [x, y] = [without(a, alone(a, b)), without(b, alone(b, a))];
  const both = x.labels.filter((l) => y.labels.includes(l));
  const batch = both.filter((l) => kept.includes(l));
  const summed = both.filter((l) => !kept.includes(l));
  const rows = x.labels.filter((l) => !both.includes(l));
  const columns = y.labels.filter((l) => !both.includes(l));
  const [of, m, k, w] = [lengths(sum, batch), ...[rows, summed, columns].map((l) => product(lengths(sum, l)))] as [
    number[],
    number,
    number,
    number,
  ];
  const left = arranged(sum, x, [...batch, ...rows, ...summed], [...of, m, k]);
  const right = arranged(sum, y, [...batch, ...summed, ...columns], [...of, k, w]);
  const labels = [...batch, ...rows, ...columns];
  return { text: reshaped(`(${left} @ ${right})`, [...of, m, w], lengths(sum, labels)), labels };
}

const einsum: Rule = (n) => {
  const equation = n.text('equation').replaceAll(' ', '');
  const [inputs, said] = equation.split('->') as [string, string?];
  const terms = inputs.split(',');
  if (terms.length !== n.inputs) return n.fail(`names ${terms.length} operands of ${n.inputs} by \`${equation}\``);
  const operands = range(n.inputs).map((i) => n.in(i));
  if (operands.some((x) => x.type.dtype !== 'f32')) return n.fail('sums products of whole numbers');
  const named = operands.map((x, i) => labelsOf(n, terms[i]!, rankOf(x)));
  const length = new Map<string, number>();
  named.forEach((labels, i) => {
    labels.forEach((l, axis) => {
      const d = operands[i]!.type.shape[axis]!;
      const known = length.get(l);
      if (known !== undefined && known !== d && known !== 1 && d !== 1)
        n.fail(`takes axes of ${size(known)} and of ${size(d)} for one`);
      if (known === undefined || known === 1) length.set(l, d);
    });
  });
  const sum: Sum = { n, length };
  const dots = [...new Set(named.flat().filter((l) => l.startsWith('.')))].sort(
    (a, b) => Number(b.slice(1)) - Number(a.slice(1)),
  );
  const count = (l: string) => named.flat().filter((m) => m === l).length;
  const result =
    said === undefined
      ? [...dots, ...[...length.keys()].filter((l) => !l.startsWith('.') && count(l) === 1).sort()]
      : [...said.replace('...', '*')].flatMap((l) => (l === '*' ? dots : [l]));
  const missing = result.find((l) => !length.has(l));
  if (missing !== undefined) return n.fail(`has no axis \`${missing}\` by \`${equation}\``);
  // What is 1 long stands for any length.
  const full = named.map((labels, i): Labelled => {
    const x = operands[i]!;
    const wide = lengths(sum, labels);
    const text = wide.every((d, a) => d === x.type.shape[a]) ? x.text : `broadcast(${x.text}, ${sizes(wide)})`;
    return diagonal(sum, { text, labels });
  });
  let made = full[0]!;
  full.slice(1).forEach((x, i) => {
    made = pair(sum, made, x, [...result, ...full.slice(i + 2).flatMap((later) => later.labels)]);
  });
  made = without(
    made,
    made.labels.filter((l) => !result.includes(l)),
  );
  return transposed(
    made.text,
    result.map((l) => made.labels.indexOf(l)),
  );
};

export const CONTRACTIONS: Rules = {
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
  Det: (n) => {
    const { shape } = n.in(0).type;
    const size = shape.at(-1)!;
    const lead = shape.slice(0, -2);
    const flat = reshaped(n.in(0).text, shape, [product(lead), size, size]);
    return reshaped(`onnx_determinant(${flat})`, [product(lead)], lead);
  },
};
