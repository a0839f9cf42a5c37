/** Small ONNX models for tests, as messages. */
import { type GraphProto, MODEL, type ModelProto, type TensorProto } from '../../../src/formats/onnx/schema.js';
import { encode } from '../../../src/formats/onnx/wire.js';
import { joinBytes } from '../../../src/formats/tensors/bytes.js';

/** FLOAT, as files number it. */
export const FLOAT = 1;

export const value = (name: string, dims: readonly (number | string)[] = [2], elem_type = FLOAT) => ({
  name,
  type: {
    tensor_type: {
      elem_type,
      shape: { dim: dims.map((d) => (typeof d === 'number' ? { dim_value: d } : { dim_param: d })) },
    },
  },
});

export const floatTensor = (name: string, dims: readonly number[], numbers: readonly number[]): TensorProto => ({
  name,
  dims,
  data_type: FLOAT,
  raw_data: new Uint8Array(Float32Array.from(numbers).buffer),
});

/** `y = Relu(x)`, but for what is given. */
export const relu = (graph: GraphProto = {}, model: ModelProto = {}): ModelProto => ({
  ir_version: 8,
  opset_import: [{ version: 17 }],
  graph: {
    node: [{ op_type: 'Relu', input: ['x'], output: ['y'] }],
    input: [value('x')],
    output: [value('y')],
    ...graph,
  },
  ...model,
});

export const bytesOf = (model: ModelProto): Uint8Array => joinBytes(encode(MODEL, model));
