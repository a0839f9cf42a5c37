/** A module as an ONNX model: the graph of what it infers, and its weights under the names that its source has for them. */
import type { OnnxModel, OnnxTensor } from '../../formats/onnx/types.js';
import { toHalves } from '../../formats/tensors/float16.js';
import type { Elements, Module, Tensor } from '../../ir/types.js';
import { ONNX_OF, tensorOf } from './emitter.js';
import { graphOf, type ReplacedInput } from './graph.js';

export interface ModelOptions {
  /** Version of the operators, from 13 to 21. */
  readonly opset: number;
  /** Elements of a parameter that is neither a constant nor computed by `prepare`: of a weight as it was loaded, or as it was prepared. */
  readonly params: (name: string) => Tensor;
  /** Names of parameters in the file, where they are not their own. */
  readonly names?: ReadonlyMap<string, string>;
  /** An argument in whose place the graph takes another. */
  readonly replaced?: ReplacedInput;
  readonly producer: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * @throws EspalierError ESP1240 for an operator that ONNX does not have, or not in this version
 */
export function onnxModelOf(module: Module, options: ModelOptions): Omit<OnnxModel, 'file'> {
  const infer = module.funcs.get('infer')!;
  const tensor = (param: string, name: string): OnnxTensor => {
    const { type, data } = module.params.get(param)!;
    const own = data ?? options.params(param).data;
    const stored = storedAs(own, type.dtype);
    return tensorOf(name, ONNX_OF[type.dtype], type.shape, stored, own);
  };
  const nameOf = (param: string): string => options.names?.get(param) ?? param;
  const { opset, replaced } = options;
  const graph = graphOf(module.name, infer, { opset, nameOf, tensor, ...(replaced ? { replaced } : {}) });
  return {
    producer: options.producer,
    opsets: new Map([['', opset]]),
    graph,
    functions: new Map(),
    metadata: options.metadata ?? {},
  };
}

/** Elements as a file holds them; floats that came as f32 are not copied. */
function storedAs(data: Elements, dtype: keyof typeof ONNX_OF): ArrayBufferView {
  if (dtype === 'f16') return toHalves(data);
  return dtype === 'f32' && !(data instanceof Float32Array) ? Float32Array.from(data) : data;
}
