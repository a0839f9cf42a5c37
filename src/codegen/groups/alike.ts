/**
 * Groups that are alike get one kernel: the blocks of a transformer compute the same over other parameters, and building a kernel's variants
 * takes longer than finding that out.
 */
import { attrsKey } from '../../ir/intern.js';
import { isDeclared } from '../../ir/ops/index.js';
import { showType } from '../../ir/ops/shapes.js';
import type { Value } from '../../ir/types.js';
import { type PackedWeight, weightMatrix } from '../buffers/weight-matrix.js';
import type { BuiltKernel, Held, KernelContext } from '../kernel.js';
import { type Limits, type ScheduledDispatch, scheduleGroup } from '../schedule.js';
import { type Group, valuesOf } from './group.js';

interface Known {
  readonly parts: readonly ScheduledDispatch[];
  /** Values of the group that the parts were made for, in the order of its outline. */
  readonly values: readonly Value[];
}

export class Schedules {
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly context: KernelContext,
    private readonly limits: Limits,
  ) {}

  /** @throws CannotCut as `scheduleGroup` */
  of(group: Group): readonly ScheduledDispatch[] {
    const { key, values } = this.outline(group);
    const found = this.known.get(key);
    if (!found) {
      const parts = scheduleGroup(group, this.context, this.limits);
      this.known.set(key, { parts, values });
      return parts;
    }
    const image = new Map(found.values.map((v, i) => [v, values[i]!]));
    const packed = this.packed(group);
    return found.parts.map((d) => ({ ...d, kernel: over(d.kernel, image, packed) }));
  }

  /** All that a group's kernels depend on: its values by their places, what lies where, which parameters and inputs are one. */
  private outline({ kind, anchor, path, stores, reads }: Group): { key: string; values: Value[] } {
    const bound = new Set(reads);
    const values = valuesOf({ stores, reads });
    const at = new Map(values.map((v, i) => [v, i]));
    const names = new Map<string, number>();
    const lines = values.map((v) => {
      const type = showType(v.type);
      const read = bound.has(v) ? 'read' : '';
      if (isDeclared(v)) {
        const name = `${v.op} ${v.attrs.name}`;
        if (!names.has(name)) names.set(name, names.size);
        return `${read} ${v.op} ${names.get(name)} ${type} ${this.where(v)}`;
      }
      if (read) return `read ${type} ${this.where(v)}`;
      return `${v.op} ${attrsKey(v.attrs)} ${type} ${v.inputs.map((x) => at.get(x)).join(',')}`;
    });
    const packed = this.packed({ kind, anchor });
    const parts = [
      kind,
      packed ? `${packed.storage} ${packed.layout.text} ${packed.kept?.blocks.length ?? ''}` : '',
      at.get(anchor),
      path.map((v) => at.get(v)).join(','),
      ...stores.map((v) => `${at.get(v)} ${this.where(v)}`),
    ];
    return { key: [...parts, ...lines].join('\n'), values };
  }

  /** The weight that a group's product reads packed. */
  private packed({ kind, anchor }: Pick<Group, 'kind' | 'anchor'>): PackedWeight | undefined {
    const matrix = kind === 'contract' ? weightMatrix(anchor) : undefined;
    return matrix && this.context.packed(matrix);
  }

  private where(v: Value): string {
    const { place, storage } = this.context;
    return [place(v), storage?.(v)].filter((x) => x !== undefined).join(' ');
  }
}

/** The kernel over other values. */
function over(kernel: BuiltKernel, image: ReadonlyMap<Value, Value>, packed: PackedWeight | undefined): BuiltKernel {
  const held = (h: Held): Held => {
    if (h.kind === 'value') return { kind: 'value', value: image.get(h.value)! };
    return h.kind === 'result' ? h : { ...h, weight: packed! };
  };
  return { ...kernel, holds: new Map([...kernel.holds].map(([name, h]) => [name, held(h)])) };
}
