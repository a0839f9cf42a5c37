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

/** A file of references: its tensors that are named `prefix/...`, by what follows; all of them by their own names for ''. */
export async function fixture(name: string): Promise<{
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensorsOf: (prefix: string) => Promise<Map<string, Tensor>>;
}> {
  const file = fileURLToPath(new URL(`../fixtures/${name}.safetensors`, import.meta.url));
  const store = await openSafetensors(await openFile(file));
  const tensorsOf = async (prefix: string): Promise<Map<string, Tensor>> => {
    const start = prefix === '' ? '' : `${prefix}/`;
    const found = new Map<string, Tensor>();
    for (const [key, entry] of store.tensors) {
      if (key.startsWith(start)) found.set(key.slice(start.length), await entry.read());
    }
    return found;
  };
  return { metadata: store.metadata, tensorsOf };
}

const { metadata, tensorsOf: all } = await fixture('adapters');
export const cases = JSON.parse(metadata.cases!) as Case[];

/** The tensors of case i: its `x`, its `y`, and the parameters. */
export async function tensorsOf(i: number): Promise<{ x: Tensor; y: Tensor; params: ReadonlyMap<string, Tensor> }> {
  const params = await all(`${i}`);
  const [x, y] = [params.get('x')!, params.get('y')!];
  params.delete('x');
  params.delete('y');
  return { x, y, params };
}

/** The case's model. */
export const moduleOf = ({ backbone, adapt }: Pick<Case, 'backbone' | 'adapt'>): Module =>
  good(`use std\n\n${backbone}\n\nmodel M {\n  base = one()\n  ${adapt}\n}`).module;
