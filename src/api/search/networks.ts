/**
 * The networks of agents as programs: specs of the library's own (src/dsl/std/search.peft), whose steps are derived and run on the GPU like those of any other
 * model.
 */

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

/** Sizes of layers; for tests. Default: the library's. */
export interface QSizes {
  readonly channels: readonly number[];
  readonly hidden: readonly number[];
  readonly side: number;
}

/** Where a step stands for an optimiser at one rate: only how many there were counts. */
const place = (step: number) => ({ epoch: 0, step, steps: step + 1 });

const block = (model: string, loss: string, optimizer: string, batch: number, seed: number): string => `train ${model} {
  loss = ${loss}()
  optimizer = ${optimizer}
  schedule = constant(epochs: 1)
  batch = ${batch}
  seed = ${seed}
}
`;

/** A number as specs write it: without an exponent that they do not know. */
const written = (x: number): string => String(x);

async function opened(host: Host, text: string, path: string): Promise<SpecTrainer> {
  return openTrainer({ text, path }, { host });
}

/** States that an optimiser moves, without what it keeps beside them. */
const weightsOf = (trainer: SpecTrainer): Promise<Map<string, Tensor>> => trainer.trained();

/** Makes networks on a GPU of the host's. @throws as `openTrainer` */
export function networksOn(host: Host): Networks {
  return { q: (options) => openQ(host, options), actorCritic: (options) => openActorCritic(host, options) };
}

// ---- Q-learning -----------------------------------------------------------------------------------------------------

export async function openQ(host: Host, { lr, weightDecay, batch, seed }: QOptions, sizes?: QSizes): Promise<QNetwork> {
  const options = sizes
    ? `channels: [${sizes.channels.join(', ')}], hidden: [${sizes.hidden.join(', ')}], side: ${sizes.side}`
    : '';
  const text = `use std
model Q {
  network = QNetwork(${options})
  tune network
}
${block('Q', 'taken_error', `adam(lr: ${written(lr)}, weight_decay: ${written(weightDecay)})`, batch, seed)}`;
  return new TrainedQ(await opened(host, text, 'q.peft'), sizes?.side ?? SIDE);
}

class TrainedQ implements QNetwork {
  constructor(
    private readonly trainer: SpecTrainer,
    private readonly side: number,
  ) {}

  async values(views: readonly View[]): Promise<readonly Values[]> {
    const { outputs } = await this.trainer.evaluate(this.batch(views));
    const all = outputs.values!;
    return views.map((_, i): Values => [all[2 * i]!, all[2 * i + 1]!]);
  }

  async learn(lessons: readonly Lesson[], step: number): Promise<number> {
    const batch = this.batch(lessons.map((l) => l.view));
    lessons.forEach(({ action, value }, i) => {
      batch.taken[2 * i + action] = 1;
      batch.target[2 * i + action] = value;
    });
    return (await this.trainer.step(batch, place(step))).loss;
  }

  save(): Promise<ReadonlyMap<string, Tensor>> {
    return this.trainer.state();
  }

  restore(tensors: ReadonlyMap<string, Tensor>): Promise<void> {
    return this.trainer.restore(tensors);
  }

  dispose(): void {
    this.trainer.dispose();
  }

  private batch(views: readonly View[]) {
    const size = this.side ** 2;
    const features = new Float32Array(2 * size * views.length);
    views.forEach(({ before, after }, i) => {
      features.set(before.data, 2 * i * size);
      features.set(after.data, (2 * i + 1) * size);
    });
    return {
      features,
      rate: Float32Array.from(views, (v) => v.rate),
      taken: new Float32Array(2 * views.length),
      target: new Float32Array(2 * views.length),
    };
  }
}

// ---- Actor and critic -----------------------------------------------------------------------------------------------

