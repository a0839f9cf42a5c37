/** Networks of agents as specs that Espalier trains, on the host's GPU: their layers are library code (src/dsl/std/search.peft). */
import { tensor } from '../../ir/run/tensor.js';
import type { Tensor } from '../../ir/types.js';
import { SIDE } from '../../search/metrics.js';
import type {
  ActorCritic,
  ActorCriticOptions,
  Lesson,
  Networks,
  QNetwork,
  QOptions,
  Values,
  View,
} from '../../search/networks.js';
import type { Host } from '../host.js';
import { openTrainer, type SpecTrainer } from '../train/open.js';

/** Networks on the host's GPU. What they throw: RuntimeError where there is none, or it fails. */
export const gpuNetworks = (host: Host): Networks => ({
  q: async (options) => new GpuQ(await opened(host, qSpec(options), options.seed)),
  async actorCritic(options) {
    const critic = await opened(host, criticSpec(options), options.seed);
    try {
      // Both start with the same critic.
      const actor = await opened(host, actorSpec(options), options.seed);
      const made = new GpuActorCritic(actor, critic, options.numbers);
      await made.begin();
      return made;
    } catch (error) {
      critic.dispose();
      throw error;
    }
  },
});

const opened = (host: Host, text: string, seed: number): Promise<SpecTrainer> =>
  openTrainer({ text, path: 'search.peft' }, { host, seed });

/** Steps have no schedule: each is told how many came before it. */
const at = (step: number) => ({ epoch: 0, step, steps: step + 1 });

const block = (batch: number, loss: string, optimizer: string, more = ''): string => `train N {
  loss = ${loss}
  optimizer = ${optimizer}
  schedule = constant(epochs: 1)
  batch = ${batch}
  ${more}
}
`;

const weightsOf = async (trainer: SpecTrainer): Promise<Map<string, Tensor>> => trainer.trained();

const put = (trainer: SpecTrainer, weights: ReadonlyMap<string, Tensor>): Promise<void> =>
  trainer.session.replace(Object.fromEntries([...weights].map(([name, t]) => [name, Float32Array.from(t.data)])));

const prefixed = (prefix: string, tensors: ReadonlyMap<string, Tensor>): [string, Tensor][] =>
  [...tensors].map(([name, t]) => [`${prefix}/${name}`, t]);

