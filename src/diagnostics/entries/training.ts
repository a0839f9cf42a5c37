/** Messages ESP11xx: runs of training. What is wrong with the data is ESP10xx (data.ts). */
import { entry } from './define.js';

export const TRAINING = {
  ESP1101: entry<{ param: string; operator: string; more: number }>({
    title: 'A trained parameter without a gradient',
    message: (a) =>
      `the loss gives \`${a.param}\` no gradient${a.operator === '' ? ': it does not depend on it' : `: \`${a.operator}\` passes none on`}${a.more > 0 ? `, and so for ${a.more} more` : ''}`,
    help: () => ['Leave it out of what is trained, or let the loss depend on it.'],
    explain: `Everything that is trained has to change the loss, by operators that have a derivative: \`stop_gradient\`, comparisons, whole numbers and
\`argmax\` pass no gradient on. A parameter that would never move is most likely a slip, so nothing is trained.`,
  }),
  ESP1102: entry<{ batch: number; most: number; parts: number }>({
    title: 'A batch that is too large for one pass',
    message: (a) => `a step takes at most ${a.most} samples at once here, and ${a.batch} are asked for`,
    help: (a) => [
      `Write \`accumulate = ${a.parts}\`: the batch is computed in parts, and their gradients are added up.`,
    ],
    explain: `What a step keeps for its backward pass grows with the samples that it computes at once, and one buffer of a GPU holds only so much. With
\`accumulate\` a batch is computed in parts, one after another: the same gradient, but for rounding, and less memory.`,
  }),
  ESP1103: entry<{ loss: number; epoch: number; step: number }>({
    title: 'A loss that is not a number',
    message: (a) => `the loss is ${a.loss} at step ${a.step + 1} (epoch ${a.epoch + 1})`,
    help: () => ['Train with a smaller learning rate, warm up longer, or clip gradients (`clip = 1`).'],
    explain: `A loss that is infinite or not a number makes everything that is trained meaningless from then on. Mostly the steps were too large.`,
  }),
};
