/**
 * Types of a graph's values, and what of them is known without running it: the first walk. Each node's rule says what it is in the language, and that
 * expression's type is the type of what the node gives; what follows from shapes and constants alone is computed here and stands in no program.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { Scratch } from '../../dsl/scratch.js';
import type { OnnxModel, OnnxType } from '../../formats/onnx/types.js';
import { BATCH, isBatch } from '../../ir/batch.js';
import { ShapeError } from '../../ir/ops/errors.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import type { TensorType } from '../../ir/types.js';
import type { Graph, GraphNode } from './graph.js';
import { ARGUMENT, type Code, NodeView, type Rows, Unsuitable, type Value } from './node.js';
import { FOLDS, onnxTypes, RULES } from './operators/index.js';
import { dtypeOf, isFloat } from './operators/text.js';
import { picked, rowsOf } from './rows.js';
import type { Known } from './rule.js';

export interface TypedGraph {
  readonly nodes: readonly GraphNode[];
  readonly values: ReadonlyMap<string, Value>;
  /** What each value that a node makes is in the language. */
  readonly code: ReadonlyMap<string, Code>;
  /** Values of the graph that are constants of the program: initialisers, and what was computed of them. */
  readonly constants: ReadonlySet<string>;
}

/** Floats are computed here only where there are few: what is larger is a weight, and its computation a part of the program. */
const FEW = 64;

export interface TypedInput {
  readonly name: string;
  readonly onnx: OnnxType;
  readonly shape: readonly number[];
}

/** @throws EspalierError ESP1230 (operators that are not read, all of them), ESP1231 (a node that is not what its operator allows) */
export function typesOf(
  model: OnnxModel,
  graph: Graph,
  inputs: readonly TypedInput[],
  outputs: readonly string[],
): TypedGraph {
  return new Types(model, graph, inputs, outputs).graph();
}

class Types {
  private readonly scratch = new Scratch();
  private readonly values = new Map<string, Value>();
  private readonly code = new Map<string, Code>();
  private readonly constants = new Set<string>();
  /** Values that a node reads and that are not there. */
  private readonly unmade = new Set<string>();
  private readonly makers = new Map<string, GraphNode>();
  private readonly missing = new Map<string, string[]>();
  /** What nodes of operators that are not read take of others: where the graph could be cut. */
  private readonly before = new Set<string>();
  private readonly errors: Diagnostic[] = [];

  constructor(
    private readonly model: OnnxModel,
    private readonly given: Graph,
    inputs: readonly TypedInput[],
    private readonly outputs: readonly string[],
  ) {
    for (const [name, t] of given.initialisers) {
      const type = { dtype: dtypeOf(t.dtype), shape: t.shape };
      const known = (): Known => ({ dtype: t.dtype, shape: t.shape, data: t.read() });
      this.values.set(name, { name, type, onnx: t.dtype, ...(t.held ? { known } : { beside: true }) });
      this.constants.add(name);
    }
    for (const { name, onnx, shape } of inputs) {
      this.values.set(name, { name, onnx, type: { dtype: dtypeOf(onnx), shape } });
    }
  }

  graph(): TypedGraph {
    const wanted = new Set(this.outputs);
    for (const n of this.given.nodes) for (const i of n.inputs) if (i !== undefined) wanted.add(i);
    for (const node of this.given.nodes) this.node(node, (o) => wanted.has(o));
    const { file } = this.model;
    if (this.missing.size > 0) {
      const operators = [...this.missing].map(([op, nodes]) => ({ op, nodes }));
      throw new EspalierError([diagnostic('ESP1230', { file, operators, before: [...this.before] }), ...this.errors]);
    }
    if (this.errors.length > 0) throw new EspalierError(this.errors);
    // A function of the file may say that it gives what none of its nodes makes.
    const lost = [...this.outputs, ...this.unmade].find((o) => !this.values.has(o));
    if (lost !== undefined) {
      const why = 'no node and no input is that value, here or in a function that is called';
      throw new EspalierError([diagnostic('ESP1231', { file, node: `\`${lost}\``, why })]);
    }
    const counted = this.outputs.find((o) => this.values.get(o)?.rows);
    if (counted !== undefined) {
      const why = 'it is the numbers of the samples, which each call counts anew';
      throw new EspalierError([diagnostic('ESP1231', { file, node: `\`${counted}\``, why })]);
    }
    // What was computed here needs no node; what only that needed is left out when the rest has been raised.
    const nodes = this.given.nodes.filter((n) => n.outputs.some((o) => o !== undefined && this.code.has(o)));
    return { nodes, values: this.values, code: this.code, constants: this.constants };
  }