const below = (prefix: string, tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
  new Map(
    [...tensors].flatMap(([name, t]) =>
      name.startsWith(`${prefix}/`) ? [[name.slice(prefix.length + 1), t] as const] : [],
    ),
  );

// ---- Values of two actions --------------------------------------------------------------------------------------------

const qSpec = ({ lr, weightDecay, batch }: QOptions): string => `use std
model N {
  q = QNetwork(side: ${SIDE})
  tune q
}
${block(batch, 'taken_error()', `adam(lr: ${lr}, weight_decay: ${weightDecay})`)}`;

class GpuQ implements QNetwork {
  constructor(private readonly trainer: SpecTrainer) {}

  async values(views: readonly View[]): Promise<Values[]> {
    const nothing = new Float32Array(2 * views.length);
    const { outputs } = await this.trainer.evaluate({ ...seen(views), taken: nothing, target: nothing });
    const { values } = outputs;
    return views.map((_, i) => [values![2 * i]!, values![2 * i + 1]!]);
  }

  async learn(lessons: readonly Lesson[], step: number): Promise<number> {
    const [taken, target] = [new Float32Array(2 * lessons.length), new Float32Array(2 * lessons.length)];
    for (const [i, { action, value }] of lessons.entries()) {
      taken[2 * i + action] = 1;
      target[2 * i + action] = value;
    }
    const { loss } = await this.trainer.step({ ...seen(lessons.map((l) => l.view)), taken, target }, at(step));
    return loss;
  }

  save = (): Promise<Map<string, Tensor>> => this.trainer.state();
  restore = (tensors: ReadonlyMap<string, Tensor>): Promise<void> => this.trainer.restore(tensors);
  dispose = (): void => this.trainer.dispose();
}

/** As the network takes them: [n, 2, SIDE, SIDE] and [n, 1]. */
function seen(views: readonly View[]): { features: Float32Array; rate: Float32Array } {
  const each = SIDE * SIDE;
  const features = new Float32Array(2 * each * views.length);
  for (const [i, { before, after }] of views.entries()) {
    features.set(before.data, 2 * i * each);
    features.set(after.data, (2 * i + 1) * each);
  }
  return { features, rate: Float32Array.from(views, (v) => v.rate) };
}

// ---- Actor and critic -------------------------------------------------------------------------------------------------

const criticSpec = ({ numbers, lrCritic, batch }: ActorCriticOptions): string => `use std
model N {
  critic = Critic(${numbers})
  tune critic
}
${block(batch, 'mse()', `adam(lr: ${lrCritic})`)}`;

/** A rate at which no weight moves: a rate is above 0, and this much is lost in f32 beside any weight. */
const STILL = '1e-30';

/** The critic stands still while the actor learns through it; it is a state all the same, since another one is put in its place. */
const actorSpec = ({ numbers, lr, batch }: ActorCriticOptions): string => `use std
model N {
  actor = Actor(${numbers})
  critic = Critic(${numbers})
  acting = Acting(actor, critic, ${numbers})
  tune actor, critic
}
${block(batch, 'worth_error()', `adam(lr: ${lr})`, `groups = [group("critic", lr: ${STILL})]`)}`;

class GpuActorCritic implements ActorCritic {
  /** Of both networks, what follows them. */
  private followers: ReadonlyMap<string, Tensor> = new Map();

  constructor(
    private readonly actor: SpecTrainer,
    private readonly critic: SpecTrainer,
    private readonly numbers: number,
  ) {}

  /** The actor's copy of the critic is the critic, and followers begin as what they follow. */
  async begin(): Promise<void> {
    await put(this.actor, await weightsOf(this.critic));
    this.followers = await weightsOf(this.actor);
  }

  async act(states: readonly (readonly number[])[]): Promise<number[]> {
    return Array.from((await this.looked(states)).action!);
  }

  async expect(states: readonly (readonly number[])[]): Promise<number[]> {
    const own = await weightsOf(this.actor);
    await put(this.actor, this.followers);
    try {
      return Array.from((await this.looked(states)).value!);
    } finally {
      await put(this.actor, own);
    }
  }

  async learnCritic(
    states: readonly (readonly number[])[],
    actions: readonly number[],
    worth: readonly number[],
    step: number,
  ): Promise<number> {
    const [state, action, target] = [states.flat(), actions, worth].map((x) => Float32Array.from(x));
    const { loss } = await this.critic.step({ state: state!, action: action!, target: target! }, at(step));
    return loss;
  }

  async learnActor(states: readonly (readonly number[])[], step: number): Promise<number> {
    const state = Float32Array.from(states.flat());
    const { loss } = await this.actor.step({ state, target: new Float32Array(states.length) }, at(step));
    return -loss;
  }

  async follow(share: number): Promise<void> {
    await put(this.actor, await weightsOf(this.critic));
    const now = await weightsOf(this.actor);
    const moved = [...this.followers].map(([name, t]): [string, Tensor] => {
      const towards = now.get(name)!.data;
      return [
        name,
        tensor(
          t.type.shape,
          Float32Array.from(t.data, (x, i) => x + share * (towards[i]! - x)),
        ),
      ];
    });
    this.followers = new Map(moved);
  }

  async save(): Promise<Map<string, Tensor>> {
    const [actor, critic] = [await this.actor.state(), await this.critic.state()];
    return new Map([
      ...prefixed('actor', actor),
      ...prefixed('critic', critic),
      ...prefixed('followers', this.followers),
    ]);
  }

  async restore(tensors: ReadonlyMap<string, Tensor>): Promise<void> {
    await this.actor.restore(below('actor', tensors));
    await this.critic.restore(below('critic', tensors));
    this.followers = below('followers', tensors);
  }

  dispose(): void {
    this.actor.dispose();
    this.critic.dispose();
  }

  private async looked(states: readonly (readonly number[])[]): Promise<Readonly<Record<string, Float32Array>>> {
    if (states.some((s) => s.length !== this.numbers)) throw new RangeError(`a state has ${this.numbers} numbers`);
    const state = Float32Array.from(states.flat());
    return (await this.actor.evaluate({ state, target: new Float32Array(states.length) })).outputs;
  }
}
