/** Numbers as people read them. */
import type { Score } from '../train/events.js';

export function count(n: number): string {
  return Math.round(n).toLocaleString('en-US');
}

/** 12.3 M, 4.56 G: three significant digits. */
export function scaled(n: number, unit = ''): string {
  const steps: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  for (const [size, letter] of steps) if (n >= size) return `${(n / size).toPrecision(3)} ${letter}${unit}`;
  return `${Math.round(n)} ${unit}`.trimEnd();
}

/** Bytes in binary units. */
export function bytes(n: number): string {
  if (n >= 2 ** 30) return `${(n / 2 ** 30).toFixed(2)} GiB`;
  if (n >= 2 ** 20) return `${(n / 2 ** 20).toFixed(1)} MiB`;
  if (n >= 2 ** 10) return `${(n / 2 ** 10).toFixed(1)} KiB`;
  return `${n} B`;
}

export const percent = (x: number): string => `${(100 * x).toFixed(2)}%`;

/** What was measured over some samples. */
export const scoreText = ({ loss, accuracy, map, mae, rmse }: Score): string =>
  [
    `loss ${loss.toFixed(4)}`,
    ...(map === undefined ? [] : [`mean average precision ${percent(map)}`]),
    ...(accuracy === undefined ? [] : [`${percent(accuracy)} right`]),
    ...(mae === undefined || rmse === undefined ? [] : [`MAE ${mae.toFixed(2)}`, `RMSE ${rmse.toFixed(2)}`]),
  ].join(', ');
