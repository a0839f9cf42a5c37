/** `run` and `eval`: a compiled folder on real images. */
import { type Command, Option } from 'commander';
import { type Evaluation, evaluateRun, type RunEvaluation } from '../../api/index.js';
import { evaluateNeighbours } from '../../api/node/outputs/neighbours.js';
import { type ImageOutput, kindOfResults, OutputFile, rangeOf } from '../../api/node/outputs/outputs.js';
import { evaluateFolder, type ImagePrediction, predictImages, type Skipped } from '../../api/node/programs.js';
import { isRunFolder } from '../../api/node/run-folder.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { toJson } from '../../diagnostics/render.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { type CommandOutput, guarded, numberFor, report, showDiagnostics, textOf } from '../context.js';
import { EXIT } from '../exit.js';
import { count, csvLine, startProgress, table } from '../output.js';
import { hostFor } from '../spec.js';
import { onProgram, PROGRAM, type UseFlags, useOptions } from './opened.js';

const percent = (x: number) => (Number.isNaN(x) ? '-' : `${(100 * x).toFixed(1)}%`);

/** Beyond this many classes a table has no place in a terminal, and the commonest mistakes say more. */
const TABLE_CLASSES = 20;

/** The confusion table, or of many classes those that are confused most. */
export function confusionText({ classes, confusion }: Evaluation): string {
  const labels = classes.map((c) => c.label);
  if (labels.length <= TABLE_CLASSES) {
    const rows = labels.map((label, i) => [label, ...confusion[i]!]);
    return `confusion (rows: actual, columns: predicted)\n${table(rows, ['', ...labels])}`;
  }
  const wrong = confusion.flatMap((row, i) =>
    row.flatMap((n, j) => (n > 0 && i !== j ? [[labels[i]!, labels[j]!, n] as const] : [])),
  );
  if (wrong.length === 0) return 'no confusion: every image was recognised';
  const rows = wrong.sort((a, b) => b[2] - a[2]).slice(0, TABLE_CLASSES);
  return `commonest confusions (\`--json\` has the whole table)\n${table(rows, ['actual', 'predicted', 'images'])}`;
}

/** How results are printed as they come: what each is, what stands around them. */
interface Listing {
  readonly each: (prediction: ImagePrediction, index: number) => string;
  readonly before?: string;
  /** At the end, of how many. */
  readonly after?: (count: number) => string;
}

const JSON_LISTING: Listing = {
  each: (prediction, i) => `${i === 0 ? '[' : ','}${predictionJson(prediction)}`,
  after: (count) => (count === 0 ? '[]' : ']'),
};
const CSV_LISTING: Listing = {
  before: csvLine(['image', 'rank', 'class', 'probability']),
  each: ({ image, classes }) => classes.map((c, i) => csvLine([image, i + 1, c.label, c.probability])).join('\n'),
};
const TEXT_LISTING: Listing = {
  each: ({ image, classes, number, outputs }) => {
    if (number) return `${image}\n${table([[`  ${number.label}`, shown(number.value)]])}`;
    const rows = classes.map((c) => [`  ${c.label}`, percent(c.probability)]);
    return `${image}\n${rows.length > 0 ? table(rows) : outputsText(outputs)}`;
  },
};
/** Of what is no classifier: a row for each image, a column for each number. */
const CSV_OUTPUTS: Listing = {
  each: ({ image, outputs }, i) => {
    const all = Object.entries(outputs);
    const names = all.flatMap(([name, { values }]) => Array.from(values, (_, n) => `${name}.${n}`));
    const row = csvLine([image, ...all.flatMap(([, { values }]) => Array.from(values))]);
    return i === 0 ? `${csvLine(['image', ...names])}\n${row}` : row;
  },
};

/** Values of an output that a terminal shows. */
const FIRST = 6;
const shown = (x: number): string => (Number.isInteger(x) ? String(x) : x.toPrecision(4));

