/** `run` and `eval`: a compiled folder on real images. */
import { type Command, Option } from 'commander';
import type { Evaluation } from '../../api/index.js';
import { evaluateFolder, openProgram, predictImages } from '../../api/node/programs.js';
import { type CommandOutput, guarded, numberFor } from '../context.js';
import { EXIT } from '../exit.js';
import { csvLine, startProgress, table } from '../output.js';

interface UseFlags {
  readonly json?: boolean;
  readonly csv?: boolean;
}

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

export function registerUse(program: Command, output: CommandOutput): void {
  program
    .command('run')
    .description('run a compiled program on images and print the likeliest classes')
    .argument('<dir>', 'a folder that `compile` wrote')
    .argument('<image...>', 'images, or folders of images')
    .option(
      '--top <n>',
      'how many classes to print',
      (text) => numberFor('--top', text, { from: 1, to: 1000, whole: true }),
      5,
    )
    .option('--json', 'as JSON')
    .addOption(new Option('--csv', 'as CSV: image, rank, class, probability').conflicts('json'))
    .action(
      guarded(output, async (dir: string, images: string[], flags: UseFlags & { top: number }) => {
        const progress = startProgress();
        const session = await openProgram(dir);
        try {
          const results = await predictImages(session, images, flags.top, progress.report);
          progress.done();
          if (flags.json) output.print(JSON.stringify(results, null, 2));
          else if (flags.csv) {
            output.print(csvLine(['image', 'rank', 'class', 'probability']));
            for (const { image, classes } of results) {
              classes.forEach((c, i) => {
                output.print(csvLine([image, i + 1, c.label, c.probability]));
              });
            }
          } else {
            for (const { image, classes } of results) {
              output.print(`${image}\n${table(classes.map((c) => [`  ${c.label}`, percent(c.probability)]))}`);
            }
          }
          return EXIT.ok;
        } finally {
          progress.done();
          session.dispose();
        }
      }),
    );

  program
    .command('eval')
    .description('accuracy, per-class figures and a confusion table on a folder of labelled images')
    .argument('<dir>', 'a folder that `compile` wrote')
    .argument('<folder>', 'images as FOLDER/<class>/<image>')
    .option('--json', 'as JSON')
    .addOption(new Option('--csv', 'the per-class figures as CSV').conflicts('json'))
    .option('--min <accuracy>', 'exit 4 if the accuracy is below this (0 to 1)', (text) =>
      numberFor('--min', text, { from: 0, to: 1, whole: false }),
    )
    .action(
      guarded(output, async (dir: string, folder: string, flags: UseFlags & { min?: number }) => {
        const progress = startProgress();
        const session = await openProgram(dir);
        try {
          const result = await evaluateFolder(session, folder, progress.report);
          progress.done();
          const rows = result.classes.map((c) => [c.label, c.support, percent(c.precision), percent(c.recall)]);
          if (flags.json) output.print(JSON.stringify(result, null, 2));
          else if (flags.csv) {
            output.print(csvLine(['class', 'images', 'precision', 'recall']));
            for (const c of result.classes) output.print(csvLine([c.label, c.support, c.precision, c.recall]));
          } else {
            output.print(`accuracy ${percent(result.accuracy)} (${result.correct} of ${result.images})\n`);
            output.print(`${table(rows, ['class', 'images', 'precision', 'recall'])}\n`);
            output.print(confusionText(result));
          }
          return flags.min !== undefined && result.accuracy < flags.min ? EXIT.differs : EXIT.ok;
        } finally {
          progress.done();
          session.dispose();
        }
      }),
    );
}
