/**
 * What `npm run demo:train` begins with, as a file, so that PyTorch can take the same steps (test/reference/train_demo.py):
 * `npx tsx examples/fashion/train-start.ts out/train-start.safetensors`.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeLoader, nodeHost, openDatasets } from '../../src/api/index.js';
import { dataSpecOf } from '../../src/api/node/train.js';
import { loaderOptions, splitsOf } from '../../src/api/train/data.js';
import { readTraining } from '../../src/api/train/open.js';
import type { Dataset } from '../../src/data/types.js';
import { encodeSafetensors, type StoredTensor } from '../../src/formats/tensors/safetensors.js';
import { HERE } from './mnist.js';

export const SPEC = join(HERE, 'train.peft');

/** Of a spec's run: `start/NAME`, what is trained as it starts; images by their places in MNIST's parts: `order` of each step, `validation`, `test`. */
export async function trainStart(epochs: number): Promise<Uint8Array> {
  const host = nodeHost();
  const { elaborated, train, params } = await readTraining(SPEC, { host });
  const given = await openDatasets(dataSpecOf(train.data!, SPEC, elaborated.labels, host));
  const sets = splitsOf(train, given);
  const loader = makeLoader(sets.train, loaderOptions(elaborated, train));
  // An item of an array is called by its number there.
  const places = (data: Dataset, items: ArrayLike<number>) =>
    Array.from(items, (i) => Number(/(\d+)\D*$/.exec(data.ids[i]!)![1]));
  // The last batch of an epoch has fewer images: -1 stands for none.
  const order: number[] = [];
  for await (const { indices } of loader.batches({ epoch: 0, batch: 0 }, epochs))
    order.push(...places(sets.train, indices), ...Array<number>(train.batch - indices.length).fill(-1));
  await loader.close();
  const all = new Map<string, StoredTensor>();
  const integers = (name: string, shape: readonly number[], data: readonly number[]) =>
    all.set(name, { dtype: 'I32', shape, data: new Uint8Array(Int32Array.from(data).buffer) });
  integers('order', [order.length / train.batch, train.batch], order);
  for (const name of ['val', 'test'] as const)
    integers(name, [sets[name]!.size], places(sets[name]!, [...Array(sets[name]!.size).keys()]));
  for (const { name, role, type } of elaborated.module.params.values())
    if (role === 'trainable')
      all.set(`start/${name}`, {
        dtype: 'F32',
        shape: type.shape,
        data: new Uint8Array(Float32Array.from(params(name).data).buffer),
      });
  return encodeSafetensors(all);
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href)
  writeFileSync(process.argv[2] ?? 'out/train-start.safetensors', await trainStart(5));
