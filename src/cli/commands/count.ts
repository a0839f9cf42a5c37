/** `count`: how many there are in pictures, and where. */
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { type CountedImage, densityOverlay } from '../../api/index.js';
import { countImages } from '../../api/node/programs.js';
import { encodePng } from '../../formats/node/png.js';
import { requireWritable, writeFileAtomic } from '../../formats/node/writing.js';
import { type CommandOutput, guarded, report } from '../context.js';
import { EXIT } from '../exit.js';
import { csvLine } from '../output.js';
import { onProgram, PROGRAM, type UseFlags, useOptions } from './opened.js';

interface CountFlags extends UseFlags {
  readonly out?: string;
}

/** One result, without its pixels. */
interface Row {
  readonly image: string;
  readonly count: number;
  readonly tiles: number;
  readonly overlay?: string;
}

/** Columns of a table that is printed line by line: numbers to the right. */
const line = (count: string, tiles: string, image: string): string =>
  `${count.padStart(10)}  ${tiles.padStart(5)}  ${image}`;

/** How rows are printed as they come. */
interface Listing {
  readonly before?: string;
  readonly each: (row: Row, index: number) => string;
  readonly after?: (rows: number, sum: number) => string | undefined;
}

const LISTINGS: Readonly<Record<'json' | 'csv' | 'text', Listing>> = {
  json: {
    each: (row, i) => `${i === 0 ? '[' : ','}${JSON.stringify(row, null, 2)}`,
    after: (rows) => (rows === 0 ? '[]' : ']'),
  },
  csv: {
    before: csvLine(['image', 'count', 'tiles', 'overlay']),
    each: ({ image, count, tiles, overlay }) => csvLine([image, count, tiles, overlay ?? '']),
  },
  text: {
    before: line('count', 'tiles', 'image'),
    each: ({ image, count, tiles, overlay }) =>
      line(count.toFixed(1), String(tiles), overlay === undefined ? image : `${image} -> ${overlay}`),
    after: (rows, sum) => (rows > 1 ? line(sum.toFixed(1), '', `in ${rows} pictures`) : undefined),
  },
};

/** Names of overlays in a folder: those of the pictures, numbered where several pictures are called the same. */
function overlayNames(folder: string): (image: string) => string {
  const taken = new Set<string>();
  return (image) => {
    const stem = basename(image, extname(image));
    let name = `${stem}.count.png`;
    for (let i = 2; taken.has(name.toLowerCase()); i++) name = `${stem}-${i}.count.png`;
    taken.add(name.toLowerCase());
    return join(folder, name);
  };
}

async function writeOverlay(path: string, { picture, density, count }: CountedImage): Promise<void> {
  await writeFileAtomic(path, await encodePng(densityOverlay(picture, density, { count })));
}

async function countCommand(
  dir: string,
  images: readonly string[],
  flags: CountFlags,
  output: CommandOutput,
): Promise<number> {
  const { before, each, after } = LISTINGS[flags.json ? 'json' : flags.csv ? 'csv' : 'text'];
  const { out } = flags;
  let [rows, sum] = [0, 0];
  try {
    if (out !== undefined) await requireWritable(out);
    const nameOf = overlayNames(out ?? '');
    return await onProgram(dir, flags, output, async (session, options, _, clear) => {
      for await (const found of countImages(session, images, options)) {
        const { image, count, tiles } = found;
        const overlay = out === undefined ? {} : { overlay: nameOf(image) };
        if (overlay.overlay !== undefined) await writeOverlay(overlay.overlay, found);
        clear();
        if (rows === 0 && before !== undefined) output.print(before);
        output.print(each({ image, count, tiles, ...overlay }, rows++));
        sum += count;
        if (!output.open()) return EXIT.ok;
      }
      const last = after?.(rows, sum);
      if (last !== undefined) output.print(last);
      return EXIT.ok;
    });
  } catch (error) {
    if (rows === 0) throw error;
    // Results stand on standard output already, and diagnostics as JSON would not be of one piece with them.
    return report(error, output, false);
  }
}

export function registerCount(program: Command, output: CommandOutput): void {
  useOptions(program.command('count'))
    .description('count in pictures by a compiled program that gives densities, and draw where it counted')
    .argument('<program>', `${PROGRAM}: of a model with the results \`density\` and \`count\``)
    .argument('<image...>', 'images, or folders of images')
    .option('-o, --out <folder>', 'draw each picture with its density over it, as PNG, into this folder')
    .addOption(new Option('--csv', 'as CSV: image, count, tiles, overlay').conflicts('json'))
    .action(
      guarded(output, (dir: string, images: string[], flags: CountFlags) => countCommand(dir, images, flags, output)),
    );
}
