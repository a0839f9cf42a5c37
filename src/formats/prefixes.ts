/** Tensors whose names all begin with what a wrapper put there when they were saved. */
import { diagnostic } from '../diagnostics/catalogue.js';
import type { Diagnostic } from '../diagnostics/types.js';
import type { OpenCheckpoint } from './checkpoint.js';
import { present } from './spellings.js';
import type { StoreEntry, TensorStore } from './tensors/store.js';
import type { SourceLike } from './types.js';

/** Of `DataParallel`, of many training scripts, of `torch.compile`. */
const PREFIXES = ['module.', 'model.', '_orig_mod.'];

/**
 * The checkpoint with names without those prefixes, as many as stand in front of every tensor, if more of them are then names that some source
 * wants; else as it is. Written back, tensors keep the names of their file.
 * @returns a note (ESP1283) beside it where something was left out
 */
export function withoutPrefixes(
  checkpoint: OpenCheckpoint,
  sources: readonly SourceLike[],
): { checkpoint: OpenCheckpoint; note?: Diagnostic } {
  if (checkpoint.peft || checkpoint.onnx) return { checkpoint };
  const wanted = (store: TensorStore): number =>
    Math.max(0, ...sources.flatMap((s) => Object.values(s.layouts).map((names) => present(names, store))));
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
  return { checkpoint: { ...checkpoint, store: best.store }, note };
}

function shorter(store: TensorStore, length: number): TensorStore {
  const tensors = new Map<string, StoreEntry>();
  for (const [name, entry] of store.tensors)
    tensors.set(name.slice(length), { ...entry, original: entry.original ?? name });
  return { ...store, tensors };
}
