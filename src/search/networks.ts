/** What agents compute with: networks that whoever runs the search has put on a GPU. The search holds none of their weights. */
import type { Tensor } from '../ir/types.js';
import type { FeatureMap } from './types.js';

/** What an agent sees of a candidate: maps of SIDE x SIDE, normalised, before pruning and after recovery, and the rate. */
export interface View {
  readonly before: FeatureMap;
  readonly after: FeatureMap;
  readonly rate: number;
}

/** Values of both actions. */
export type Values = readonly [retain: number, prune: number];

/** A step of learning: in each view, what the taken action was worth. */
export interface Lesson {
  readonly view: View;
  readonly action: 0 | 1;
  readonly value: number;
}

/** What networks keep between runs: weights and moments by name, whole. */
interface Kept {
  save(): Promise<ReadonlyMap<string, Tensor>>;
  restore(tensors: ReadonlyMap<string, Tensor>): Promise<void>;
  /** Frees the GPU. */
  dispose(): void;
}

export interface QNetwork extends Kept {
  values(views: readonly View[]): Promise<readonly Values[]>;
  /** One step of the optimiser by the square error of the taken actions. @param step how many came before @returns the loss before it */
  learn(lessons: readonly Lesson[], step: number): Promise<number>;
}

/** States are lists of numbers of one length; actions are from 0 to 1. */
export interface ActorCritic extends Kept {
  /** What the actor does. */
  act(states: readonly (readonly number[])[]): Promise<readonly number[]>;
  /** What the followers of both networks expect where the actor's follower acts. */
  expect(states: readonly (readonly number[])[]): Promise<readonly number[]>;
  /** A step of the critic towards what states and actions turned out to be worth. @returns the loss before it */
  learnCritic(
    states: readonly (readonly number[])[],
    actions: readonly number[],
    worth: readonly number[],
    step: number,
  ): Promise<number>;
  /** A step of the actor towards what the critic values. @returns the mean value before it */
  learnActor(states: readonly (readonly number[])[], step: number): Promise<number>;
  /** The actor's copy of the critic becomes the critic, and followers move so far towards what they follow. */
  follow(share: number): Promise<void>;
}

export interface QOptions {
  readonly lr: number;
  readonly weightDecay: number;
  readonly batch: number;
  readonly seed: number;
}

export interface ActorCriticOptions {
  /** Numbers of a state. */
  readonly numbers: number;
  readonly lr: number;
  readonly lrCritic: number;
  readonly batch: number;
  readonly seed: number;
}

/** Who makes them. */
export interface Networks {
  q(options: QOptions): Promise<QNetwork>;
  actorCritic(options: ActorCriticOptions): Promise<ActorCritic>;
}
