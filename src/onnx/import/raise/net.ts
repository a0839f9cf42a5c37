/** The graph while it is raised: each value with what makes it, which rules replace by something that says more. */
import { sizeOf } from '../../../ir/ops/shapes.js';
import type { GraphNode } from '../graph.js';
import { ARGUMENT, type Code, type Value } from '../node.js';
import type { TypedGraph } from '../types.js';

/** A layer that a site of the model is: how the language makes it, and which constants of the graph are its parameters. */
export interface Layer {
  /** `Linear(64 -> 192)` */
  readonly make: string;
  readonly params: readonly LayerParam[];
}

export interface LayerParam {
  readonly name: string;
  /** A constant of the graph. */
  readonly constant: string;
  /** As the language has it; the same elements in another shape, or transposed. */
  readonly shape: readonly number[];
  readonly transposed?: boolean;
}

/** What makes a value. */
export interface Maker {
  /** The operator of the file, or one that a rule raised it to: `Gelu`, `LayerNorm`. */
  readonly op: string;
  readonly inputs: readonly (string | undefined)[];
  readonly output: string;
  /** The node of the file, the last one where there were several. */
  readonly node: GraphNode;
  /** What it is in the language, where it is an expression. */
  readonly code?: Code;
  /** What it is called with its first input, where it is a layer. */
  readonly layer?: Layer;
  /** Numbers that a rule found and another one asks for. */
  readonly eps?: number;
}

/** The values that a maker reads when it runs. */
export function readsOf({ code, inputs }: Maker): readonly string[] {
  if (!code) return inputs.slice(0, 1) as string[];
  return [...new Set(code.text.match(ARGUMENT))].map((a) => code.args[Number(a.slice(3))]!);
}

export class Net {
  readonly makers = new Map<string, Maker>();
  readonly values: ReadonlyMap<string, Value>;
  private readonly uses = new Map<string, number>();

  constructor(
    readonly graph: TypedGraph,
    outputs: readonly string[],
  ) {
    this.values = graph.values;
    // A node that changes nothing (a cast to the type that it is of, a dropout) is what it reads.
    const same = new Map<string, string>();
    const own = (value: string): string => same.get(value) ?? value;
    for (const node of graph.nodes) {
      for (const output of node.outputs) {
        const given = output === undefined ? undefined : graph.code.get(output);
        if (output === undefined || !given) continue;
        const code = { ...given, args: given.args.map(own) };
        const alias = /^arg(\d+)$/.exec(code.text);
        if (alias) same.set(output, code.args[Number(alias[1])]!);
        const inputs = node.inputs.map((i) => (i === undefined ? undefined : own(i)));
        this.makers.set(output, { op: node.op, inputs, output, node, code });
      }
    }
    for (const maker of this.needed(outputs)) {
      for (const v of readsOf(maker)) this.uses.set(v, (this.uses.get(v) ?? 0) + 1);
    }
  }

  /** What makes the values that some need, each behind what it reads. */
  needed(outputs: readonly string[]): Maker[] {
    const wanted = new Set(outputs);
    const kept: Maker[] = [];
    for (const maker of [...this.makers.values()].reverse()) {
      if (!wanted.has(maker.output)) continue;
      kept.push(maker);
      for (const value of readsOf(maker)) wanted.add(value);
    }
    return kept.reverse();
  }

  shape(value: string): readonly number[] {
    return this.values.get(value)!.type.shape;
  }

  /** How many nodes of the file read a value, of those that the outputs need. */
  readers(value: string): number {
    return this.uses.get(value) ?? 0;
  }

  /** The number that a value is known to be, whatever its axes of size 1. */
  number(value: string): number | undefined {
    const v = this.values.get(value);
    if (!v?.known || sizeOf(v.type.shape) !== 1) return undefined;
    return v.known().data[0];
  }

  /** Whether a value is a weight: floats of the file. */
  isWeight(value: string): boolean {
    return this.graph.constants.has(value) && this.values.get(value)!.type.dtype === 'f32';
  }

  /** Whether two constants are the same numbers, as far as that is known. */
  equal(a: string, b: string): boolean {
    if (a === b) return true;
    const [x, y] = [this.values.get(a)!, this.values.get(b)!];
    if (!x.known || !y.known || x.type.shape.join() !== y.type.shape.join()) return false;
    const [p, q] = [x.known().data, y.known().data];
    for (let i = 0; i < p.length; i++) if (p[i] !== q[i]) return false;
    return true;
  }
}