/** Shape, range and first values of each output. */
function outputsText(outputs: Readonly<Record<string, ImageOutput>>): string {
  const rows = Object.entries(outputs).map(([name, output]) => {
    const { min, max, mean, notFinite } = rangeOf(output);
    const { values } = output;
    const some = Array.from({ length: Math.min(FIRST, values.length) }, (_, i) => shown(values[i]!)).join(' ');
    const odd = notFinite > 0 ? `, ${notFinite} not finite` : '';
    return [
      `  ${name}`,
      `[${output.shape.join(', ')}]`,
      `${shown(min)} to ${shown(max)}, mean ${shown(mean)}${odd}: ${some}${values.length > FIRST ? ' ...' : ''}`,
    ];
  });
  return table(rows);
}

/** As JSON with each tensor on one line. What is not finite is a string, since JSON has no number for it. */
function predictionJson({ image, classes, number, outputs }: ImagePrediction): string {
  const named = Object.entries(outputs).map(([name, { shape, values }]) => {
    const list = Array.from(values, (x) => (Number.isFinite(x) ? x : String(x)));
    return `    ${JSON.stringify(name)}: {"shape": ${JSON.stringify(shape)}, "values": ${JSON.stringify(list)}}`;
  });
  const rest = { image, ...(number ? { number } : {}), classes };
  return `${JSON.stringify(rest, null, 2).slice(0, -2)},\n  "outputs": {\n${named.join(',\n')}\n  }\n}`;
}

interface RunFlags extends UseFlags {
  readonly top: number;
  readonly output?: string;
}

async function runCommand(
  dir: string,
  images: readonly string[],
  flags: RunFlags,
  output: CommandOutput,
): Promise<number> {
  let count = 0;
  try {
    return await onProgram(dir, flags, output, async (session, options, _, clear) => {
      const kind = kindOfResults(session);
      const csv = kind === 'outputs' || kind === 'number' ? CSV_OUTPUTS : CSV_LISTING;
      const { each, before, after } = flags.json ? JSON_LISTING : flags.csv ? csv : TEXT_LISTING;
      const file = flags.output === undefined ? undefined : new OutputFile(flags.output, session);
      for await (const prediction of predictImages(session, images, { ...options, top: flags.top })) {
        clear();
        if (file) {
          file.add(prediction.image, prediction.outputs);
          count++;
          continue;
        }
        if (count === 0 && before !== undefined) output.print(before);
        output.print(each(prediction, count++));
        if (!output.open()) return EXIT.ok;
      }
      if (file) output.print(`${count} images: wrote ${(await file.write()).join(' and ')}`);
      else if (after) output.print(after(count));
      return EXIT.ok;
    });
  } catch (error) {
    if (count === 0) throw error;
    // Results stand on standard output already, and diagnostics as JSON would not be of one piece with them.
    return report(error, output, false);
  }
}

interface EvalFlags extends UseFlags {
  readonly min?: number;
  readonly knn?: number;
  readonly train?: string;
}

async function evalCommand(
  dir: string,
  data: string | undefined,
  flags: EvalFlags,
  output: CommandOutput,
): Promise<number> {
  const wrong = (problem: string) => new EspalierError([diagnostic('ESP0922', { problem, command: 'eval' })]);
  if ((flags.knn === undefined) !== (flags.train === undefined))
    throw wrong(
      '`--knn K` and `--train FOLDER` go together: the neighbours are among the pictures of FOLDER/<class>/<image>',
    );
  if (isRunFolder(dir)) {
    if (flags.base !== undefined || flags.set || flags.model !== undefined)
      throw wrong('`--base`, `--set` and `--model` are of a spec, or of a folder in place of one; a run has its own');
    if (flags.knn !== undefined) throw wrong('`--knn` is of a compiled program; a run is evaluated by its own head');
    return evalRun(dir, data, flags, output);
  }
  if (data !== undefined) return evalProgram(dir, data, flags, output);
  throw wrong('a program needs a folder of images: FOLDER/<class>/<image>');
}

