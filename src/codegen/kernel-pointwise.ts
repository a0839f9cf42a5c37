/** One thread for four neighbouring elements (or one, where four do not divide them): reads, computes, stores. */
import { sizeOf } from '../ir/ops/shapes.js';
import { finish, store } from './epilogue.js';
import { inRow, parts } from './grid.js';
import { Body } from './kernel/body.js';
import { add, binary, mul, size, u32, uint } from './kernel/expr.js';
import { type BuiltKernel, type KernelWriter, product, TILE_AND_THREAD } from './kernel.js';
import { flattenStored, LANE, scale, sum, unflattenStored } from './read/indexing.js';
import { isLoop } from './read/loops.js';

const THREADS = 64;

/** Turns of the kernel's loop: what chunks divide. */
export function pointwiseDomain(w: Pick<KernelWriter, 'group'>): { extent: number; wide: boolean } {
  const { anchor } = w.group;
  const count = sizeOf(anchor.type.shape);
  // A loop over lanes that lie in different rows would be written four times.
  const wide = count % 4 === 0 && (!isLoop(anchor) || anchor.type.shape.at(-1)! % 4 === 0);
  return { extent: wide ? count / 4 : count, wide };
}

export function pointwiseKernel(w: KernelWriter): BuiltKernel {
  const { anchor, path, result } = w.group;
  const ends = w.ends();
  const { extent, wide } = pointwiseDomain(w);
  const turns = w.turns(extent);
  const { workgroups, number, inputs } = inRow(parts(turns, THREADS), w.context.reach, 'tile');
  const b = new Body();
  b.named('q', add(mul(number, u32(THREADS)), uint('thread')));
  b.if(binary('>=', uint('q'), size(turns)), () => b.return());
  const r = w.reader(b);
  const q = w.domain('q', extent);
  const coords = unflattenStored(wide ? sum(scale(q, 4), LANE) : q, anchor.type.shape);
  finish(r, ends, r.read(anchor, coords), coords);
  for (const { value, buffer } of w.others().values()) {
    store(r, buffer, flattenStored(coords, value.type.shape), r.read(value, coords), []);
  }
  const [first, ...rest] = [anchor, ...path];
  return w.built(
    { name: `pointwise_${product(result.type.shape)}_${first!.op}${w.suffix(rest)}`, archetype: 'pointwise' },
    [
      {
        name: 'portable',
        requires: {},
        rank: 0,
        workgroups,
        program: {
          workgroup: [THREADS, 1, 1],
          inputs: [...TILE_AND_THREAD, ...inputs],
          shared: [],
          functions: [],
          main: b.stmts,
        },
      },
    ],
  );
}
