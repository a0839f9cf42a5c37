/** Orders, splits and limits are functions of the seed; draws are those of their key; VTAB's means. */
import { describe, expect, test } from 'vitest';
import { Draws } from '../../src/data/draws.js';
import { epochOrder } from '../../src/data/order.js';
import { limited, selectItems, withValidation } from '../../src/data/splits.js';
import type { Dataset } from '../../src/data/types.js';
import { VTAB, vtabMeans, vtabText } from '../../src/data/vtab.js';
import { philox } from '../../src/ir/run/philox.js';
import { counted, inMemory } from './support.js';

/** Items of class c: `sizes[c]` of them, class by class. */
function sized(sizes: readonly number[]): Dataset {
  const labels = sizes.flatMap((n, c) => Array.from({ length: n }, () => c));
  return inMemory(new Uint8Array(labels.length), [labels.length, 1, 1], { kind: 'class', labels });
}
const classOf = (dataset: Dataset, item: number) => (dataset.targets as { labels: Int32Array }).labels[item]!;
const counts = (dataset: Dataset, list: Iterable<number>): number[] => {
  const found = dataset.classes.map(() => 0);
  for (const item of list) found[classOf(dataset, item)]!++;
  return found;
};
const sorted = (list: Iterable<number>) => [...list].sort((a, b) => a - b);
const range = (n: number) => Array.from({ length: n }, (_, i) => i);

describe('draws', () => {
  const key = { seed: 7, epoch: 3, purpose: 'sample', of: 12, repeat: 2 } as const;

  test('are blocks of Philox, counted by item and purpose, under the key of seed and epoch', () => {
    const draws = new Draws(key);
    const words = Array.from({ length: 10 }, () => draws.bits());
    expect(words).toEqual([0, 1, 2].flatMap((block) => [...philox([block, 12, 1, 3], [7, 3])]).slice(0, 10));
  });

  test('are apart from those that programs draw, whose last word is 0', () => {
    expect(new Draws({ ...key, of: 0, repeat: 0 }).bits()).not.toBe(philox([0, 0, 1, 0], [7, 3])[0]);
  });

  test('have the distributions that they are asked for', () => {
    const draws = new Draws(key);
    const sample = (draw: () => number, n = 20000) => {
      const values = Array.from({ length: n }, draw);
      const mean = values.reduce((a, b) => a + b, 0) / n;
      return { mean, deviation: Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / n), values };
    };
    const uniform = sample(() => draws.uniform(2, 4));
    expect(uniform.mean).toBeCloseTo(3, 1);
    expect(uniform.deviation).toBeCloseTo(2 / Math.sqrt(12), 1);
    const normal = sample(() => draws.normal(5, 2));
    expect(normal.mean).toBeCloseTo(5, 1);
    expect(normal.deviation).toBeCloseTo(2, 1);
    expect(normal.values.filter((v) => Math.abs(v - 5) < 2).length / 20000).toBeCloseTo(0.683, 1);
    for (const a of [0.2, 1, 4]) {
      const beta = sample(() => draws.beta(a));
      expect(beta.mean).toBeCloseTo(0.5, 1);
      expect(beta.deviation).toBeCloseTo(1 / (2 * Math.sqrt(2 * a + 1)), 1);
    }
    expect(new Set(Array.from({ length: 1000 }, () => draws.whole(6)))).toEqual(new Set([0, 1, 2, 3, 4, 5]));
  });
});

describe('an epoch’s order', () => {
  const data = sized([30, 20, 10]);

  test('shuffled: every item once, of seed and epoch alone', () => {
    const order = (seed: number, epoch: number) => epochOrder(data, 'shuffled', seed, epoch).items;
    expect(sorted(order(1, 0))).toEqual(range(60));
    expect(order(1, 0)).toEqual(order(1, 0));
    expect(new Set([order(1, 0), order(1, 1), order(2, 0), order(0, 1)].map(String)).size).toBe(4);
    // Each item comes first about equally often.
    const first = new Set(Array.from({ length: 600 }, (_, epoch) => order(1, epoch)[0]!));
    expect(first.size).toBeGreaterThan(55);
  });

  test('listed: as it is', () => expect([...epochOrder(data, 'listed', 1, 5).items]).toEqual(range(60)));

  test('balanced: of each class as many, none again before all of its class have come', () => {
    const { items, repeats } = epochOrder(data, 'balanced', 1, 0);
    expect(counts(data, items)).toEqual([20, 20, 20]);
    const ofLast = [...items]
      .map((item, i) => [item, repeats[i]!] as const)
      .filter(([item]) => classOf(data, item) === 2);
    expect(sorted(ofLast.slice(0, 10).map(([item]) => item))).toEqual(range(10).map((i) => 50 + i));
    expect(sorted(ofLast.slice(10).map(([item]) => item))).toEqual(range(10).map((i) => 50 + i));
    expect(ofLast.map(([, repeat]) => repeat)).toEqual([...Array(10).fill(0), ...Array(10).fill(1)]);
    expect(ofLast.slice(0, 10).map(([item]) => item)).not.toEqual(ofLast.slice(10).map(([item]) => item));
    // Rounds of one of each class, so that every batch is nearly balanced.
    for (let i = 0; i < 60; i += 3) expect(counts(data, items.slice(i, i + 3))).toEqual([1, 1, 1]);
    expect(epochOrder(data, 'balanced', 1, 1).items).not.toEqual(items);
    // The rest of less than one each goes to other classes in other epochs.
    const rest = sized([3, 3, 2]);
    const few = range(60).map((epoch) => counts(rest, epochOrder(rest, 'balanced', 1, epoch).items).join());
    expect(new Set(few)).toEqual(new Set(['3,3,2', '3,2,3', '2,3,3']));
  });
});

