/**
 * Where a step is in the schedule. A run with a search has two stages, what comes before it and what comes after. `fresh`, as E3RP has it, the second begins with a
 * new optimiser: each stage then runs through the whole schedule, in as many epochs as it has, and the optimiser counts its steps from the beginning of its stage.
 */
import type { StepPlace, TrainSettings } from '../../dsl/elaborated.js';
import type { RunPlace } from '../train/events.js';

/** @param perEpoch steps of an epoch */
export function stepPlace(
  { epochs, search }: Pick<TrainSettings, 'epochs' | 'search'>,
  perEpoch: number,
  { epoch, step, stage, pruned }: Pick<RunPlace, 'epoch' | 'step' | 'stage' | 'pruned'>,
): StepPlace {
  if (!search?.fresh) return { epoch, step, steps: perEpoch * epochs };
  const from = stage ?? { epoch: 0, step: 0 };
  const to = pruned ? epochs : search.after;
  const own = to - from.epoch;
  return { epoch: epoch - from.epoch, step: step - from.step, steps: perEpoch * own, epochs: own };
}
