/** ONNX's own cases: folders of a model and the tensors that it is given and gives. One is imported, interpreted and compared. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EspalierError } from '../../../src/diagnostics/types.js';
import { elaborate } from '../../../src/dsl/elaborate.js';
import { parse } from '../../../src/dsl/parse.js';
import { readOnnx, readTensorProto } from '../../../src/formats/onnx/read.js';
import type { OnnxModel, OnnxTensor, OnnxType } from '../../../src/formats/onnx/types.js';
import { DataError } from '../../../src/ir/ops/errors.js';
import { sizeOf } from '../../../src/ir/ops/shapes.js';
import { interpret } from '../../../src/ir/run/interpret.js';
import { allocate } from '../../../src/ir/run/tensor.js';
import type { DType, Module, Tensor, TensorType } from '../../../src/ir/types.js';
import { importedStore, importOnnx } from '../../../src/onnx/import/index.js';
import { nameOf } from '../../../src/onnx/import/modules/tree.js';

export interface Case {
  readonly name: string;
  readonly model: OnnxModel;
  /** By data set. */
  readonly sets: readonly { readonly inputs: readonly OnnxTensor[]; readonly outputs: readonly OnnxTensor[] }[];
}

/** @throws EspalierError for a model or tensor that is not read */
export function caseOf(name: string, { model, sets }: Files): Case {
  return {
    name,
    model: readOnnx(name, model),
    sets: sets.map(({ inputs, outputs }) => ({
      inputs: inputs.map((bytes, i) => readTensorProto(`${name}/input_${i}`, bytes)),
      outputs: outputs.map((bytes, i) => readTensorProto(`${name}/output_${i}`, bytes)),
    })),
  };
}

/** The bytes of a case. */
export interface Files {
  readonly model: Uint8Array;
  readonly sets: readonly { readonly inputs: readonly Uint8Array[]; readonly outputs: readonly Uint8Array[] }[];
}

export function filesIn(folder: string): Files {
  const bytesOf = (...path: string[]): Uint8Array => new Uint8Array(readFileSync(join(folder, ...path)));
  const sets = readdirSync(folder)
    .filter((f) => f.startsWith('test_data_set_'))
    .sort();
  return {
    model: bytesOf('model.onnx'),
    sets: sets.map((set) => {
      const list = (kind: string): Uint8Array[] => {
        const all: Uint8Array[] = [];
        for (let i = 0; existsSync(join(folder, set, `${kind}_${i}.pb`)); i++)
          all.push(bytesOf(set, `${kind}_${i}.pb`));
        return all;
      };
      return { inputs: list('input'), outputs: list('output') };
    }),
  };
}

/** What came of a case. */
export type Outcome =
  /** `bound`: how many inputs had to be known when it was imported, and were given as constants. */
  | { readonly kind: 'passed'; readonly bound: number }
  /** A diagnostic said why it is not read. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'differs'; readonly why: string }
  /** What is no diagnostic: a fault of Espalier. */
  | { readonly kind: 'crashed'; readonly why: string };

/** The model with some inputs as constants. */
function bound(model: OnnxModel, given: readonly OnnxTensor[], which: (input: number) => boolean): OnnxModel {
  const { graph } = model;
  const constants = graph.inputs.flatMap((input, i) => (which(i) && given[i] ? [[input.name, given[i]] as const] : []));
  const initialisers = new Map([...graph.initialisers, ...constants]);
  return { ...model, graph: { ...graph, initialisers, inputs: graph.inputs.filter((_, i) => !which(i)) } };
}

const DTYPE: Readonly<Record<OnnxType, DType>> = {
  float: 'f32',
  double: 'f32',
  float16: 'f32',
  bfloat16: 'f32',
  int8: 'i32',
  int16: 'i32',
  int32: 'i32',
  int64: 'i32',
  uint8: 'i32',
  uint16: 'i32',
  uint32: 'u32',
  uint64: 'u32',
  bool: 'bool',
};

function tensorOf(given: OnnxTensor, type: TensorType): Tensor {
  const data = allocate(type.dtype, sizeOf(type.shape));
  const read = given.read();
  for (let i = 0; i < data.length; i++) data[i] = read[i]!;
  return { type, data };
}

/** Runs a module's `infer`: results by name. */
export type Run = (
  module: Module,
  inputs: ReadonlyMap<string, Tensor>,
  params: (name: string) => Tensor,
) => Promise<ReadonlyMap<string, Tensor>>;

const interpreted: Run = async (module, inputs, params) => interpret(module, 'infer', { inputs, params });

