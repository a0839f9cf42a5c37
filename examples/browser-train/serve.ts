/** `npm run demo:browser-train`: builds the page into out/browser-train, serves it to this machine alone, and prints its address. `-- --port 8000` chooses one. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { serveFolder } from '../serve.js';
import { buildSite } from './site.js';

const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } } });
const folder = fileURLToPath(new URL('../../out/browser-train', import.meta.url));
await buildSite(folder);
serveFolder(folder, Number(values.port));
