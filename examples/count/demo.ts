/**
 * `npm run demo:count`: MobileSAM, compiled from its ONNX files, counts the coins of examples/count/coins.png on the GPU, and draws what it counted.
 * `-- PICTURE --grid 24 --expect 14` counts another; `-- --page` serves a page that counts, and prints its address.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { automaticOf, decodeImage, EspalierError, InputError, RuntimeError, render } from '../../src/api/index.js';
import { serveFolder } from '../serve.js';
import { findAll } from './mobile-sam.js';
import { compileMobileSam, openMobileSam } from './programs.js';
import { describe, draw } from './report.js';
import { buildSite } from './site.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const COINS = join(HERE, 'coins.png');
const OUT = fileURLToPath(new URL('../../out/count', import.meta.url));

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      grid: { type: 'string', default: '16' },
      batch: { type: 'string', default: '16' },
      expect: { type: 'string' },
      page: { type: 'boolean', default: false },
      port: { type: 'string', default: '0' },
    },
  });
  const [given = COINS, ...others] = positionals;
  const path = resolve(given);
  if (others.length > 0) throw new InputError(`${positionals.length} pictures`, 'give one at a time');
  const expected = values.expect ?? (path === COINS ? '24' : undefined);
  const onProgress = (done: number, all: number) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done < all ? `${done} of ${all} prompts` : ''}`);
  };
  // What can be wrong is found before anything takes long.
  const options = automaticOf({ grid: Number(values.grid), batch: Number(values.batch), onProgress });
  const picture = await decodeImage(path);

  const programs = join(OUT, 'programs');
  console.log('compiling MobileSAM, and comparing both programs with the model as written');
  await compileMobileSam(programs);
  if (values.page) {
    await buildSite(join(OUT, 'site'), programs);
    return serveFolder(join(OUT, 'site'), Number(values.port));
  }
  const sam = await openMobileSam(programs, options.batch);
  try {
    console.log(`\n${basename(path)}, ${picture.width}x${picture.height}`);
    const found = await findAll(sam, picture, picture, options);
    console.log(describe(found, options));
    await mkdir(OUT, { recursive: true });
    const drawn = join(OUT, `${basename(path, extname(path))}.png`);
    await writeFile(drawn, await draw(picture, found.things));
    console.log(`  drawn     ${drawn}`);
    if (expected === undefined) return;
    console.log(`  expected  ${expected}`);
    if (Number(expected) === found.things.length) return;
    console.error(`\n${found.things.length} things are not the ${expected} that were expected.`);
    process.exitCode = 1;
  } finally {
    sam.encoder.dispose();
    sam.decoder.dispose();
  }
}

await main().catch((error: Error) => {
  process.exitCode = 1;
  if (error instanceof EspalierError)
    console.error(render(error.diagnostics, { texts: () => undefined, color: process.stderr.isTTY === true }));
  else if (error instanceof RuntimeError) console.error(`${error.code}: ${error.message}\n  ${error.help}`);
  else if ((error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) console.error(error.message);
  else throw error;
});