/** What figures are of: a split that nothing was selected on is something else than one that was, or than data of which nobody says what they are. */
function describeSplit({ split, data, score }: RunEvaluation): string {
  const items = `${count(score.samples)} items`;
  if (data !== undefined)
    return `${split === 'train' ? 'all' : `the ${split} split`} of ${data}, ${items}: whether the run was trained on them is not known`;
  return split === 'test'
    ? `the test split, ${items}: nothing was selected on it`
    : `the validation split, ${items}: epochs were selected on it, so the figures are a little too good`;
}

async function evalRun(
  run: string,
  data: string | undefined,
  flags: EvalFlags,
  output: CommandOutput,
): Promise<number> {
  const progress = startProgress();
  const skipped: Skipped[] = [];
  const warn = (d: Diagnostic): void => {
    progress.done();
    showDiagnostics([d], output, false);
  };
  try {
    const result = await evaluateRun(run, {
      host: hostFor(flags, progress.report),
      ...(data === undefined ? {} : { data }),
      progress: progress.report,
      warn,
      skipped: ({ id: path, diagnostics }) => {
        if (flags.strict) throw new EspalierError(diagnostics);
        skipped.push({ path, diagnostics });
        diagnostics.forEach(warn);
      },
    });
    progress.done();
    const { score, evaluation, classes, counts } = result;
    if (flags.json) {
      const named = skipped.map(({ path, diagnostics }) => ({ path, diagnostics: toJson(diagnostics, textOf) }));
      output.print(JSON.stringify({ ...result, skipped: named }, null, 2));
    } else {
      if (!flags.csv) output.print(`${describeSplit(result)}\nloss ${score.loss.toFixed(4)}`);
      if (evaluation) printFigures(evaluation, flags, output);
      if (classes) printPrecisions(score, classes, flags, output);
      if (counts) printCounts(score, counts, flags, output);
    }
    const missed = flags.min !== undefined && !((score.accuracy ?? Number.NaN) >= flags.min);
    return missed ? EXIT.differs : skipped.length > 0 ? EXIT.skipped : EXIT.ok;
  } finally {
    progress.done();
  }
}

function printFigures(result: Evaluation, { csv }: EvalFlags, output: CommandOutput): void {
  if (csv) {
    output.print(csvLine(['class', 'images', 'precision', 'recall']));
    for (const c of result.classes) output.print(csvLine([c.label, c.support, c.precision, c.recall]));
    return;
  }
  const rows = result.classes.map((c) => [c.label, c.support, percent(c.precision), percent(c.recall)]);
  output.print(`accuracy ${percent(result.accuracy)} (${result.correct} of ${result.images})\n`);
  output.print(`${table(rows, ['class', 'images', 'precision', 'recall'])}\n`);
  output.print(confusionText(result));
}

/** Of more images than this only the worst are printed; `--csv` and `--json` have all. */
const WORST = 20;

function printPrecisions(
  { map, accuracy }: RunEvaluation['score'],
  classes: NonNullable<RunEvaluation['classes']>,
  { csv }: EvalFlags,
  output: CommandOutput,
): void {
  const heading = ['class', 'images', 'average precision'];
  if (csv) {
    output.print(csvLine(heading));
    for (const c of classes) output.print(csvLine([c.label, c.support, c.averagePrecision]));
    return;
  }
  output.print(
    `mean average precision ${percent(map ?? Number.NaN)}, all labels right ${percent(accuracy ?? Number.NaN)}\n`,
  );
  output.print(
    table(
      classes.map((c) => [c.label, c.support, percent(c.averagePrecision)]),
      heading,
    ),
  );
}

