/** The curves of a run, drawn by uPlot: the loss of each step, and after each epoch how many of the examples that were held out are right. */
import './language.js';
import uPlot from 'uplot';
import type { TrainEvent } from '../../../src/api/browser/index.js';

const HEIGHT = 210;
const GRID = { grid: { stroke: '#eef0f3' }, ticks: { stroke: '#dfe4ea' }, stroke: '#5b6675' };
const percent = (share: number): string => `${Math.round(100 * share)}%`;

export class Chart {
  private readonly plot: uPlot;
  private steps: number[] = [];
  private losses: number[] = [];
  private accuracies: (number | null)[] = [];

  constructor(place: HTMLElement) {
    const width = (): number => Math.max(220, place.clientWidth);
    this.plot = new uPlot(
      {
        width: width(),
        height: HEIGHT,
        cursor: { points: { size: 6 } },
        scales: { x: { time: false }, loss: { range: (_, __, most) => [0, most || 1] }, share: { range: [0, 1] } },
        axes: [
          { ...GRID, size: 30, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] },
          { ...GRID, scale: 'loss', size: 44 },
          { ...GRID, grid: { show: false }, scale: 'share', side: 1, size: 54, values: (_, all) => all.map(percent) },
        ],
        series: [
          { label: 'step', value: (_, v) => (v == null ? '' : String(v)) },
          { label: 'loss', scale: 'loss', stroke: '#1f5fbf', width: 1.5, value: (_, v) => v?.toFixed(4) ?? '' },
          {
            label: 'right, of those held out',
            scale: 'share',
            stroke: '#d4660c',
            width: 2,
            spanGaps: true,
            points: { show: true, size: 6 },
            value: (_, v) => (v == null ? '' : percent(v)),
          },
        ],
      },
      [[], [], []],
      place,
    );
    new ResizeObserver(() => this.plot.setSize({ width: width(), height: HEIGHT })).observe(place);
  }

  clear(): void {
    [this.steps, this.losses, this.accuracies] = [[], [], []];
    this.draw();
  }

  /** Of a run that goes on, steps that are done again take the place of those before. */
  add(event: TrainEvent): void {
    if (event.kind === 'step') {
      const at = this.steps.findIndex((step) => step > event.step);
      if (at >= 0) for (const list of [this.steps, this.losses, this.accuracies]) list.length = at;
      this.steps.push(event.step + 1);
      this.losses.push(event.loss);
      this.accuracies.push(null);
    } else if (event.kind === 'epoch' && event.validation?.accuracy !== undefined)
      this.accuracies[this.accuracies.length - 1] = event.validation.accuracy;
    else return;
    this.draw();
  }

  private draw(): void {
    this.plot.setData([this.steps, this.losses, this.accuracies]);
  }
}