  private node(node: GraphNode, wanted: (output: string) => boolean): void {
    const operands = withBatch(
      node,
      node.inputs.map((i) => (i === undefined ? undefined : this.values.get(i))),
    );
    const rule = ownOf(RULES, node.op);
    if (!rule && !ownOf(FOLDS, node.op) && node.op !== 'Shape' && node.op !== 'Size') {
      this.missing.set(node.op, [...(this.missing.get(node.op) ?? []), node.label]);
      for (const i of node.inputs) if (i !== undefined && this.code.has(i)) this.before.add(i);
      return;
    }
    // What could not be worked out has been said where it is made, if it is made anywhere.
    const absent = node.inputs.filter((name, i) => name !== undefined && operands[i] === undefined);
    if (absent.length > 0) {
      for (const name of absent) this.unmade.add(name!);
      return;
    }
    const view = new NodeView(node, operands, wanted);
    try {
      const rows = rowsOf(node, operands);
      const pick = picked(node, operands, (value) => this.source(value));
      const known = rows || pick ? undefined : this.folded(node, view, operands);
      if (rows) this.count(node, rows);
      else if (pick) this.expression(node, 0, pick, view);
      else if (known) this.know(node, known);
      else if (operands.some((o) => o?.rows))
        view.fail('works with the numbers of samples, which each sample has for itself');
      else if (!rule) view.fail('needs what is known only when it runs');
      else this.make(node, view, [rule(view)].flat());
    } catch (error) {
      if (error instanceof Unsuitable) this.error(node, error.message);
      else if (error instanceof EspalierError) this.errors.push(...error.diagnostics);
      else throw error;
    }
  }

  private error(node: GraphNode, why: string): void {
    this.errors.push(diagnostic('ESP1231', { file: this.model.file, node: node.label, why }));
  }

  /** What the node gives if that is known now. */
  private folded(node: GraphNode, view: NodeView, operands: readonly (Value | undefined)[]) {
    if (node.op === 'Shape') return [this.shape(view)];
    if (node.op === 'Size') {
      return [{ dtype: 'int64', shape: [], data: [sizeOf(view.in(0).type.shape)] } satisfies Known];
    }
    const fold = ownOf(FOLDS, node.op);
    const all = operands.filter((o): o is Value => o !== undefined);
    if (!fold || !all.every((o) => o.known)) return undefined;
    const few = all.every((o) => sizeOf(o.type.shape) <= FEW);
    if (!few && all.some((o) => isFloat(o.onnx))) return undefined;
    const results = fold(
      view,
      operands.map((o) => o?.known?.()),
    );
    return results.length > 0 ? results : undefined;
  }

  private shape(view: NodeView): Known {
    const { shape } = view.in(0).type;
    const rank = shape.length;
    const place = (at: number): number => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
    const data = shape.slice(place(view.int('start', 0)), place(view.int('end', rank)));
    return { dtype: 'int64', shape: [data.length], data };
  }

  private know(node: GraphNode, results: readonly Known[]): void {
    results.forEach((known, i) => {
      const name = node.outputs[i];
      if (name === undefined) return;
      const type: TensorType = { dtype: dtypeOf(known.dtype), shape: known.shape };
      this.values.set(name, { name, type, onnx: known.dtype, known: () => known });
      this.constants.add(name);
    });
  }

