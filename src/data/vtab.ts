/**
 * VTAB-1k's nineteen tasks and its mean, of which papers report two: over the tasks, and over the means of the three groups. They differ by points, so that
 * figures of one cannot stand beside figures of the other.
 */

/** Tasks by group, by the names of their folders in the copy that is handed on, and how many classes each has. */
export const VTAB = {
  natural: { cifar: 100, caltech101: 102, dtd: 47, oxford_flowers102: 102, oxford_iiit_pet: 37, svhn: 10, sun397: 397 },
  specialized: { patch_camelyon: 2, eurosat: 10, resisc45: 45, diabetic_retinopathy: 5 },
  structured: {
    clevr_count: 8,
    clevr_dist: 6,
    dmlab: 6,
    kitti: 4,
    dsprites_loc: 16,
    dsprites_ori: 16,
    smallnorb_azi: 18,
    smallnorb_ele: 9,
  },
} as const;

export type VtabGroup = keyof typeof VTAB;

export interface VtabMeans {
  /** Of each group. */
  readonly groups: Readonly<Record<VtabGroup, number>>;
  /** Mean of the 19 tasks. */
  readonly overTasks: number;
  /** Mean of the three groups' means. */
  readonly overGroups: number;
}

/** Names of tasks that others give them. */
const SPELLINGS: Readonly<Record<string, string>> = { oxford_pet: 'oxford_iiit_pet' };

/** The task that the last part of a path, or a name, stands for; undefined for none of VTAB's. */
export function vtabTask(path: string): string | undefined {
  const name = path.split(/[\\/]/).findLast((part) => part !== '') ?? '';
  const task = SPELLINGS[name] ?? name;
  return Object.values(VTAB).some((group) => Object.hasOwn(group, task)) ? task : undefined;
}

/**
 * Both means of accuracies by task.
 * @throws RangeError unless all nineteen are there, and nothing else
 */
export function vtabMeans(accuracies: Readonly<Record<string, number>>): VtabMeans {
  const given = new Map(Object.entries(accuracies).map(([task, value]) => [SPELLINGS[task] ?? task, value]));
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const valuesOf = (group: VtabGroup) =>
    Object.keys(VTAB[group]).map((task) => {
      const value = given.get(task);
      given.delete(task);
      if (value === undefined || !Number.isFinite(value))
        throw new RangeError(`VTAB's mean needs an accuracy for ${task}`);
      return value;
    });
  const values = {
    natural: valuesOf('natural'),
    specialized: valuesOf('specialized'),
    structured: valuesOf('structured'),
  };
  if (given.size > 0) throw new RangeError(`VTAB has no task ${[...given.keys()].join(', ')}`);
  const groups = {
    natural: mean(values.natural),
    specialized: mean(values.specialized),
    structured: mean(values.structured),
  };
  return { groups, overTasks: mean(Object.values(values).flat()), overGroups: mean(Object.values(groups)) };
}

/** Both means as a person reads them, named. */
export function vtabText({ groups, overTasks, overGroups }: VtabMeans): string {
  const shown = (value: number) => value.toFixed(2);
  const parts = Object.entries(groups).map(([group, value]) => `${group} ${shown(value)}`);
  return `mean over 19 tasks ${shown(overTasks)}, mean over 3 groups ${shown(overGroups)} (${parts.join(', ')})`;
}