describe('splits', () => {
  test('a validation split has of each class its share, and train the rest', () => {
    const data = sized([40, 20, 10, 1]);
    const { train, val } = withValidation({ train: data }, 0.2, 3);
    expect([counts(val, range(val.size)), counts(train, range(train.size))]).toEqual([
      [8, 4, 2, 0],
      [32, 16, 8, 1],
    ]);
    expect(sorted([...train.places, ...val.places])).toEqual(range(71));
    expect(withValidation({ train: data }, 0.2, 3).val.places).toEqual(val.places);
    expect(withValidation({ train: data }, 0.2, 4).val.places).not.toEqual(val.places);
  });

  test('at least one of each class that can spare one', () => {
    const { val } = withValidation({ train: sized([100, 2, 1]) }, 0.05, 0);
    expect(counts(val, range(val.size))).toEqual([5, 1, 0]);
  });

  test('one that is there stays', () => {
    const data = { train: counted(8, 2), val: counted(4, 2) };
    expect(withValidation(data, 0.5, 0)).toEqual(data);
  });

  test('of items without one class each, a share of all', () => {
    const numbers = inMemory(new Uint8Array(10), [10, 1, 1], { kind: 'numbers', labels: range(10) });
    const { train, val } = withValidation({ train: numbers }, 0.3, 0);
    expect([train.size, val.size]).toEqual([7, 3]);
    const values = [train, val].flatMap((d) => [...(d.targets as { values: Float32Array }).values]);
    expect(sorted(values)).toEqual(range(10));
    // What is to be learnt stays with its item.
    expect([...(val.targets as { values: Float32Array }).values]).toEqual([...val.places]);
  });

  test('a limit takes of each class as many as of any other, as far as there are', () => {
    const data = sized([40, 20, 3]);
    const some = limited(data, 23, 1);
    expect(counts(some, range(23))).toEqual([10, 10, 3]);
    expect(some.places).toEqual(sorted(some.places));
    expect(limited(data, 23, 1).places).toEqual(some.places);
    expect(limited(data, 23, 2).places).not.toEqual(some.places);
    expect(limited(data, 100, 1)).toBe(data);
  });

  test('items keep their names, classes and places', () => {
    const data = counted(6, 3);
    const some = selectItems(data, [5, 2]);
    expect([some.ids, some.places, some.targets]).toEqual([
      ['numbers[5]', 'numbers[2]'],
      [5, 2],
      { kind: 'class', labels: Int32Array.of(2, 2) },
    ]);
    const several = inMemory(new Uint8Array(3), [3, 1, 1], { kind: 'classes', labels: [['a'], ['b', 'a'], []] });
    expect(selectItems(several, [2, 1]).targets).toEqual({ kind: 'classes', labels: [[], [1, 0]] });
  });
});

describe('VTAB’s means', () => {
  // LoRA with r = 8, as Convpass' table has it: its mean of groups is printed there as 74.5 (of rounded tasks), and its mean of tasks elsewhere as 72.25.
  const lora = {
    cifar: 67.1,
    caltech101: 91.4,
    dtd: 69.4,
    oxford_flowers102: 98.8,
    oxford_iiit_pet: 90.4,
    svhn: 85.3,
    sun397: 54.0,
    patch_camelyon: 84.9,
    eurosat: 95.3,
    resisc45: 84.4,
    diabetic_retinopathy: 73.6,
    clevr_count: 82.9,
    clevr_dist: 69.2,
    dmlab: 49.8,
    kitti: 78.5,
    dsprites_loc: 75.7,
    dsprites_ori: 47.1,
    smallnorb_azi: 31.0,
    smallnorb_ele: 44.0,
  };

  test('differ by points', () => {
    const means = vtabMeans(lora);
    expect(means.overTasks).toBeCloseTo(72.25, 2);
    expect(means.overGroups).toBeCloseTo(74.6, 1);
    expect(means.groups.specialized).toBeCloseTo((84.9 + 95.3 + 84.4 + 73.6) / 4, 12);
    expect(vtabText(means)).toBe(
      'mean over 19 tasks 72.25, mean over 3 groups 74.60 (natural 79.49, specialized 84.55, structured 59.78)',
    );
  });

  test('need all nineteen', () => {
    expect(Object.values(VTAB).flatMap(Object.keys).length).toBe(19);
    const { kitti: _, ...less } = lora;
    expect(() => vtabMeans(less)).toThrow('needs an accuracy for kitti');
    expect(() => vtabMeans({ ...lora, imagenet: 80 })).toThrow('no task imagenet');
    const { oxford_iiit_pet: pets, ...others } = lora;
    expect(vtabMeans({ ...others, oxford_pet: pets })).toEqual(vtabMeans(lora));
  });
});
