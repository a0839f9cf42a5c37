/** The thread that `threads.ts` starts: from files or pixels to samples. */
import { parentPort, workerData } from 'node:worker_threads';
import { colourOf } from '../../../runtime/images/colour/rule.js';
import { EspalierError } from '../../diagnostics/types.js';
import { decodeImage } from '../../formats/node/images.js';
import { makeSample, type Recipe, saidOf } from '../sample.js';
import type { ThreadAnswer, ThreadJob } from './threads.js';

const recipe = workerData as Recipe;

parentPort!.on('message', async ({ picture, key }: ThreadJob) => {
  try {
    const raster =
      typeof picture === 'string'
        ? { ...(await decodeImage(picture, picture, colourOf(recipe.preprocess))), channels: 4 as const }
        : picture;
    const made = await saidOf(typeof picture === 'string' ? picture : `item ${key.item}`, () =>
      makeSample(raster, recipe, key),
    );
    // In memory of its own, which is handed over.
    const sample = { ...made, data: Uint8Array.from(made.data) };
    parentPort!.postMessage({ sample } satisfies ThreadAnswer, [sample.data.buffer]);
  } catch (error) {
    const answer: ThreadAnswer = error instanceof EspalierError ? { diagnostics: error.diagnostics } : { error };
    parentPort!.postMessage(answer);
  }
});
