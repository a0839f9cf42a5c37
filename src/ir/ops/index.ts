/** The operator table. It is a mapped type over all operators: one that has no entry is a compile error. */
import { hasBatch, isBatch } from '../batch.js';
import type { OpAttrs, OpName, TensorType, Value, ValueOf } from '../types.js';
import { type Attrs, type AttrsOfEach, name } from './attrs.js';
import * as composite from './composite.js';
import * as contract from './contract.js';
import * as convolution from './convolution.js';
import { type AuxDef, costFree, type OpDef, type Traits } from './define.js';
import { Refusal, refuse, ShapeError } from './errors.js';
import * as layout from './layout.js';
import * as leaves from './leaves.js';
import * as pointwise from './pointwise.js';
import * as reduce from './reduce.js';
import { needSizes } from './shapes.js';
import * as sort from './sort.js';

const ATTRS = { aux: { output: name } };

declare module '../types.js' {
  interface OpAttrs extends AttrsOfEach<typeof ATTRS> {}
}

const aux = {
  family: 'composite',
  doc: 'Another result of the operator that made `owner`.',
  operands: [{ name: 'owner' }],
  attrs: ATTRS.aux,
  traits: { pointwise: false, known: null, moves: null, linear: null, channels: null, holds: null, erased: false },
  mixes: () => null,
  type: ([owner], { output }) => {
    const def = auxOf(owner!, output);
    if (!def) {
      const names = Object.keys(OPS[owner!.op].aux ?? {});
      refuse(`${owner!.op} has ${names.length ? `only ${names.join(', ')}` : 'no other results'}, not ${output}`, 0);
    }
    return def.type(owner!.inputs, owner!.attrs);
  },
  reference: null,
  cost: costFree,
  decompose: null,
  // A reader: its cotangent is one of its owner's, whose rule is given it by name.
  derivative: 'none',
} satisfies OpDef<'aux'>;

/** Named by their files, so that declarations reach what these add to `OpAttrs`. */
type Entries = typeof leaves &
  typeof pointwise &
  typeof layout &
  typeof reduce &
  typeof sort &
  typeof contract &
  typeof convolution &
  typeof composite & { readonly aux: typeof aux };

const ENTRIES: Entries = {
  ...leaves,
  ...pointwise,
  ...layout,
  ...reduce,
  ...sort,
  ...contract,
  ...convolution,
  ...composite,
  aux,
} satisfies { readonly [O in OpName]: OpDef<O> };

export const OPS: { readonly [O in OpName]: OpDef<O> } = ENTRIES;

/**
 * The operators of which a trait is one of these, for tables of rules: `{ [O in OpsWith<'moves', 'once'>]: Rule<O> }` does not compile without a
 * rule for each of them.
 */
export type OpsWith<T extends keyof Traits, V extends Traits[T]> = {
  [O in OpName]: Extract<Entries[O]['traits'][T], V> extends never ? never : O;
}[OpName];

export type Linear = OpsWith<'linear', NonNullable<Traits['linear']>>;

/** Sums, factors and what is nothing but its operand: the linear operators that keep every element in its place. */
export type Arithmetic = Linear & OpsWith<'pointwise', true>;

/** Operators with operands of which `mixes` does not say, of some values or of all, how the axes of the result are those of the first operand. */
export type Rearranging = Exclude<
  { [O in OpName]: null extends ReturnType<Entries[O]['mixes']> ? O : never }[OpName],
  OpsWith<'known', NonNullable<Traits['known']>>
>;

/** The operators that others can come in the place of. */
export type Decomposing = { [O in OpName]: Entries[O]['decompose'] extends null ? never : O }[OpName];

/** The rule that a table over some operators has for one: null where it says that there is none, undefined for an operator that it is not about. */
export const ruleIn = <R>(table: { readonly [O in OpName]?: R | null }, op: OpName): R | null | undefined =>
  Object.hasOwn(table, op) ? table[op] : undefined;

export const OP_NAMES = Object.keys(OPS) as readonly OpName[];

/** The attributes that an operator has, by name. */
export const attrsOf = (op: OpName): Attrs => OPS[op].attrs;

export const traitsOf = (v: Value): Traits => OPS[v.op].traits;

/** Whether it gives the elements of its first operand, maybe beside constants, and computes nothing. */
export function isLayout(v: Value): boolean {
  const { moves } = traitsOf(v);
  return moves !== null && moves !== 'joins';
}

/** Whether it gives the elements of its first operand and nothing else, where index arithmetic finds them. */
export function isView(v: Value): boolean {
  const { moves } = traitsOf(v);
  return moves === 'once' || moves === 'repeats';
}

/** A parameter or an argument: what is declared, and lies in a buffer that no operator fills. */
export const isDeclared = (v: Value): v is ValueOf<'param'> | ValueOf<'input'> => OPS[v.op].type === null;

/** What draws at random what it drops. */
export type Drop = ValueOf<'dropout'> | ValueOf<'drop_path'>;
export const isDrop = (v: Value): v is Drop => 'rate' in v.attrs;

/** See `mixes` in define.ts. */
export const mixedAxes = (v: Value): readonly number[] | null => OPS[v.op].mixes(v as never);

export function isOpName(name: string): name is OpName {
  return Object.hasOwn(OPS, name);
}

/** The entry of another result of `owner`'s operator, if it has one of that name. */
export function auxOf(owner: Value, output: string): AuxDef<OpName> | undefined {
  const table = OPS[owner.op].aux as Readonly<Record<string, AuxDef<OpName>>> | undefined;
  return table && Object.hasOwn(table, output) ? table[output] : undefined;
}

function checkArity(op: OpName, count: number): void {
  const operands = OPS[op].operands;
  const last = operands.at(-1);
  const variadic = last?.kind === 'variadic';
  const optional = operands.filter((o) => o.kind === 'optional').length;
  const fixed = operands.length - optional - (variadic ? 1 : 0);
  const least = fixed + (variadic ? (last.least ?? 1) : 0);
  const most = variadic ? Number.POSITIVE_INFINITY : operands.length;
  if (count >= least && count <= most) return;
  const wanted = variadic ? `at least ${least}` : least === most ? `${most}` : `${least} to ${most}`;
  throw new ShapeError(
    op,
    [],
    `${count} operands, where ${wanted} (${operands.map((o) => o.name).join(', ')}) are wanted`,
  );
}

/** A size that comes to the number that stands for the batch, though no operand and no attribute names the batch, would be taken for it. */
function needOwn(shape: readonly number[], inputs: readonly Value[], attrs: object): void {
  const named = 'shape' in attrs ? (attrs.shape as readonly number[]) : [];
  if (!hasBatch(shape) || hasBatch(named) || inputs.some((x) => hasBatch(x.type.shape))) return;
  refuse(
    `axis ${shape.findIndex(isBatch)} comes to ${shape.find(isBatch)}, which stands for the batch inside of the compiler`,
  );
}

/**
 * The type of a value that would be made of these parts.
 * @throws ShapeError when operands or attributes do not fit. Parameters and arguments have no inferred type: their declaration has.
 */
export function inferType<O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O]): TensorType {
  const rule = OPS[op].type;
  if (!rule) throw new ShapeError(op, [], 'its type is declared, not inferred');
  checkArity(op, inputs.length);
  try {
    const type = rule(inputs, attrs);
    needSizes(type.shape);
    needOwn(type.shape, inputs, attrs);
    return type;
  } catch (e) {
    if (e instanceof Refusal) throw new ShapeError(op, e.operands, e.message, e.about);
    throw e;
  }
}
