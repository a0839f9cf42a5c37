/** Runs a module's `prepare` on the CPU, and refuses what is not a number. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { interpret } from '../ir/interpret.js';
import type { Module, Tensor } from '../ir/types.js';

/** First index whose element is NaN or infinite; -1 if all are finite. */
export function firstNonFinite(data: ArrayLike<number>): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i]!)) return i;
  return -1;
}

/**
 * Values of the prepared parameters (f32), by name.
 * @throws EspalierError if a result holds NaN or infinity; merged weights that do are never written.
 */
export function prepareParameters(module: Module, params: (name: string) => Tensor): Map<string, Tensor> {
  if (!module.funcs.has('prepare')) return new Map();
  const results = interpret(module, 'prepare', { inputs: new Map(), params });
  const out = new Map<string, Tensor>();
  for (const [name, tensor] of results) {
    const data = tensor.type.dtype === 'f32' ? new Float32Array(tensor.data) : tensor.data;
    const at = firstNonFinite(data);
    if (at >= 0) throw new EspalierError([diagnostic('ESP0919', { name, value: String(data[at]) })]);
    out.set(name, { type: tensor.type, data });
  }
  return out;
}
