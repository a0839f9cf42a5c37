/** What is known of the numbers of a thread and its workgroup before the first statement. */
import { constIndex, type Index, scale, sum } from '../../read/indexing.js';
import type { BuiltinInput, Kernel } from '../types.js';
import { type Integers, rangeOfType } from './integers.js';
import { Facts, type Local, type Symbols } from './ranges.js';
import type { Value } from './state.js';

/** Workgroups that are dispatched along x, y and z. */
export type Workgroups = readonly [number, number, number];

export function inputsOf(
  kernel: Kernel,
  workgroups: Workgroups | undefined,
  symbols: Symbols,
  integers: Integers,
): Map<string, Value> {
  const size = kernel.workgroup;
  const all = size.reduce((a, b) => a * b, 1);
  const local = (count: number, which: Local): Index => symbols.fresh({ lo: 0, hi: count - 1 }, 0, which);
  const group = [0, 1, 2].map((i) =>
    symbols.fresh({ lo: 0, hi: workgroups ? workgroups[i]! - 1 : rangeOfType('u32').hi }, 2),
  );
  const axes = (['x', 'y', 'z'] as const).map((axis, i) => local(size[i]!, axis));
  const index = local(all, 'index');
  const lane = local(kernel.subgroup ?? 1, 'subgroup');
  const facts = new Facts();
  const parts: { readonly [B in BuiltinInput]: readonly Index[] } = {
    workgroup_id: group,
    num_workgroups: [0, 1, 2].map((i) =>
      workgroups ? constIndex(workgroups[i]!) : symbols.fresh({ lo: 1, hi: rangeOfType('u32').hi }, 2),
    ),
    local_invocation_index: [index],
    local_invocation_id: axes,
    global_invocation_id: axes.map((a, i) => integers.fit('u32', sum(scale(group[i]!, size[i]!), a), facts, 0)),
    subgroup_invocation_id: [lane],
  };
  return new Map(
    kernel.inputs.map(({ name, builtin }) => [
      name,
      {
        scalar: 'u32',
        level: builtin === 'workgroup_id' || builtin === 'num_workgroups' ? 2 : 0,
        parts: parts[builtin],
        speculative: false,
      },
    ]),
  );
}
