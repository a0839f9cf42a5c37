/**
 * How far a count depends on its numbers: `node scripts/with-driver.mjs node --import tsx examples/count/sweep.ts [PICTURE] --grids 8,12,16`. For each grid the
 * decoder is asked once, and its masks are filtered with each of the thresholds changed alone.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeImage } from '../../src/api/index.js';
import { type Decoded, type FilterOptions, findThings, type Prompts } from '../../src/segmentation/index.js';
import { embed, prompted } from './mobile-sam.js';
import { compileMobileSam, openMobileSam } from './programs.js';

/** What each threshold is changed to. */
const CHANGES: Readonly<Record<string, readonly FilterOptions[]>> = {
  defaults: [{}],
  'predicted IoU': [0, 0.7, 0.8, 0.95].map((iou) => ({ iou })),
  stability: [0, 0.8, 0.85, 0.92, 0.95, 0.97, 0.98].map((stability) => ({ stability })),
  offset: [0.5, 2].map((offset) => ({ offset })),
  'least area': [0, 0.0005, 0.002, 0.005].map((least) => ({ area: [least, 0.25] as const })),
  'largest area': [0.05, 0.1, 0.5].map((most) => ({ area: [0.001, most] as const })),
  suppression: [0.3, 0.5, 0.6, 0.8, 0.9].map((overlap) => ({ overlap })),
  containment: [0.5, 0.7, 0.9, 1].map((contained) => ({ contained })),
};

const BATCH = 16;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { grids: { type: 'string', default: '8,10,12,14,16,20,24' } },
});
const picture = await decodeImage(positionals[0] ?? fileURLToPath(new URL('coins.png', import.meta.url)));
const programs = join(fileURLToPath(new URL('../../out/count', import.meta.url)), 'programs');
await compileMobileSam(programs);
const sam = await openMobileSam(programs, BATCH);
try {
  const embeddings = await embed(sam, picture);
  for (const grid of values.grids.split(',').map(Number)) {
    const answers: Decoded[] = [];
    const ask = async (prompts: Prompts): Promise<Decoded> => {
      const answer = await prompted(sam, embeddings, prompts);
      answers.push(answer);
      return answer;
    };
    const counts: string[] = [];
    for (const [name, changes] of Object.entries(CHANGES)) {
      const found: number[] = [];
      for (const change of changes) {
        let next = 0;
        const again = async () => answers[next++]!;
        const decode = name === 'defaults' ? ask : again;
        found.push((await findThings(picture, decode, { grid, batch: BATCH, ...change })).things.length);
      }
      counts.push(`${name} ${found.join(' ')}`);
    }
    console.log(`${grid}x${grid}: ${counts.join('; ')}`);
  }
} finally {
  sam.encoder.dispose();
  sam.decoder.dispose();
}
