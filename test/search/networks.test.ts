/** Networks of agents on the GPU: what they give, their gradients and their steps, against PyTorch (test/reference/search.py); and agents that learn by them. */
import { describe, expect, it } from 'vitest';
import { nodeHost } from '../../src/api/node/host.js';
import { networksOn, openActorCritic, openQ } from '../../src/api/search/networks.js';
import type { Tensor } from '../../src/ir/types.js';
import { makeController } from '../../src/search/index.js';
import type { ActorCritic, QNetwork, View } from '../../src/search/networks.js';
import { good } from '../dsl/semantics/helper.js';
import { fixture } from '../std/cases.js';
import { knee, landscape, searched } from './landscape.js';

const { tensorsOf } = await fixture('search');
const q = await tensorsOf('q');
const ac = await tensorsOf('ac');

const off = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most: number, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};
const numbers = (t: Tensor | undefined): number[] => [...t!.data];

/** The state of networks with these weights in the place of those that they drew. */
async function put(network: QNetwork | ActorCritic, of: ReadonlyMap<string, Tensor>): Promise<void> {
  const state = new Map(await network.save());
  for (const name of state.keys()) {
    const start = of.get(`start/${name.replace('follower/', '')}`);
    if (start) state.set(name, start);
  }
  await network.restore(state);
}

/** After one step of Adam from no moments its first moment is a tenth of the gradient. */
async function gradients(network: QNetwork | ActorCritic, of: ReadonlyMap<string, Tensor>, some = ''): Promise<void> {
  const state = await network.save();
  let count = 0;
  for (const [key, t] of of) {
    if (!key.startsWith(`gradient/${some}`)) continue;
    const moment = state.get(`${key.slice('gradient/'.length)}.m`);
    const largest = Math.max(...numbers(t).map(Math.abs), 1e-6);
    expect(
      off(
        numbers(moment).map((x) => 10 * x),
        t.data,
      ) / largest,
      key,
    ).toBeLessThan(2e-4);
    count++;
  }
  expect(count).toBeGreaterThan(5);
}

async function weights(network: QNetwork | ActorCritic, of: ReadonlyMap<string, Tensor>): Promise<void> {
  const state = await network.save();
  for (const [key, t] of of) {
    if (key.startsWith('final/')) expect(off(state.get(key.slice(6))!.data, t.data), key).toBeLessThan(2e-5);
  }
}

describe('the Q-network', { timeout: 240_000 }, () => {
  const sizes = { channels: [4, 6, 8, 8], hidden: [16, 12], side: 16 };
  const features = q.get('features')!.data as Float32Array;
  const views = Array.from({ length: 6 }, (_, i): View => {
    const map = (at: number) => ({ height: 16, width: 16, data: features.subarray(at * 256, (at + 1) * 256) });
    return { before: map(2 * i), after: map(2 * i + 1), rate: q.get('rate')!.data[i]! };
  });
  const lessons = views.map((view, i) => ({
    view,
    action: q.get('action')!.data[i]! as 0 | 1,
    value: q.get('worth')!.data[i]!,
  }));

  it("has PyTorch's values, gradients and steps, and goes on from what was saved", async () => {
    const network = await openQ(nodeHost(), { lr: 1e-3, weightDecay: 0, batch: 6, seed: 1 }, sizes);
    try {
      await put(network, q);
      expect(off((await network.values(views)).flat(), q.get('values')!.data)).toBeLessThan(1e-5);
      let half: ReadonlyMap<string, Tensor> | undefined;
      for (let step = 0; step < 8; step++) {
        if (step === 4) half = await network.save();
        expect(Math.abs((await network.learn(lessons, step)) - q.get('loss')!.data[step]!)).toBeLessThan(1e-5);
        if (step === 0) await gradients(network, q);
      }
      await weights(network, q);
      const end = await network.save();
      await network.restore(half!);
      for (let step = 4; step < 8; step++) await network.learn(lessons, step);
      expect(await network.save()).toEqual(end);
    } finally {
      network.dispose();
    }
  });

  it('begins as PyTorch begins, kernels by all that an output reads', () => {
    const { module } = good('use std\nmodel Q {\n  network = QNetwork()\n}');
    for (const [name, read] of [
      ['conv1', 18],
      ['conv4', 576],
    ] as const) {
      const init = module.params.get(`network.${name}.weight`)!.init;
      expect(init?.kind === 'uniform' && init.bound).toBeCloseTo(1 / Math.sqrt(read), 12);
    }
  });
});

describe('actor and critic', { timeout: 240_000 }, () => {
  const list = (name: string): number[] => numbers(ac.get(name));
  const states = Array.from({ length: 5 }, (_, i) => list('state').slice(8 * i, 8 * i + 8));

  it("have PyTorch's values, gradients and steps: the actor's through the critic as it is by then", async () => {
    const options = { numbers: 8, lr: 1e-3, lrCritic: 2e-3, batch: 5, seed: 1 };
    const both = await openActorCritic(nodeHost(), options, [12, 10]);
    try {
      await put(both, ac);
      expect(off(await both.act(states), list('acted'))).toBeLessThan(1e-6);
      await both.learnActor(states, 0);
      await gradients(both, ac, 'actor.');
      await put(both, ac);
      for (let i = 0; i < 4; i++) {
        const loss = await both.learnCritic(states, list('action'), list('worth'), i);
        const error = list('valued').reduce((sum, v, j) => sum + (v - list('worth')[j]!) ** 2 / 5, 0);
        if (i === 0) expect(Math.abs(loss - error)).toBeLessThan(1e-5);
        if (i === 0) await gradients(both, ac, 'critic.');
      }
      // Followers are still what both were.
      const before = await both.expect(states);
      await both.follow(0);
      // Moments of the step that was taken above go with the weights.
      const state = new Map(await both.save());
      for (const [name, t] of state) {
        if (/^actor\..*\.[mv]$/.test(name)) state.set(name, { ...t, data: new Float32Array(t.data.length) });
      }
      await both.restore(state);
      expect(await both.expect(states)).toEqual(before);
      for (let i = 0; i < 4; i++) await both.learnActor(states, i);
      await weights(both, ac);
      await both.follow(1);
      expect(await both.expect(states)).not.toEqual(before);
    } finally {
      both.dispose();
    }
  });
});

describe('an agent with its network', { timeout: 240_000 }, () => {
  it('learns which rates recover, in 13 candidates', async () => {
    const env = landscape(knee);
    const options = { explore: 39, fit: 20, lr: 2e-3 };
    const controller = makeController(
      { form: 'recoverability', options },
      { layers: env.layers, networks: networksOn(nodeHost()), seed: 1 },
    );
    try {
      const { result } = await searched(env, controller);
      expect(env.asked).toHaveLength(13);
      const chosen = result!.lines.slice(39);
      // 50% is the last that pays; the agent would prune up to there, and not at 55%.
      expect(result!.rates).toEqual([0.5]);
      expect(chosen.map((l) => l.action)).toEqual([...Array.from({ length: 9 }, () => 'prune'), 'retain']);
      const gains = chosen.map((l) => l.values!.prune - l.values!.retain);
      expect(Math.min(...gains.slice(0, -1))).toBeGreaterThan(0.1);
      expect(gains.at(-1)).toBeLessThan(0);
    } finally {
      controller.dispose();
    }
  });
});
