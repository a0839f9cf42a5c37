/** Tensors whose names all begin with what a wrapper put there when they were saved. */
import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import type { PeftAdapter } from './adapters/peft.js';
import { type ModelNames, moduleOf } from './adapters/sites.js';
import type { OpenCheckpoint } from './checkpoint.js';
import { present } from './spellings.js';
import type { StoreEntry, TensorStore } from './tensors/store.js';
import type { SourceLike } from './types.js';

/** Of `DataParallel`, of many training scripts, of `torch.compile`. */
const PREFIXES = ['module.', 'model.', '_orig_mod.'];

/**
 * The checkpoint with names without those prefixes, as many as stand in front of every tensor, if more of them are then names that some source
 * wants; else as it is. Written back, tensors keep the names of their file.
 * @param names of the whole model, which a folder of `peft` names modules of
 * @returns a note (ESP1283) beside it where something was left out
 */
export function withoutPrefixes(
  checkpoint: OpenCheckpoint,
  sources: readonly SourceLike[],
  names?: () => ModelNames,
): { checkpoint: OpenCheckpoint; note?: Diagnostic } {
  const { peft } = checkpoint;
  if (checkpoint.onnx) return { checkpoint };
  const wanted = (store: TensorStore): number =>
    peft
      ? [...store.tensors.keys()].filter((n) => names?.().modules.has(moduleOf(n)) || names?.().tensors.has(n)).length
      : Math.max(0, ...sources.flatMap((s) => Object.values(s.layouts).map((layout) => present(layout, store))));
  let best = { store: checkpoint.store, cut: '', hits: wanted(checkpoint.store) };
  let { store } = checkpoint;
  let cut = '';
  for (;;) {
    const prefix = PREFIXES.find(
      (p) => store.tensors.size > 0 && [...store.tensors.keys()].every((n) => n.startsWith(p)),
    );
    if (prefix === undefined) break;
    cut += prefix;
    store = shorter(store, prefix.length);
    const hits = wanted(store);
    if (hits > best.hits) best = { store, cut, hits };
  }
  if (best.cut === '') return { checkpoint };
  const note = diagnostic('ESP1283', { file: checkpoint.name, prefix: best.cut });
  const bare = { ...checkpoint, store: best.store };
  return { checkpoint: peft ? { ...bare, peft: shorterPeft(peft, best.cut.length) } : bare, note };
}

/** Patterns of ranks and scales were matched with the names that the folder has. */
function shorterPeft(peft: PeftAdapter, length: number): PeftAdapter {
  const cut = <T>(of: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...of].map(([name, entry]) => [name.slice(length), entry]));
  return { ...peft, pairs: cut(peft.pairs), saved: cut(peft.saved), biases: cut(peft.biases) };
}

function shorter(store: TensorStore, length: number): TensorStore {
  const tensors = new Map<string, StoreEntry>();
  for (const [name, entry] of store.tensors)
    tensors.set(name.slice(length), { ...entry, original: entry.original ?? name });
  return { ...store, tensors };
}
