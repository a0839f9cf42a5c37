/**
 * `npm run bench:traffic [-- SHAPE...]`: bytes that each variant of a contraction moves for each multiply-add, counted by the simulator, beside the
 * least possible. Needs no GPU; the same numbers on every machine.
 */
import { parseArgs } from 'node:util';
import { command, optionsOf, SHAPES, shapeOf } from './arguments.js';
import { leastTraffic, type Traffic, trafficOf } from './count-traffic.js';

const row = (name: string, cells: readonly string[]): string =>
  `  ${name.padEnd(18)}${cells.map((c) => c.padStart(10)).join('')}`;

const cells = ({ loaded, stored, sharedLoaded, sharedStored }: Traffic): string[] =>
  [loaded, stored, sharedLoaded, sharedStored].map((bytes) => bytes.toFixed(4));

await command(async () => {
  const { positionals } = optionsOf(() => parseArgs({ allowPositionals: true, options: {} }));
  const shapes = (positionals.length > 0 ? positionals : SHAPES).map((text) => shapeOf(text));
  for (const shape of shapes) {
    console.log(`${shape.m}x${shape.n}x${shape.k}, bytes for each multiply-add`);
    console.log(`${' '.repeat(25)}storage buffers    workgroup memory`);
    console.log(row('', ['loaded', 'stored', 'loaded', 'stored']));
    for (const traffic of [leastTraffic(shape), ...trafficOf(shape)]) console.log(row(traffic.name, cells(traffic)));
  }
});
