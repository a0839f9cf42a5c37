/** Attention: where q, k, v and the bias are, and where the output goes. attention.ts writes the loops. */
import type { Value } from '../../ir/types.js';
import { finish, store } from '../epilogue.js';
import { add, div, F32, F32X4, min, name, U32, u32, uint } from '../kernel/expr.js';
import type { KernelFunction } from '../kernel/types.js';
import { type BuiltKernel, type KernelWriter, product } from '../kernel.js';
import type { AttentionProblem } from '../problem.js';
import { flattenStored, type Index, LANE, scale, sum, unflattenStored, variable, ZERO } from '../read/indexing.js';
import { within } from '../read/reader.js';
import { attentionVariants } from './attention.js';

type Attention = Extract<Value, { op: 'attention' }>;

/** A depth index in vec4 steps; an axis of 1 has only index 0. */
function depth(name: string, size: number): Index {
  return size === 1 ? ZERO : sum(scale(variable(name, Math.ceil(size / 4)), 4), LANE);
}

const params = (...names: readonly string[]): KernelFunction['params'] => names.map((n) => ({ name: n, type: U32 }));

function load(
  w: KernelWriter,
  x: Value,
  fn: string,
  row: string,
  at: string,
  z: Index,
  heads: readonly number[],
): KernelFunction {
  const [, , rows, size] = x.type.shape as [number, number, number, number];
  const r = w.reader();
  const fours = Math.ceil(size / 4);
  const four = div(uint(at), u32(4));
  // Lanes may own columns past a value's last one; what they compute is not stored.
  r.b.index(`${at}4`, at === 'e' ? min(four, u32(fours - 1)) : four, fours);
  const coords = [...unflattenStored(z, heads), variable(row, rows), depth(`${at}4`, size)];
  r.b.return(within(r, size, uint(at), () => r.read(x, coords)));
  return { name: fn, params: params('z', row, at), result: F32X4, body: r.b.stmts };
}

function biasFunction(w: KernelWriter, factors: readonly Value[], z: Index, v: Attention): KernelFunction {
  const [batch, heads, rows, keys] = scoreShape(v);
  const r = w.reader();
  const coords = [...unflattenStored(z, [batch, heads]), variable('row', rows), variable('j', keys)];
  r.b.return(factors.map((f) => r.operand(f, coords)).reduce((x, y) => add(x, y)));
  return { name: 'bias', params: params('z', 'row', 'j'), result: F32, body: r.b.stmts };
}

function scoreShape(v: Attention): [number, number, number, number] {
  const [batch, heads, rows] = v.type.shape as [number, number, number, number];
  return [batch, heads, rows, v.inputs[1]!.type.shape[2]!];
}

export function attentionKernel(w: KernelWriter): BuiltKernel {
  const problem = attentionProblem(w);
  const sizes = [problem.batch, problem.rows, problem.keys, problem.headDim];
  return w.built(
    { name: `attention_${product(sizes)}${w.suffix()}`, archetype: 'attention' },
    attentionVariants(problem, w.context.device),
  );
}

/** The attention that the writer's group is. */
export function attentionProblem(w: KernelWriter): AttentionProblem {
  const anchor = w.group.anchor as Attention;
  const [q, k, v, ...factors] = anchor.inputs as readonly [Value, Value, Value, ...Value[]];
  const [batch, heads, rows, keys] = scoreShape(anchor);
  const [headDim, valueDim] = [q.type.shape[3]!, v.type.shape[3]!];
  const z = w.domain('z', batch * heads);
  const turns = w.turns(batch * heads);
  const at = [batch, heads];
  const functions = [
    load(w, q, 'load_q4', 'row', 'd', z, at),
    load(w, k, 'load_k4', 'j', 'd', z, at),
    load(w, v, 'load_v4', 'j', 'e', z, at),
  ];
  if (factors.length > 0) functions.push(biasFunction(w, factors, z, anchor));
  const s = w.reader();
  s.b.index('e4', div(uint('e'), u32(4)), Math.ceil(valueDim / 4));
  const e = sum(scale(variable('e4', Math.ceil(valueDim / 4)), 4), LANE);
  const guards = valueDim % 4 === 0 ? [] : [{ index: e, below: valueDim }];
  finish(s, w.ends(), name('v', F32X4), [...unflattenStored(z, at), variable('row', rows), e], guards);
  functions.push({ name: 'store4', params: [...params('z', 'row', 'e'), { name: 'v', type: F32X4 }], body: s.b.stmts });
  const lse = w.others().get('lse');
  if (lse) {
    const l = w.reader();
    const flat = flattenStored([...unflattenStored(z, at), variable('row', rows)], lse.value.type.shape);
    store(l, lse.buffer, flat, name('v', F32), []);
    functions.push({ name: 'store_lse', params: [...params('z', 'row'), { name: 'v', type: F32 }], body: l.b.stmts });
  }
  return {
    batch: turns,
    rows,
    keys,
    headDim,
    valueDim,
    scale: anchor.attrs.scale,
    hasBias: factors.length > 0,
    hasLse: lse !== undefined,
    functions,
    reach: w.context.reach,
  };
}