function printCounts(
  { mae, rmse, samples }: RunEvaluation['score'],
  counts: NonNullable<RunEvaluation['counts']>,
  { csv }: EvalFlags,
  output: CommandOutput,
): void {
  if (csv) {
    output.print(csvLine(['image', 'count', 'predicted']));
    for (const { item, count, predicted } of counts) output.print(csvLine([item, count, predicted]));
    return;
  }
  const shown = (x: number | undefined): string => (x ?? Number.NaN).toFixed(2);
  output.print(`MAE ${shown(mae)}, RMSE ${shown(rmse)} over the counts of ${samples} images\n`);
  const worst = [...counts].sort((a, b) => Math.abs(b.predicted - b.count) - Math.abs(a.predicted - a.count));
  const rows = worst.slice(0, WORST).map(({ item, count, predicted }) => [item, count, shown(predicted)]);
  output.print(
    table(rows, [counts.length > WORST ? `the ${WORST} images that are most wrong` : 'image', 'count', 'predicted']),
  );
}

async function evalProgram(dir: string, folder: string, flags: EvalFlags, output: CommandOutput): Promise<number> {
  return onProgram(dir, flags, output, async (session, options, skipped, clear) => {
    const { knn: k, train } = flags;
    const result =
      k !== undefined && train !== undefined
        ? await evaluateNeighbours(session, folder, { ...options, k, train })
        : await evaluateFolder(session, folder, options);
    clear();
    if (flags.json) {
      const named = skipped.map(({ path, diagnostics }) => ({ path, diagnostics: toJson(diagnostics, textOf) }));
      output.print(JSON.stringify({ ...result, skipped: named }, null, 2));
    } else printFigures(result, flags, output);
    return flags.min !== undefined && result.accuracy < flags.min ? EXIT.differs : EXIT.ok;
  });
}

export function registerUse(program: Command, output: CommandOutput): void {
  useOptions(program.command('run'))
    .description(
      'run a compiled program on images and print the likeliest classes; of one that is no classifier its outputs: shape, range and first values',
    )
    .argument('<program>', PROGRAM)
    .argument('<image...>', 'images, or folders of images')
    .option(
      '--top <n>',
      'how many classes to print',
      (text) => numberFor('--top', text, { from: 1, to: 1000, whole: true }),
      5,
    )
    .addOption(
      new Option('--csv', 'as CSV: image, rank, class, probability; or a row of numbers for each image').conflicts(
        'json',
      ),
    )
    .addOption(
      new Option(
        '-o, --output <file>',
        'write all outputs and the names of the images: as .safetensors, or, of a program with one output, as .npy and .txt',
      ).conflicts(['json', 'csv']),
    )
    .action(
      guarded(output, (dir: string, images: string[], flags: RunFlags) => runCommand(dir, images, flags, output)),
    );

  useOptions(program.command('eval'))
    .description(
      'accuracy, per-class figures and a confusion table: of a compiled program on a folder of labelled images; of a run on its test split, also errors of counts',
    )
    .argument('<program>', `${PROGRAM}; a run is evaluated as it was trained`)
    .argument('[data]', 'images as FOLDER/<class>/<image>; for a run, any data that `train` reads, in place of its own')
    .addOption(new Option('--csv', 'the figures of each class, or the count of each image, as CSV').conflicts('json'))
    .option(
      '--knn <k>',
      'of a program that gives embeddings: classify by so many nearest pictures of --train',
      (text) => numberFor('--knn', text, { from: 1, to: 100_000, whole: true }),
    )
    .option('--train <folder>', 'with --knn: pictures of known classes, as FOLDER/<class>/<image>')
    .option('--min <accuracy>', 'exit 4 if the accuracy is below this (0 to 1)', (text) =>
      numberFor('--min', text, { from: 0, to: 1, whole: false }),
    )
    .action(
      guarded(output, (dir: string, data: string | undefined, flags: EvalFlags) =>
        evalCommand(dir, data, flags, output),
      ),
    );
}
