/** Attention: where q, k, v and the bias are, and where the output goes. attention.ts writes the loops. */
import type { Value } from '../ir/types.js';
import { attentionVariants } from './attention.js';
import { type Expr, widen } from './emit.js';
import { finish, store } from './epilogue.js';
import { flatten, type Index, LANE, scale, sum, unflatten, variable, ZERO } from './indexing.js';
import { type BuiltKernel, type KernelWriter, product, suffix } from './kernel.js';
import type { Reader } from './reader.js';

type Attention = Extract<Value, { op: 'attention' }>;

/** A depth index in vec4 steps; an axis of 1 has only index 0. */
function depth(name: string, size: number): Index {
  return size === 1 ? ZERO : sum(scale(variable(name, Math.ceil(size / 4)), 4), LANE);
}

function load(
  w: KernelWriter,
  x: Value,
  name: string,
  row: string,
  at: string,
  z: Index,
  heads: readonly number[],
): string {
  const [, , rows, size] = x.type.shape as [number, number, number, number];
  const r = w.reader();
  let value = widen(r.read(x, [...unflatten(z, heads), variable(row, rows), depth(`${at}4`, size)]));
  if (size % 4 !== 0) value = `select(vec4f(0.0), ${value}, vec4u(${at}) + vec4u(0u, 1u, 2u, 3u) < vec4u(${size}u))`;
  return `fn ${name}(z: u32, ${row}: u32, ${at}: u32) -> vec4f {
  let ${at}4 = ${at} / 4u;
${r.e.toString()}
  return ${value};
}`;
}

function biasFunction(w: KernelWriter, factors: readonly Value[], z: Index, v: Attention): string {
  const [batch, heads, rows, keys] = scoreShape(v);
  const r = w.reader();
  const coords = [...unflatten(z, [batch, heads]), variable('row', rows), variable('j', keys)];
  const terms = factors.map((f) => r.operand(f, coords).code);
  return `fn bias(z: u32, row: u32, j: u32) -> f32 {
${r.e.toString()}
  return ${terms.join(' + ')};
}`;
}

function scoreShape(v: Attention): [number, number, number, number] {
  const [batch, heads, rows] = v.type.shape as [number, number, number, number];
  return [batch, heads, rows, v.inputs[1]!.type.shape[2]!];
}

export function attentionKernel(w: KernelWriter): BuiltKernel {
  const { path, result, lse } = w.group;
  const anchor = w.group.anchor as Attention;
  const [q, k, v, ...factors] = anchor.inputs as readonly [Value, Value, Value, ...Value[]];
  const [batch, heads, rows, keys] = scoreShape(anchor);
  const [headDim, valueDim] = [q.type.shape[3]!, v.type.shape[3]!];
  const z = w.domain('z', batch * heads);
  const turns = w.turns(batch * heads);
  const at = [batch, heads];
  const declarations = w.twice(() => {
    const parts = [
      load(w, q, 'load_q4', 'row', 'd', z, at),
      load(w, k, 'load_k4', 'j', 'd', z, at),
      load(w, v, 'load_v4', 'j', 'e', z, at),
    ];
    if (factors.length > 0) parts.push(biasFunction(w, factors, z, anchor));
    const s: Reader = w.reader();
    const e = sum(scale(variable('e4', Math.ceil(valueDim / 4)), 4), LANE);
    const guards = valueDim % 4 === 0 ? [] : [{ index: e, below: valueDim }];
    const value: Expr = { code: 'v', type: 'f32', wide: true };
    const target = { anchor, path, result, slot: w.outSlot() };
    finish(s, w.bindings, target, value, [...unflatten(z, at), variable('row', rows), e], guards);
    parts.push(`fn store4(z: u32, row: u32, e: u32, v: vec4f) {
  let e4 = e / 4u;
${s.e.toString()}
}`);
    if (lse) {
      const l = w.reader();
      const flat = flatten([...unflatten(z, at), variable('row', rows)], lse.type.shape);
      store(l, w.bindings, w.lseSlot(lse), flat, { code: 'v', type: 'f32', wide: false }, []);
      parts.push(`fn store_lse(z: u32, row: u32, v: f32) {\n${l.e.toString()}\n}`);
    }
    return w.declare(parts.join('\n\n'));
  });
  return {
    name: `attention_${product([turns, rows, keys, headDim])}${suffix(path)}`,
    archetype: 'attention',
    bindings: w.bindings,
    values: w.values,
    variants: attentionVariants({
      batch: turns,
      rows,
      keys,
      headDim,
      valueDim,
      scale: anchor.attrs.scale,
      hasBias: factors.length > 0,
      hasLse: lse !== undefined,
      declarations,
      maxWorkgroups: w.context.limits.maxComputeWorkgroupsPerDimension,
    }),
  };
}
