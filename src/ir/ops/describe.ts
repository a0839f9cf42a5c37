/** The operator reference as Markdown, written from the table so that it cannot go out of date. */
import { input } from '../graph.js';
import type { DType, OpName } from '../types.js';
import type { Attr } from './attrs.js';
import type { Family, OpDef } from './define.js';
import { ShapeError } from './errors.js';
import { attrsOf, inferType, OP_NAMES, OPS } from './index.js';

const FAMILIES: Readonly<Record<Family, string>> = {
  leaf: 'Leaves',
  pointwise: 'Pointwise',
  layout: 'Layout',
  reduction: 'Reductions',
  contraction: 'Contractions',
  composite: 'Composites',
};

const ATTR_WORDS: Readonly<Record<Attr<unknown>['kind'], string>> = {
  number: 'number',
  axis: 'number',
  numbers: 'list of numbers',
  word: 'word',
  flag: 'true or false',
  shape: 'shape of the result',
  dtype: 'element type of the result',
};

function attributes(op: OpName): string {
  return Object.entries(attrsOf(op))
    .map(
      ([key, { kind, words }]) =>
        `\`${key}\`: ${(kind === 'word' ? words : undefined)?.map((w) => `\`${w}\``).join(', ') ?? ATTR_WORDS[kind]}`,
    )
    .join('; ');
}

const KNOWN = { compile: 'known when compiling', load: 'known with the weights', call: 'known when called' } as const;
const MOVES = {
  once: 'moves each element to one place at most',
  repeats: 'repeats elements',
  fills: 'fills up with a constant',
  picks: 'picks elements',
  joins: 'joins operands',
} as const;

/** The traits that an entry has, in words. */
function traits(op: OpName): string {
  const { pointwise, known, moves, linear, channels, holds, erased } = OPS[op].traits;
  const names = OPS[op].operands.map((o) => o.name);
  const words = [
    pointwise && names.length > 0 && `pointwise, of ${elementTypes(op).join(', ')}`,
    known && KNOWN[known],
    moves && MOVES[moves],
    linear === 'jointly' && 'linear',
    linear === 'each' && 'linear in each operand',
    Array.isArray(linear) && `linear in ${linear.map((i) => names[i]).join(' and ')}`,
    channels && `channels on the ${channels} axis`,
    holds && `a ${holds}`,
    erased && 'for training alone',
  ];
  return words.filter((w) => w).join('; ');
}

const TYPES: readonly DType[] = ['f32', 'f16', 'i32', 'u32', 'bool'];
/** Attributes of a kind for which no type rule refuses an element type. */
const SOME = { number: 0, axis: 0, numbers: [], flag: false, shape: [], dtype: 'f32' } as const;

/** Element types that a pointwise operator takes: those that its type rule lets through. A condition is a bool whatever is chosen between. */
export function elementTypes(op: OpName): readonly DType[] {
  const some = Object.fromEntries(
    Object.entries(attrsOf(op)).map(([key, { kind, words }]) => [key, kind === 'word' ? words?.[0] : SOME[kind]]),
  );
  return TYPES.filter((type) => {
    const operands = OPS[op].operands.map(({ name }) =>
      input(name, { dtype: name === 'condition' ? 'bool' : type, shape: [] }),
    );
    try {
      inferType(op, operands, some as never);
      return true;
    } catch (error) {
      if (error instanceof ShapeError) return false;
      throw error;
    }
  });
}

function row(op: OpName): string {
  const def = OPS[op] as unknown as OpDef<OpName>;
  const operands = def.operands.map(({ name, kind }) =>
    kind === 'variadic' ? `${name}...` : kind === 'optional' ? `${name}?` : name,
  );
  const others = Object.entries(def.aux ?? {}).map(([name, aux]) => `\`aux ${name}\`: ${aux.doc}`);
  const cells = [
    `\`${op}\``,
    operands.join(', '),
    attributes(op),
    [def.doc, ...others].join(' '),
    traits(op),
    def.decompose ? 'yes' : '',
    typeof def.derivative === 'string' ? def.derivative : 'rule',
  ];
  return `| ${cells.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** The whole table, by family. */
export function describeOps(): string {
  const lines = [
    '# Operators of the IR',
    '',
    'Written from the operator table (`src/ir/ops`); `UPDATE_GOLDEN=1 npx vitest run test/ir` writes it again. `?` marks an optional operand,',
    '`...` one that repeats. Floats are computed in f64 by the reference and in the target’s precision by kernels. Operators that',
    'are pointwise broadcast as NumPy does. An operator that decomposes means the same as primitives; the interpreter tests both.',
    'A derivative is a rule, that of the decomposition (`decompose`), or `none`: of leaves, whole numbers, truth, and steps.',
    'Traits are what passes ask of an operator; they keep no lists of operators of their own.',
  ];
  for (const [family, title] of Object.entries(FAMILIES)) {
    lines.push(
      '',
      `## ${title}`,
      '',
      '| operator | operands | attributes | meaning | traits | decomposes | derivative |',
      '| --- | --- | --- | --- | --- | --- | --- |',
    );
    for (const op of OP_NAMES) if (OPS[op].family === family) lines.push(row(op));
  }
  return `${lines.join('\n')}\n`;
}
