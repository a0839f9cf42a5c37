/** What is said while steps are taken: loss and accuracy of the epoch so far, images a second, and the time that is left. */
import { percent } from '../api/report/numbers.js';
import type { StepEvent } from '../api/train/events.js';

/** Seconds as people say them. */
export function clock(seconds: number): string {
  const s = Math.round(seconds);
  return s < 60
    ? `${s} s`
    : s < 3600
      ? `${Math.floor(s / 60)} min ${s % 60} s`
      : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

/**
 * The line for each step of a run of so many epochs, and the share of the steps that are done. Losses and accuracies are means over the samples of the epoch that
 * were seen here: of one that is gone on with in its middle, those since then.
 */
export function stepTexts(epochs: number, perEpoch: number): (event: StepEvent) => { text: string; share: number } {
  const steps = epochs * perEpoch;
  let [first, samples, epoch] = [-1, 0, -1];
  let sum = { loss: 0, right: 0, samples: 0 };
  return (event) => {
    if (first < 0) first = event.step;
    if (event.epoch !== epoch) [epoch, sum] = [event.epoch, { loss: 0, right: 0, samples: 0 }];
    const n = event.samples;
    samples += n;
    sum.loss += n * event.loss;
    sum.right += n * (event.accuracy ?? 0);
    sum.samples += n;
    const left = (event.seconds / (event.step - first + 1)) * Math.max(0, steps - event.step - 1);
    const text = [
      `epoch ${epoch + 1}/${epochs}`,
      `loss ${(sum.loss / sum.samples).toFixed(4)}`,
      ...(event.accuracy === undefined ? [] : [`${percent(sum.right / sum.samples)} right`]),
      `${(samples / Math.max(event.seconds, 1e-9)).toFixed(1)} images/s`,
      `${clock(left)} left`,
    ].join(', ');
    return { text, share: (event.step + 1) / steps };
  };
}
