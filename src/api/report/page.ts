/**
 * A run's report as one page that needs nothing else: uPlot, whose text it carries, draws its curves from data that stand in it. Its own policy lets it
 * load nothing, and every text of the run is escaped, since names of files and classes are whatever they are.
 */
import { figureOf, type Score } from '../train/events.js';
import { prefixText } from '../train/prefix.js';
import type { TrainPlan } from '../train/program.js';
import type { Prediction } from '../train/run.js';
import type { RunReport, RunState } from './figures.js';
import { Html, html, jsonIn } from './html.js';
import { PRELUDE, SCRIPT, STYLE } from './look.js';
import { bytes, count, scaled } from './numbers.js';
import { searchSection } from './search.js';

/** The texts of the library that draws. */
export interface ChartLibrary {
  readonly script: string;
  readonly style: string;
}

/** A picture, small: RGB, rows from the top, in base64. */
export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly pixels: string;
}

/** Pictures of items by name; or why there are none. */
export type Thumbnails = ReadonlyMap<string, Thumbnail> | string;

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

export function reportPage(report: RunReport, library: ChartLibrary, thumbnails: Thumbnails): string {
  const { facts, charts } = report;
  const shown = new Map<string, number>();
  const pictures: Thumbnail[] = [];
  const pictureOf = (item: string): number | undefined => {
    const picture = typeof thumbnails === 'string' ? undefined : thumbnails.get(item);
    if (picture && !shown.has(item)) shown.set(item, pictures.push(picture) - 1);
    return shown.get(item);
  };
  const parts = [
    heading(report),
    tiles(report),
    html`<div class="charts">${charts.map(
      ({ title, note }, i) =>
        html`<section><h2>${title}</h2><div id="chart-${i}"></div>${note && html`<p class="note">${note}</p>`}</section>`,
    )}${selection(report)}</div>`,
    epochTable(report),
    searchSection(report.search),
    ...confusion(report),
    mistakes(report, thumbnails, pictureOf),
    counting(report, thumbnails, pictureOf),
    budget(report),
    settings(report),
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${facts.model}: report of a run</title>
<style>${new Html(library.style)}${new Html(STYLE)}</style>
</head>
<body>
<main>
${parts}
</main>
<script type="application/json" id="data">${jsonIn({ charts, pictures })}</script>
<script>${new Html(PRELUDE)}${new Html(library.script)}</script>
<script>${new Html(SCRIPT)}</script>
</body>
</html>
`.text;
}

// ---- Text of figures -------------------------------------------------------------------------------------------------

const percent = (x: number): string => (Number.isNaN(x) ? '–' : `${(100 * x).toFixed(2)}%`);
const countText = (x: number): string => x.toFixed(2);
const lossText = (x: number): string => x.toPrecision(4);

/** What a score is judged by. */
const mainFigure = ({ map, accuracy, mae, loss }: Score): string => {
  if (mae !== undefined) return countText(mae);
  const share = map ?? accuracy;
  return share === undefined ? lossText(loss) : percent(share);
};

function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const STATES: Readonly<Record<RunState, readonly [word: string, sentence: string]>> = {
  epochs: ['finished', 'All epochs were run.'],
  patience: ['finished', 'The validation got no better for a while, so it ended early.'],
  stopped: ['stopped', 'It was stopped, and can be gone on with: `espalier train ... --resume`.'],
  'under way': [
    'under way',
    'A process is training in this folder; this is as far as it was when the report was written.',
  ],
  'broken off': [
    'broken off',
    'Its process ended without a word; it can be gone on with: `espalier train ... --resume`.',
  ],
};

const table = (rows: readonly (readonly [name: string, value: Html | string])[]): Html =>
  html`<table class="facts">${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</table>`;

// ---- Parts of the page -----------------------------------------------------------------------------------------------

function heading({ facts, state, steps, seconds }: RunReport): Html {
  const [word, sentence] = STATES[state];
  const open = word === 'finished' ? '' : ' open';
  return html`<header><h1>${facts.model}<span class="state${open}">${word}</span></h1>
<p>${facts.spec} · ${count(steps)} steps in ${duration(seconds)} on ${facts.pins.device} · Espalier ${facts.compiler}</p>
<p>${sentence}</p></header>`;
}

function tiles({ facts, selected, test, epochs }: RunReport): Html {
  const plan = facts.plan as unknown as TrainPlan;
  const list: [figure: string, what: string, more: string][] = [];
  if (test)
    list.push([
      mainFigure(test),
      `test ${figureOf(test)}`,
      `${count(test.samples)} items; nothing was selected on them`,
    ]);
  if (selected?.validation)
    list.push([
      mainFigure(selected.validation),
      `validation ${figureOf(selected.validation)}`,
      `after epoch ${selected.epoch + 1}, which was selected by it`,
    ]);
  else if (selected)
    list.push([
      mainFigure(selected.train),
      `training ${figureOf(selected.train)}`,
      `in epoch ${selected.epoch + 1}, while it was trained`,
    ]);
  list.push([
    percent(plan.trained / plan.total),
    'of the parameters are trained',
    `${count(plan.trained)} of ${count(plan.total)}`,
  ]);
  list.push([
    bytes(plan.frozenBytes + plan.stateBytes + plan.stepBytes),
    'of GPU memory, as planned',
    `for ${plan.part} items at once`,
  ]);
  const last = epochs.at(-1);
  if (last)
    list.push([
      `${last.rate.toFixed(1)} /s`,
      'items trained on',
      `waiting for data ${percent(last.waited)} of the time`,
    ]);
  return html`<div class="tiles">${list.map(([figure, what, more]) => html`<div class="tile"><b>${figure}</b>${what}<span>${more}</span></div>`)}</div>`;
}

function selection({ facts: { data }, selected, test, epochs }: RunReport): Html {
  const origin = data.split ? 'taken out of the training data by the seed' : 'a part of the data of its own';
  const rows: [string, string][] = [
    ['trained on', `${count(data.train)} items`],
    [
      'validated on',
      data.validation === 0 ? 'nothing: there is no validation split' : `${count(data.validation)} items, ${origin}`,
    ],
    [
      'tested on',
      data.test === 0
        ? 'nothing: the data have no test split'
        : `${count(data.test)} items${test ? '' : ', when the run has ended'}`,
    ],
  ];
  if (selected) rows.push(['selected', `epoch ${selected.epoch + 1} of ${epochs.length}, by ${selected.by}`]);
  const caution =
    data.validation === 0
      ? 'The weights are those of the last epoch; nothing was selected on anything.'
      : `Epochs were selected on the validation split, so its figure is a little too good.${test ? ' The test split was looked at once, after that.' : ''}`;
  return html`<section><h2>What was selected on what</h2>${table(rows)}<p class="note">${caution}</p></section>`;
}

function epochTable({ epochs, selected }: RunReport): Html {
  if (epochs.length === 0) return html`<section><h2>Epochs</h2><p>No epoch has ended yet.</p></section>`;
  const [first] = epochs;
  const classes = first!.train.accuracy !== undefined;
  const counts = first!.train.mae !== undefined;
  const cells = (s: Score | undefined): Html[] =>
    s === undefined
      ? []
      : [
          html`<td>${lossText(s.loss)}</td>`,
          ...(classes ? [html`<td>${percent(s.accuracy!)}</td>`] : []),
          ...(counts ? [html`<td>${countText(s.mae!)}</td>`, html`<td>${countText(s.rmse!)}</td>`] : []),
        ];
  const heads = (what: string): Html[] => [
    html`<th>${what} loss</th>`,
    ...(classes ? [html`<th>${what} accuracy</th>`] : []),
    ...(counts ? [html`<th>${what} MAE</th>`, html`<th>${what} RMSE</th>`] : []),
  ];
  return html`<section><h2>Epochs</h2><div class="scroll"><table class="grid"><thead><tr><th>epoch</th><th>steps</th>${heads('training')}${
    first!.validation ? heads('validation') : []
  }</tr></thead><tbody>${epochs.map(
    (e) =>
      html`<tr${new Html(e.epoch === selected?.epoch ? ' class="selected"' : '')}><td>${e.epoch + 1}</td><td>${count(e.steps)}</td>${cells(e.train)}${cells(e.validation)}</tr>`,
  )}</tbody></table></div></section>`;
}

/** Beyond this many classes a table is no longer read; the commonest mistakes say more. */
const TABLE_CLASSES = 30;

function confusion({ evaluation }: RunReport): Html[] {
  if (!evaluation) return [];
  const { classes, confusion: counts, split, accuracy, images } = evaluation;
  const perClass = html`<div class="scroll"><table class="grid"><thead><tr><th>class</th><th>items</th><th>precision</th><th>recall</th></tr></thead><tbody>${classes.map(
    (c) =>
      html`<tr><td class="name">${c.label}</td><td>${c.support}</td><td>${percent(c.precision)}</td><td>${percent(c.recall)}</td></tr>`,
  )}</tbody></table></div>`;
  const title = html`<h2>Confusion on the ${split} split</h2><p class="soft">${percent(accuracy)} of ${count(images)} items right. Rows: what they are; columns: what the model takes them for.</p>`;
  if (classes.length > TABLE_CLASSES)
    return [
      html`<section>${title}<p class="soft">Of so many classes only those that are mistaken are listed, below.</p><details><summary>Precision and recall of ${classes.length} classes</summary>${perClass}</details></section>`,
    ];
  const matrix = html`<div class="scroll"><table class="confusion"><thead><tr><th></th>${classes.map((c) => html`<th scope="col">${c.label}</th>`)}</tr></thead><tbody>${counts.map(
    (row, i) =>
      html`<tr><th scope="row">${classes[i]!.label}</th>${row.map((n, j) => cell(n, classes[i]!.support, i === j))}</tr>`,
  )}</tbody></table></div>`;
  return [html`<section>${title}<div class="columns">${matrix}${perClass}</div></section>`];
}

/** As dark as its share of the row: blue where it is right, red where it is not, which is seen from few on. */
function cell(n: number, support: number, right: boolean): Html {
  const share = n / Math.max(support, 1);
  const alpha = n === 0 ? 0.04 : right ? 0.1 + 0.8 * share : Math.min(1, 0.15 + 3 * share);
  const colour = right ? '31,95,191' : n === 0 ? '91,102,117' : '179,38,30';
  return html`<td style="background:rgba(${colour},${alpha.toFixed(3)});color:${alpha > 0.5 ? '#fff' : n === 0 ? '#a7afba' : '#1d2430'}">${n}</td>`;
}

/** Names of one pair of classes beyond this many are counted only. */
const NAMES = 200;
/** Pairs of classes that are seen at once. */
const PAIRS = 12;

function mistakes(
  { evaluation }: RunReport,
  thumbnails: Thumbnails,
  pictureOf: (item: string) => number | undefined,
): Html | undefined {
  if (!evaluation) return undefined;
  const { wrong, split } = evaluation;
  if (wrong.length === 0)
    return html`<section><h2>Mistakes</h2><p>None: every item of the ${split} split is right.</p></section>`;
  const pairs = new Map<string, Prediction[]>();
  for (const p of wrong) {
    const key = JSON.stringify([p.actual, p.predicted]);
    pairs.set(key, [...(pairs.get(key) ?? []), p]);
  }
  const groups = [...pairs.values()].sort((a, b) => b.length - a.length);
  const figures = (list: readonly Prediction[]): Html[] =>
    list.flatMap(({ item, predicted, actual }) => {
      const picture = pictureOf(item);
      if (picture === undefined) return [];
      return [
        html`<figure><canvas id="picture-${picture}"></canvas>${actual} <em>taken for ${predicted}</em><br><span class="soft">${item}</span></figure>`,
      ];
    });
  const first = figures(wrong.filter((p) => typeof thumbnails !== 'string' && thumbnails.has(p.item)));
  return html`<section><h2>Mistakes</h2><p class="soft">${count(wrong.length)} of ${count(evaluation.images)} items of the ${split} split, the commonest pairs first.${
    typeof thumbnails === 'string' ? ` ${thumbnails}` : ''
  }</p>${first.length > 0 ? html`<div class="pictures">${first}</div>` : undefined}${groups.slice(0, PAIRS).map(pairOf)}${
    groups.length > PAIRS
      ? html`<details><summary>${groups.length - PAIRS} rarer pairs</summary>${groups.slice(PAIRS).map(pairOf)}</details>`
      : undefined
  }</section>`;
}

/** Names of what is of one class and was taken for another. */
function pairOf(list: readonly Prediction[]): Html {
  const { actual, predicted } = list[0]!;
  const names = list.slice(0, NAMES).map(({ item }) => html`<li>${item}</li>`);
  const more = list.length > NAMES ? html`<p class="note">and ${list.length - NAMES} more</p>` : undefined;
  return html`<details><summary><b>${actual}</b> taken for <b>${predicted}</b>: ${list.length}</summary><ul class="items">${names}</ul>${more}</details>`;
}

/** Of more pictures than this the others are in predictions.json only. */
const COUNTED = 200;

function counting(
  { counting: found }: RunReport,
  thumbnails: Thumbnails,
  pictureOf: (item: string) => number | undefined,
): Html | undefined {
  if (!found) return undefined;
  const { split, mae, rmse, worst } = found;
  const figures = worst.flatMap(({ item, count: n, predicted }) => {
    const picture = pictureOf(item);
    if (picture === undefined) return [];
    return [
      html`<figure><canvas id="picture-${picture}"></canvas>${n} <em>counted as ${countText(predicted)}</em><br><span class="soft">${item}</span></figure>`,
    ];
  });
  const more =
    worst.length > COUNTED
      ? html`<p class="note">and ${count(worst.length - COUNTED)} more, in the run's predictions.json</p>`
      : undefined;
  return html`<section><h2>Counts on the ${split} split</h2><p class="soft">Mean absolute error ${countText(mae)}, root of the mean squared error ${countText(rmse)}, over ${count(worst.length)} pictures, those that are most wrong first${worst[0]?.density ? ', with heat where the model counts' : ''}.${
    typeof thumbnails === 'string' ? ` ${thumbnails}` : ''
  }</p>${figures.length > 0 ? html`<div class="pictures counted">${figures}</div>` : undefined}<div class="scroll"><table class="grid"><thead><tr><th>picture</th><th>there are</th><th>counted</th><th>error</th></tr></thead><tbody>${worst
    .slice(0, COUNTED)
    .map(
      ({ item, count: n, predicted }) =>
        html`<tr><td class="name">${item}</td><td>${n}</td><td>${countText(predicted)}</td><td>${countText(predicted - n)}</td></tr>`,
    )}</tbody></table></div>${more}</section>`;
}

function budget({ facts }: RunReport): Html {
  // Runs of earlier versions computed nothing once.
  const plan = facts.plan as unknown as Omit<TrainPlan, 'prefixes'> & Partial<Pick<TrainPlan, 'prefixes'>>;
  const memory = [
    ['frozen weights', plan.frozenBytes, '#9fb3cc'],
    ['what is trained, its moments and averages', plan.stateBytes, '#1f5fbf'],
    [`a step of ${plan.part} items: activations, gradients, inputs`, plan.stepBytes, '#d4660c'],
  ] as const;
  const total = memory.reduce((sum, [, n]) => sum + n, 0);
  return html`<section><h2>Parameters and memory</h2>
<div class="bar">${memory.map(([name, n, colour]) => html`<i title="${name}" style="width:${((100 * n) / total).toFixed(3)}%;background:${colour}"></i>`)}</div>
<table class="facts">${memory.map(
    ([name, n, colour]) =>
      html`<tr><th scope="row"><span class="key" style="background:${colour}"></span>${name}</th><td>${bytes(n)}</td></tr>`,
  )}</table>
${table([
  ['each further item of a batch', bytes(plan.sampleBytes)],
  [
    'what an item leaves for the backward pass',
    `${bytes(plan.keptBytes)}, with ${plan.again} of ${plan.segments} segments computed again; if every weight were trained, ${bytes(plan.full.keptBytes)}`,
  ],
  ['weights, moments and averages if every weight were trained', bytes(plan.full.stateBytes)],
  [
    'parameters',
    `${count(plan.total)}, of which ${count(plan.trained)} are trained (${percent(plan.trained / plan.total)})`,
  ],
  [
    'a step',
    `${count(plan.dispatches)} dispatches, ${scaled(plan.flops.step, 'FLOP')} an item; the loss alone ${scaled(plan.flops.loss, 'FLOP')}`,
  ],
  ...(['step', 'loss'] as const).flatMap((of) => {
    const prefix = plan.prefixes?.[of];
    return prefix ? [['computed once', prefixText(of, prefix)] as const] : [];
  }),
])}</section>`;
}

function settings({ facts }: RunReport): Html {
  const { hashes, pins, set } = facts;
  const value = (v: unknown): Html => html`<code>${typeof v === 'string' ? v : JSON.stringify(v)}</code>`;
  const options = Object.entries(set).map(([k, v]) => [`--set ${k}`, value(v)] as const);
  return html`<section><h2>Settings</h2>${table([...options, ...Object.entries(facts.settings).map(([k, v]) => [k, value(v)] as const)])}
<h3>What has to be the same to go on with it</h3>${table(Object.entries(hashes).map(([k, v]) => [`SHA-256 of the ${k}`, value(v)] as const))}
<h3>What has to be the same for the same bits</h3>${table(Object.entries(pins).map(([k, v]) => [k, value(v)] as const))}</section>`;
}