/** Imports a model and runs it on its inputs: results in the order of its outputs. @throws EspalierError */
async function run(model: OnnxModel, inputs: ReadonlyMap<string, OnnxTensor>, by: Run): Promise<readonly Tensor[]> {
  const { source, params } = importOnnx(model, { name: 'graph' });
  // A graph of constants alone is a part of a model that is given something.
  const alone = /forward\(\)/.test(source);
  const spec = alone
    ? `${source}\nmodule Given() {\n  inner = graph()\n  forward(unused: []) { inner() }\n}\nmodel M {\n  base = Given()\n}\n`
    : `${source}\nmodel M {\n  base = graph()\n}\n`;
  const parsed = parse('spec.peft', spec);
  const { value, diagnostics } = elaborate(parsed.file, { readFile: () => undefined });
  const errors = [...parsed.diagnostics, ...diagnostics].filter((d) => d.severity === 'error');
  if (!value || errors.length > 0) throw new EspalierError(errors);
  const store = importedStore(model, params, alone ? 'base.inner.' : 'base.');
  const loaded = new Map<string, Tensor>();
  for (const [name, p] of value.module.params) {
    const entry = store.tensors.get(name);
    if (entry) loaded.set(name, await entry.read());
    else if (p.data) loaded.set(name, { type: p.type, data: p.data });
  }
  const func = value.module.funcs.get('infer')!;
  const given = new Map<string, Tensor>();
  for (const v of func.inputs) {
    if (v.op !== 'input') continue;
    const { name } = v.attrs;
    if (alone) {
      given.set(name, { type: v.type, data: new Float64Array(1) });
      continue;
    }
    // An input that is called as an operator is has a mark behind its name.
    const tensor = [...inputs].find(([file]) => [name, name.replace(/_$/, '')].includes(nameOf(file)))![1];
    given.set(name, tensorOf(tensor, { dtype: DTYPE[tensor.dtype], shape: tensor.shape }));
  }
  const results = await by(value.module, given, (name) => loaded.get(name)!);
  return func.results.map((r) => results.get(r.name)!);
}

const LOOSE: Readonly<Partial<Record<OnnxType, readonly [relative: number, absolute: number]>>> = {
  float: [1e-3, 1e-5],
  double: [1e-3, 1e-5],
  float16: [1e-2, 1e-2],
  bfloat16: [2e-2, 2e-2],
};

/** Why a result is not what was expected. Whole numbers and truth are compared exactly. */
export function difference(found: Tensor, wanted: OnnxTensor): string | undefined {
  const shape = found.type.shape;
  if (shape.join() !== wanted.shape.join()) return `[${shape}] and not [${wanted.shape}]`;
  const expected = wanted.read();
  const [relative, small] = LOOSE[wanted.dtype] ?? [0, 0];
  // What is next to nothing beside the largest is a rest of rounding.
  const absolute =
    small * Array.from(expected, Math.abs).reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 1);
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found.data[i]!, expected[i]!];
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!(Math.abs(a - b) <= absolute + relative * Math.abs(b))) return `element ${i} is ${a} and not ${b}`;
  }
  return undefined;
}

/** Which inputs are constants, from none on: what an operator has to know for its result's shape is an input of these cases. */
const BINDINGS: readonly ((input: number) => boolean)[] = [() => false, (i) => i > 0, () => true];

/** @param open gives the case; what it throws is a part of the outcome */
export async function outcome(open: () => Case, by: Run = interpreted): Promise<Outcome> {
  try {
    const { model, sets } = open();
    const refused = new Set<string>();
    for (const which of BINDINGS) {
      try {
        for (const { inputs, outputs } of sets) {
          const names = model.graph.inputs.map((i) => i.name);
          const results = await run(bound(model, inputs, which), new Map(inputs.map((t, i) => [names[i]!, t])), by);
          for (const [i, wanted] of outputs.entries()) {
            const why = difference(results[i]!, wanted);
            if (why !== undefined) return { kind: 'differs', why: `output ${i}: ${why}` };
          }
        }
        return { kind: 'passed', bound: model.graph.inputs.filter((_, i) => which(i)).length };
      } catch (error) {
        if (!(error instanceof EspalierError || error instanceof DataError)) throw error;
        refused.add(error.message.split('\n')[0]!);
      }
    }
    return { kind: 'refused', why: [...refused].join('; as constants: ') };
  } catch (error) {
    if (error instanceof EspalierError) return { kind: 'refused', why: error.message };
    return { kind: 'crashed', why: String(error instanceof Error ? error.stack : error) };
  }
}