  private make(node: GraphNode, view: NodeView, texts: readonly string[]): void {
    const args = node.inputs.map((i) => i ?? '');
    view.tables.forEach((known, i) => {
      const name = `${node.outputs.find((o) => o)}/table${i}`;
      this.values.set(name, {
        name,
        type: { dtype: dtypeOf(known.dtype), shape: known.shape },
        onnx: known.dtype,
        known: () => known,
      });
      this.constants.add(name);
      args.push(name);
    });
    const types: TensorType[] = [];
    node.outputs.forEach((output, i) => {
      const text = texts[i];
      if (output === undefined || !view.wanted[i]) return;
      if (text === undefined) {
        this.error(node, `has an output ${i} that is not read`);
        return;
      }
      const type = this.expression(node, i, { text, args }, view);
      if (type) types[i] = type;
    });
    const elements = onnxTypes(view, types);
    types.forEach((type, i) => {
      const name = node.outputs[i]!;
      this.values.set(name, { name, type, onnx: elements[i]! });
    });
  }

  /** Notes what an output is; undefined if that makes no sense, which is said. */
  private expression(node: GraphNode, output: number, code: Code, view: NodeView): TensorType | undefined {
    const name = node.outputs[output]!;
    const named = [...new Set(code.text.match(ARGUMENT))];
    const operands = named.map((a) => [a, this.values.get(code.args[Number(a.slice(3))]!)!.type] as const);
    if (operands.some(([, type]) => type.shape.includes(0))) {
      this.error(node, 'reads a tensor without elements, and a tensor has some here');
      return undefined;
    }
    const typed = this.typed(code.text, operands);
    if ('errors' in typed) {
      this.error(node, typed.errors.map((e) => e.message).join('; '));
      return undefined;
    }
    const type = typed.types[0]!;
    this.values.set(name, { name, type, onnx: onnxTypes(view, [type])[0]! });
    this.code.set(name, code);
    this.makers.set(name, node);
    return type;
  }

  /** What a file says may be of no size that a tensor can have. */
  private typed(text: string, operands: readonly (readonly [string, TensorType])[]) {
    try {
      return this.scratch.typed(text, new Map(operands));
    } catch (error) {
      if (error instanceof ShapeError) return { errors: [error] };
      throw error;
    }
  }

  private count(node: GraphNode, rows: Rows): void {
    const name = node.outputs[0]!;
    this.values.set(name, { name, type: { dtype: 'i32', shape: [BATCH] }, onnx: 'int64', rows });
  }

  /** The node that makes a value, and its first operand. */
  private source(value: string): { node: GraphNode; from: Value } | undefined {
    const node = this.makers.get(value);
    const from = node?.inputs[0] === undefined ? undefined : this.values.get(node.inputs[0]);
    return node && from ? { node, from } : undefined;
  }
}

/**
 * Exporters write the batch that they saw as a number: `Reshape(x, [1, 64, 64, -1])` of an x that holds any number of samples. For the samples of one call it says what is
 * meant where that number is of each sample; as it stands it would put the batch into an axis inside.
 */
function withBatch(node: GraphNode, operands: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
  const [x, target] = operands;
  if (node.op !== 'Reshape' || !x || !target?.known || !isBatch(x.type.shape[0] ?? 1)) return operands;
  const known = target.known();
  const sizes = Array.from(known.data, (d, i) => (d === 0 ? (x.type.shape[i] ?? 0) : d));
  const [first] = sizes;
  if (first === undefined || first < 1 || sizes.some(isBatch)) return operands;
  const each = [first * BATCH, ...sizes.slice(1)];
  const rest = each.filter((d) => d !== -1).reduce((p, d) => p * d, 1);
  const all = sizeOf(x.type.shape);
  if (each.includes(-1) ? all % rest !== 0 : all !== rest) return operands;
  return [x, { ...target, known: () => ({ ...known, data: each }) }];
}

/** An operator of a file may be called as what every object has (`constructor`). */
const ownOf = <T>(table: Readonly<Record<string, T>>, op: string): T | undefined =>
  Object.hasOwn(table, op) ? table[op] : undefined;
