/**
 * `npm run bench:compile [-- large] [-- --golden]`: time and peak memory of compiling ViT-B/16 (or ViT-L/16) with KARST on all layers, by
 * stage; with `--golden` every check is on. Weights are random and made on the way.
 */
import { fileURLToPath } from 'node:url';
import { compile, nodeHost } from '../src/api/index.js';

const large = process.argv.includes('large');
const spec = fileURLToPath(new URL(large ? './vit-l-karst.peft' : './vit-b-karst.peft', import.meta.url));
const started = performance.now();
let stage = 'reading the spec, making weights';
let since = started;
const stages: [name: string, ms: number, cpu: number][] = [];
let used = process.cpuUsage();
const close = () => {
  const now = performance.now();
  const { user, system } = process.cpuUsage(used);
  if (stage) stages.push([stage, now - since, (user + system) / 1000]);
  since = now;
  used = process.cpuUsage();
};
const compiled = await compile(spec, {
  host: nodeHost(),
  golden: process.argv.includes('--golden'),
  progress(what) {
    if (what === stage) return;
    close();
    stage = what;
  },
});
close();
const total = performance.now() - started;
console.log(
  `ViT-${large ? 'L' : 'B'}/16 with KARST: ${compiled.program.summary.parameters.total.toLocaleString('en-US')} parameters`,
);
for (const [name, ms, cpu] of stages)
  console.log(
    `  ${name.padEnd(36)} ${(ms / 1000).toFixed(2)} s  ${((100 * ms) / total).toFixed(0)}%, ${(cpu / 1000).toFixed(2)} s of CPU`,
  );
console.log(
  `  total ${(total / 1000).toFixed(2)} s, peak memory ${(process.resourceUsage().maxRSS / 2 ** 20).toFixed(2)} GiB`,
);
const { layers, model } = compiled.check;
console.log(`  ${layers.layers} merged layers differ by ${layers.difference.toExponential(1)}`);
if (model)
  console.log(
    `  whole model differs by ${model.difference.toExponential(1)} (${model.by}), golden:`,
    compiled.program.golden?.from,
  );
const { kernels, entries } = compiled.program;
console.log(`  ${kernels.length} kernels, ${entries[0]!.dispatches.length} dispatches a forward pass`);
