/** The table: means over seeds with their spread, and what may be said of their differences to LoRA without a mask. */
import { deviation, mean, pooled } from '../statistics.js';
import type { Outcome } from './phase.js';
import { phaseName, ROWS, type RowName, type Settings, sourceOf, TITLES } from './plan.js';

/** A row of one seed, put together from its phases. */
export interface Entry {
  readonly row: RowName;
  readonly seed: number;
  readonly mae: number;
  readonly rmse: number;
  /** Shares that are zero in what ships: of what may be pruned, and of the whole encoder. */
  readonly pruned: number;
  readonly encoder: number;
  readonly parameters: number;
  /** Image-steps of both parts and of the search between them. */
  readonly images: number;
  readonly searched: number;
  readonly candidates: number;
  readonly seconds: number;
  readonly device: string;
}

/** All that a table says. */
export interface Results {
  readonly settings: Settings;
  /** Errors of always saying the mean of the training scenes. */
  readonly constant: { readonly mae: number; readonly rmse: number };
  readonly entries: readonly Entry[];
}

/** @returns undefined while something of it is missing */
export function entryOf(outcome: (name: string) => Outcome | undefined, row: RowName, seed: number): Entry | undefined {
  const first = outcome(phaseName(seed, sourceOf(row), 'first'));
  const rest = outcome(phaseName(seed, row, 'rest'));
  const search = outcome(phaseName(seed, row, 'search'));
  if (!first || rest?.mae === undefined || rest.rmse === undefined) return undefined;
  const { zeros } = rest;
  const share = (part: { zeros: number; elements: number } | undefined): number =>
    part ? part.zeros / part.elements : 0;
  return {
    ...{ row, seed, mae: rest.mae, rmse: rest.rmse, device: rest.device },
    pruned: share(zeros),
    encoder: share(zeros?.backbone),
    parameters: rest.parameters ?? 0,
    images: first.trained + (search?.images ?? 0) + rest.trained,
    searched: search?.images ?? 0,
    candidates: search?.candidates ?? 0,
    seconds: first.seconds + (search?.seconds ?? 0) + rest.seconds,
  };
}

const around = (numbers: readonly number[], digits: number): string =>
  numbers.length < 2
    ? mean(numbers).toFixed(digits)
    : `${mean(numbers).toFixed(digits)} ± ${deviation(numbers).toFixed(digits)}`;

/** What a row's errors are beside those of LoRA without a mask. That one is better of three seeds nobody knows. */
function beside(own: readonly number[], dense: readonly number[]): string {
  const difference = mean(own) - mean(dense);
  const sign = difference < 0 ? '−' : '+';
  const text = `${sign}${Math.abs(difference).toFixed(2)}`;
  if (own.length < 2 || dense.length < 2) return `${text}, spread unknown`;
  const spread = pooled(deviation(own), deviation(dense));
  return Math.abs(difference) <= spread ? `${text}, noise` : `${text}, spread ${spread.toFixed(2)}`;
}

/** As Markdown. */
export function markdown({ entries, settings, constant }: Results): string {
  const of = (row: RowName): Entry[] => entries.filter((e) => e.row === row);
  const dense = of('lora').map((e) => e.mae);
  const lines = ROWS.filter((row) => of(row).length > 0).map((row) => {
    const own = of(row);
    const each = (pick: (e: Entry) => number): number[] => own.map(pick);
    const all = [...new Set(each((e) => e.images))];
    return [
      TITLES[row],
      String(own.length),
      around(
        each((e) => 100 * e.pruned),
        1,
      ),
      around(
        each((e) => 100 * e.encoder),
        1,
      ),
      around(
        each((e) => e.mae),
        2,
      ),
      around(
        each((e) => e.rmse),
        2,
      ),
      row === 'lora' || dense.length === 0
        ? ''
        : beside(
            each((e) => e.mae),
            dense,
          ),
      each((e) => e.mae)
        .map((x) => x.toFixed(2))
        .join(', '),
      all.length === 1 ? String(all[0]) : `${Math.min(...all)} to ${Math.max(...all)}`,
      own.some((e) => e.searched > 0)
        ? `${each((e) => e.searched).join(', ')} (${each((e) => e.candidates).join(', ')})`
        : '',
      own[0]!.parameters.toLocaleString('en-US'),
      mean(each((e) => e.seconds)).toFixed(0),
    ];
  });
  const header = [
    'row',
    'seeds',
    'zeros of the prunable, %',
    'of the encoder, %',
    'MAE',
    'RMSE',
    'MAE beside LoRA',
    'MAE of each seed',
    'image-steps',
    'of these searched (candidates)',
    'trained',
    's',
  ];
  const devices = [...new Set(entries.map((e) => e.device))].join(' and ');
  return [
    ...[header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`),
    '',
    `Always saying the mean of the training scenes: MAE ${constant.mae.toFixed(2)}, RMSE ${constant.rmse.toFixed(2)}. ${settings.train} + ${settings.val} + ${settings.test} scenes of ${settings.size} x ${settings.size}, on ${devices}.`,
  ].join('\n');
}