export async function openActorCritic(
  host: Host,
  { numbers, lr, lrCritic, batch, seed }: ActorCriticOptions,
  hidden?: readonly number[],
): Promise<ActorCritic> {
  const sizes = hidden ? `, hidden: [${hidden.join(', ')}]` : '';
  const critic = `use std
model C {
  critic = Critic(${numbers}${sizes})
  tune critic
}
${block('C', 'mse', `adam(lr: ${written(lrCritic)})`, batch, seed)}`;
  const acting = `use std
model A {
  actor = Actor(${numbers}${sizes})
  critic = Critic(${numbers}${sizes})
  acting = Acting(actor, critic, ${numbers})
  tune actor
}
${block('A', 'worth_error', `adam(lr: ${written(lr)})`, batch, seed)}`;
  const open: SpecTrainer[] = [];
  try {
    open.push(await opened(host, critic, 'critic.peft'));
    open.push(await opened(host, acting, 'actor.peft'));
    open.push(await opened(host, acting, 'actor.peft'));
    const [one, two, three] = open as [SpecTrainer, SpecTrainer, SpecTrainer];
    const both = new TrainedActorCritic(one, two, three);
    await both.begin();
    return both;
  } catch (error) {
    for (const trainer of open) trainer.dispose();
    throw error;
  }
}

type Weights = ReadonlyMap<string, Tensor>;

const FOLLOWER = 'follower/';
const under = (prefix: string, tensors: Weights): Weights =>
  new Map([...tensors].flatMap(([n, t]) => (n.startsWith(prefix) ? [[n.slice(prefix.length), t] as const] : [])));

/**
 * Three programs: the critic, which is trained; the actor before a copy of it that is not; and the same again with the weights of the followers, which is never
 * trained.
 */
class TrainedActorCritic implements ActorCritic {
  /** What the followers are; the programs have it too. */
  private followers: Weights = new Map();

  constructor(
    private readonly critic: SpecTrainer,
    private readonly actor: SpecTrainer,
    private readonly follower: SpecTrainer,
  ) {}

  /** Followers begin where what they follow does. */
  async begin(): Promise<void> {
    await this.follow(1);
  }

  async act(states: readonly (readonly number[])[]): Promise<readonly number[]> {
    return [...(await this.actor.evaluate(this.stated(states))).outputs.action!];
  }

  async expect(states: readonly (readonly number[])[]): Promise<readonly number[]> {
    return [...(await this.follower.evaluate(this.stated(states))).outputs.value!];
  }

  async learnCritic(
    states: readonly (readonly number[])[],
    actions: readonly number[],
    worth: readonly number[],
    step: number,
  ): Promise<number> {
    const { state } = this.stated(states);
    const batch = { state, action: Float32Array.from(actions), target: Float32Array.from(worth) };
    return (await this.critic.step(batch, place(step))).loss;
  }

  async learnActor(states: readonly (readonly number[])[], step: number): Promise<number> {
    return -(await this.actor.step(this.stated(states), place(step))).loss;
  }

  async follow(share: number): Promise<void> {
    const [critic, actor] = [await weightsOf(this.critic), await weightsOf(this.actor)];
    await this.actor.mask(critic);
    if (share === 0) return;
    const moved = new Map<string, Tensor>();
    for (const [name, { type, data }] of [...critic, ...actor]) {
      const before = this.followers.get(name)?.data ?? data;
      const next = Float32Array.from(data, (x, i) => before[i]! + share * (x - before[i]!));
      moved.set(name, { type, data: next });
    }
    await this.put(moved);
  }

  async save(): Promise<Weights> {
    const [critic, actor] = [await this.critic.state(), await this.actor.state()];
    return new Map([...critic, ...actor, ...[...this.followers].map(([n, t]) => [FOLLOWER + n, t] as const)]);
  }

  async restore(tensors: Weights): Promise<void> {
    await this.critic.restore(tensors);
    await this.actor.restore(tensors);
    await this.put(under(FOLLOWER, tensors));
    await this.follow(0);
  }

  dispose(): void {
    for (const trainer of [this.critic, this.actor, this.follower]) trainer.dispose();
  }

  /** Weights of both followers. */
  private async put(followers: Weights): Promise<void> {
    this.followers = followers;
    const own = await this.follower.state();
    await this.follower.restore(new Map([...own].map(([name, t]) => [name, followers.get(name) ?? t])));
    await this.follower.mask(new Map([...followers].filter(([name]) => !own.has(name))));
  }

  private stated(states: readonly (readonly number[])[]) {
    return { state: Float32Array.from(states.flat()), target: new Float32Array(states.length) };
  }
}
