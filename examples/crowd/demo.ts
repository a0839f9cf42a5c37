/**
 * `npm run demo:e3rp`: scenes with known counts are made; MobileSAM's encoder, with its real weights, learns to count in them by LoRA and a counting head; an agent
 * finds out how much of the encoder can be pruned, by how well what it gives recovers; what is left is trained to the end, compiled with its zeros, and counts
 * scenes that nothing was learnt from. A small version: a few scenes of 128 x 128.
 */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openGpu } from '../../runtime/node/driver.js';
import {
  compile,
  countIn,
  counterOf,
  decodeImage,
  densityOverlay,
  load,
  train,
  writeReport,
} from '../../src/api/index.js';
import { encodePng } from './png.js';
import { type Annotations, DEFAULTS, writeScenes } from './scenes.js';

const SPEC = join(import.meta.dirname, 'crowd.peft');
const SCENES = {
  ...DEFAULTS,
  scenes: { train: 32, val: 8, test: 12 },
  size: 128,
  things: [1, 24],
  near: [16, 20],
  count: ['digits'],
  others: [],
  distractors: 0,
} as const;
/** Overlays of the picture beside one another, and pixels of each. */
const ACROSS = 4;

const began = performance.now();
const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s  `;
const say = (text: string): void => console.log(seconds() + text);
const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

mkdirSync('out', { recursive: true });
const folder = mkdtempSync(join('out', 'demo-e3rp-'));
const scenes = join(folder, 'scenes');
const written = await writeScenes(scenes, SCENES);
const counts = ({ images }: Annotations): number[] => images.map((image) => image.points.length);
const mean = (list: readonly number[]): number => list.reduce((sum, x) => sum + x, 0) / list.length;
const apart = (list: readonly number[], of: (i: number) => number): number =>
  mean(list.map((x, i) => Math.abs(x - of(i))));
const { driver } = await openGpu();
say(
  `${written.train.images.length} scenes to learn from, ${written.val.images.length} to select by, ${written.test.images.length} to count at the end; on ${driver.name}`,
);

const text = readFileSync(SPEC, 'utf8').replace('"../../out/scenes"', JSON.stringify(resolve(scenes)));
const run = join(folder, 'run');
const scored: { mae?: number | undefined } = {};
for await (const event of train({ text, path: SPEC }, { out: run })) {
  if (event.kind === 'epoch')
    say(
      `epoch ${event.epoch + 1}: loss ${event.train.loss.toFixed(4)}, mean absolute error ${event.validation!.mae!.toFixed(2)} of validation scenes`,
    );
  if (event.kind === 'candidate')
    say(
      `candidate ${event.number}: ${percent(event.zeros! / event.elements!)} pruned, similarity ${event.similarity!.toFixed(4)}${event.again ? '' : ' after it recovered'}: ${event.action}, reward ${event.reward!.toFixed(4)}`,
    );
  if (event.kind === 'pruned')
    say(
      `${percent(event.zeros / event.elements)} of ${event.elements.toLocaleString('en-US')} weights are pruned: ${event.why} (${event.candidates} candidates, ${event.images} image-steps)`,
    );
  if (event.kind === 'test') scored.mae = event.score.mae;
}

const truth = counts(written.test);
const guess = mean(counts(written.train));
say(
  `test: mean absolute error ${scored.mae?.toFixed(2)}; ${apart(truth, () => guess).toFixed(2)} for who always says ${guess.toFixed(1)}, the mean of the training scenes`,
);
const compiled = await compile(run, { golden: false });
const { zeros } = compiled.program.summary;
if (zeros?.backbone)
  say(
    `compiled: ${zeros.zeros.toLocaleString('en-US')} of ${zeros.elements.toLocaleString('en-US')} prunable weights are zero in what ships (${percent(zeros.zeros / zeros.elements)}), ${percent(zeros.backbone.zeros / zeros.backbone.elements)} of the whole encoder`,
  );

const session = await load(compiled);
const counter = counterOf(session);
const found: number[] = [];
const down = Math.ceil(truth.length / ACROSS);
const sheet = { width: 0, height: 0, data: new Uint8Array(0) };
for (const [i, { file }] of written.test.images.entries()) {
  const picture = await decodeImage(join(scenes, file));
  const counted = await countIn(counter, picture);
  found.push(counted.count);
  const drawn = densityOverlay(picture, counted.density, { count: counted.count, truth: truth[i]! });
  if (i === 0)
    Object.assign(sheet, {
      width: ACROSS * drawn.width,
      height: down * drawn.height,
      data: new Uint8Array(3 * ACROSS * drawn.width * down * drawn.height),
    });
  const [left, top] = [(i % ACROSS) * drawn.width, Math.floor(i / ACROSS) * drawn.height];
  for (let y = 0; y < drawn.height; y++)
    for (let x = 0; x < drawn.width; x++)
      for (let c = 0; c < 3; c++)
        sheet.data[3 * ((top + y) * sheet.width + left + x) + c] = drawn.data[4 * (y * drawn.width + x) + c]!;
}
session.dispose();
const picture = join(folder, 'counted.png');
writeFileSync(picture, encodePng(sheet));
const report = await writeReport(run);
say(
  `the compiled program counts them with a mean absolute error of ${apart(found, (i) => truth[i]!).toFixed(2)}: ${found.map((x, i) => `${x.toFixed(1)} of ${truth[i]}`).join(', ')}`,
);
say(`${picture} shows where; ${report.path} is the run's report, ${join(run, 'search.svg')} its search`);
