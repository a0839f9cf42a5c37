/** Cases of every adapter of the library, with the tensors that PyTorch and peft computed for them (test/reference/make_adapters.py). */
import { fileURLToPath } from 'node:url';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { good } from '../dsl/semantics/helper.js';

export interface Case {
  readonly name: string;
  readonly backbone: string;
  readonly adapt: string;
  readonly merges: boolean;
}

const file = fileURLToPath(new URL('../fixtures/adapters.safetensors', import.meta.url));
const store = await openSafetensors(await openFile(file));
export const cases = JSON.parse(store.metadata.cases!) as Case[];

/** The tensors of case i: its `x`, its `y`, and the parameters. */
export async function tensorsOf(i: number): Promise<{ x: Tensor; y: Tensor; params: ReadonlyMap<string, Tensor> }> {
  const params = new Map<string, Tensor>();
  for (const [name, entry] of store.tensors) {
    if (name.startsWith(`${i}/`)) params.set(name.slice(`${i}/`.length), await entry.read());
  }
  const [x, y] = [params.get('x')!, params.get('y')!];
  params.delete('x');
  params.delete('y');
  return { x, y, params };
}

/** The case's model. */
export const moduleOf = ({ backbone, adapt }: Case): Module =>
  good(`use std\n\n${backbone}\n\nmodel M {\n  base = one()\n  ${adapt}\n}`).module;
