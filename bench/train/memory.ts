/**
 * `npm run bench:train-memory [-- METHOD... --set 'checkpoint = blocks' --tenants 12]`: what a step of fine-tuning ViT-B/16 takes at batch 32, by its plan, beside PyTorch
 * (pytorch-memory.json, made by test/reference/train_memory.py). Needs no GPU; the same numbers on every machine.
 */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { trainProgram } from '../../src/api/train/program.js';
import { command, optionsOf, positive } from '../arguments.js';
import { kindsOf, memoryOf } from './live.js';
import { METHODS, methodOf, requestOf, VIT_B } from './models.js';

const BATCH = 32;

interface Figures {
  readonly versions: Readonly<Record<string, string>>;
  readonly batch: number;
  readonly methods: Readonly<Record<string, { readonly peak: number; readonly trained: number }>>;
}

const MB = (bytes: number): string => (bytes / 1e6).toFixed(1).padStart(8);

await command(async () => {
  const { values, positionals } = optionsOf(() =>
    parseArgs({
      allowPositionals: true,
      options: { set: { type: 'string', multiple: true, default: [] }, tenants: { type: 'string', default: '12' } },
    }),
  );
  const most = positive('--tenants', values.tenants);
  const methods = positionals.length > 0 ? positionals.map(methodOf) : METHODS;
  const file = new URL('./pytorch-memory.json', import.meta.url);
  const pytorch: Figures = JSON.parse(await readFile(file, 'utf8'));
  if (pytorch.batch !== BATCH) throw new Error(`PyTorch's figures are of batch ${pytorch.batch}, not ${BATCH}`);
  console.log(`ViT-B/16, batch ${BATCH}; MB (10^6 bytes), everything that is alive at the peak of a step`);
  for (const method of methods) {
    const request = await requestOf({ model: VIT_B, method, batch: BATCH, settings: values.set });
    const { generated, plan } = trainProgram(request);
    const memory = memoryOf(generated, BATCH);
    console.log(`\n${[method, ...values.set].join(', ')}: ${plan.trained} of ${plan.total} parameters trained`);
    const rows = {
      'frozen weights': plan.frozenBytes,
      'trained, moments': plan.stateBytes,
      'inputs, outputs': memory.arguments,
    };
    for (const [name, bytes] of Object.entries(rows)) console.log(`${MB(bytes)}  ${name}`);
    console.log(
      `${MB(memory.peak.bytes)}  activations and gradients, at dispatch ${memory.peak.at} of ${plan.dispatches} (slabs: ${MB(plan.stepBytes).trim()})`,
    );
    const total = plan.frozenBytes + plan.stateBytes + memory.arguments + memory.peak.bytes;
    console.log(`${MB(total)}  in all`);
    for (const [name, { peak, trained }] of Object.entries(pytorch.methods)) {
      if (name.split('-')[0] !== method) continue;
      const same = trained === plan.trained ? '' : `, which trains ${trained}`;
      console.log(`${MB(peak)}  PyTorch ${pytorch.versions.torch}, ${name}${same}: ratio ${(total / peak).toFixed(3)}`);
    }
    console.log('  largest at the peak:');
    for (const { kind, count, bytes } of kindsOf(memory.peak.tenants).slice(0, most))
      console.log(`${MB(bytes)}  ${String(count).padStart(3)} x ${kind}`);
  }
});
