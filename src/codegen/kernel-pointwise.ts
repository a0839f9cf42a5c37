/** One thread for four neighbouring elements (or one, where four do not divide them): reads, computes, stores. */
import { sizeOf } from '../ir/ops/shapes.js';
import { finish } from './epilogue.js';
import { inRow } from './grid.js';
import { LANE, scale, sum, unflatten } from './indexing.js';
import { LOOP_OPS } from './inline-loops.js';
import { type BuiltKernel, type KernelWriter, product, suffix } from './kernel.js';

const THREADS = 64;

/** Turns of the kernel's loop: what chunks divide. */
export function pointwiseDomain(w: Pick<KernelWriter, 'group'>): { extent: number; wide: boolean } {
  const { anchor } = w.group;
  const size = sizeOf(anchor.type.shape);
  // A loop over lanes that lie in different rows would be written four times.
  const wide = size % 4 === 0 && (!LOOP_OPS.has(anchor.op) || anchor.type.shape.at(-1)! % 4 === 0);
  return { extent: wide ? size / 4 : size, wide };
}

export function pointwiseKernel(w: KernelWriter): BuiltKernel {
  const { anchor, path, result } = w.group;
  const { extent, wide } = pointwiseDomain(w);
  const turns = w.turns(extent);
  const { counts, number } = inRow(
    Math.ceil(turns / THREADS),
    w.context.limits.maxComputeWorkgroupsPerDimension,
    'tile',
  );
  const wgsl = w.twice(() => {
    const r = w.reader();
    const q = w.domain('q', extent);
    const coords = unflatten(wide ? sum(scale(q, 4), LANE) : q, anchor.type.shape);
    finish(r, w.bindings, { anchor, path, result, slot: w.outSlot() }, r.read(anchor, coords), coords);
    return w.declare(`@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
  let q = ${number} * ${THREADS}u + thread;
  if (q >= ${turns}u) {
    return;
  }
${r.e.toString()}
}
`);
  });
  const [first, ...rest] = [anchor, ...path];
  return {
    name: `pointwise_${product(result.type.shape)}_${first!.op}${suffix(rest)}`,
    archetype: 'pointwise',
    bindings: w.bindings,
    values: w.values,
    variants: [{ name: 'portable', requires: {}, rank: 0, wgsl, workgroups: counts }],
  };
}
