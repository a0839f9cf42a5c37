/** A function of the IR as a graph of ONNX, by a table over all operators. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { OnnxGraph, OnnxTensor, OnnxValue } from '../../formats/onnx/types.js';
import { BATCH, isBatch, showSize } from '../../ir/batch.js';
import { topological } from '../../ir/graph.js';
import { Interner } from '../../ir/intern.js';
import type { OpDef } from '../../ir/ops/define.js';
import { auxOf, isDeclared, OPS } from '../../ir/ops/index.js';
import { showPath } from '../../ir/path.js';
import type { Func, OpName, TensorType, Value } from '../../ir/types.js';
import { compute } from './compute.js';
import { Emitter, ONNX_OF, type Samples } from './emitter.js';
import { layout } from './layout.js';
import { pointwise } from './pointwise.js';
import type { ExportRule, Write } from './rule.js';

/** Versions of the operators that are written; what older ones call by the same names has other inputs. */
export const WRITTEN = { first: 13, last: 21 } as const;

/** One for every operator: parameters and arguments are there already, and `aux` is its owner's. */
const RULES: { readonly [O in Exclude<OpName, 'param' | 'input' | 'aux'>]: ExportRule<O> } = {
  ...layout,
  ...pointwise,
  ...compute,
};

/** Name of a size that is the number of samples, or a multiple of it. */
export const dimOf = (size: number): number | string => (isBatch(size) ? showSize(size) : size);

export const valueInfo = (name: string, { dtype, shape }: TensorType): OnnxValue => ({
  name,
  dtype: ONNX_OF[dtype],
  shape: shape.map(dimOf),
});

/** An argument that is computed from another one, which the graph takes in its place. */
export interface ReplacedInput {
  /** Name of the argument. */
  readonly input: string;
  /** What the graph takes; samples are on the first axis. */
  readonly as: OnnxValue;
  /** Writes the argument from what is given, and gives its name. */
  readonly write: (e: Emitter, given: string) => string;
}

export interface GraphOptions {
  readonly opset: number;
  readonly replaced?: ReplacedInput;
  /** Names of parameters in the file. */
  readonly nameOf: (param: string) => string;
  readonly tensor: (param: string, name: string) => OnnxTensor;
}

/**
 * @throws EspalierError ESP1240 for an operator that ONNX does not have, or not in this version
 */
export function graphOf(name: string, func: Func, options: GraphOptions): OnnxGraph {
  const order = topological(func.results.map((r) => r.value));
  const initialisers = new Map<string, OnnxTensor>();
  const names = new Map<Value, string>();
  for (const v of [...func.inputs, ...order]) {
    if (v.op === 'input') names.set(v, v.attrs.name);
    if (v.op !== 'param') continue;
    const own = options.nameOf(v.attrs.name);
    names.set(v, own);
    if (!initialisers.has(own)) initialisers.set(own, options.tensor(v.attrs.name, own));
  }
  const taken = [...names.values(), ...func.results.map((r) => r.name)];
  const { replaced } = options;
  const inputs = func.inputs.map((v) => {
    const own = names.get(v)!;
    return own === replaced?.input ? replaced.as : valueInfo(own, v.type);
  });
  const e = new Emitter(options.opset, samplesOf(func.inputs, replaced), taken);
  if (replaced) {
    const argument = func.inputs.find((v) => names.get(v) === replaced.input)!;
    names.set(
      argument,
      e.at('preprocess', () => replaced.write(e, replaced.as.name)),
    );
  }
  const writer = new Writer(e, names);
  writer.program(order);
  const outputs = func.results.map((r) => valueInfo(r.name, r.value.type));
  const nodes = e.finish(func.results.map((r) => [names.get(r.value)!, r.name]));
  return { name, nodes, initialisers, inputs, outputs };
}

/** Where the number of samples can be read off: an argument, its axis, and how many times the axis holds them. */
function samplesOf(inputs: readonly Value[], replaced: ReplacedInput | undefined): Samples | undefined {
  for (const { type, attrs } of inputs) {
    const { name } = attrs as { name: string };
    const axis = type.shape.findIndex(isBatch);
    if (axis < 0) continue;
    if (name === replaced?.input) return { name: replaced.as.name, axis: 0, times: 1 };
    return { name, axis, times: type.shape[axis]! / BATCH };
  }
  return undefined;
}

class Writer {
  /** Parts of decompositions that are equal are written once. */
  readonly #interner = new Interner();

  constructor(
    private readonly e: Emitter,
    private readonly names: Map<Value, string>,
  ) {}

  /** The value of the program that is being written: what it decomposes to is in no text. */
  #whole: Value | undefined;

  program(order: readonly Value[]): void {
    for (const v of order) {
      this.#whole = v;
      this.all([v]);
    }
  }

  private all(order: readonly Value[]): void {
    for (const v of order)
      if (!this.names.has(v))
        this.names.set(
          v,
          this.e.at(v.about?.site, () => this.write(v)),
        );
  }

  private write(v: Value): string {
    if (isDeclared(v)) throw new Error(`${v.attrs.name} has no name`);
    if (v.op === 'aux') return this.aux(v.inputs[0]!, v.attrs.output);
    const rule = RULES[v.op] as ExportRule<OpName>;
    if (typeof rule === 'object') throw this.refuse(v, rule.cannot);
    const x = v.inputs.map((input) => this.names.get(input)!);
    const made = rule === 'decompose' ? undefined : (rule as Write<OpName>)(this.e, v as never, x);
    if (made !== undefined) return made;
    const { decompose } = OPS[v.op] as unknown as OpDef<OpName>;
    if (!decompose) throw this.refuse(v, `opset ${this.e.opset} of ONNX cannot say it of ${v.inputs[0]?.type.dtype}`);
    return this.instead(decompose(this.#interner.build, v.inputs, v.attrs));
  }

  private aux(owner: Value, output: string): string {
    const found = this.e.other(owner, output);
    if (found !== undefined) return found;
    const decompose = auxOf(owner, output)?.decompose;
    if (!decompose) throw this.refuse(owner, `ONNX does not give its ${output}`);
    return this.instead(decompose(this.#interner.build, owner.inputs, owner.attrs));
  }

  /** What a value decomposes to, where its operands are written already. */
  private instead(value: Value): string {
    this.all(topological([value]));
    return this.names.get(value)!;
  }

  private refuse(part: Value, why: string): EspalierError {
    const v = this.#whole ?? part;
    const site = showPath(v.about?.site ?? '');
    const at = v.about?.at;
    return new EspalierError([
      diagnostic('ESP1240', { operator: v.op, site, why }, at ? { primary: { span: at, text: 'this operator' } } : {}),
    ]);
  }
}
