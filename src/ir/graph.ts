/** Making values, and walking and rewriting the graph they form. Everything is iterative: graphs are deep. */

import { hasBatch, wrongShape } from './batch.js';
import { ShapeError } from './ops/errors.js';
import { inferType, OPS } from './ops/index.js';
import { showShape } from './ops/shapes.js';
import type { About, DType, Func, Module, OpAttrs, OpName, Param, TensorType, Value } from './types.js';

export { ShapeError } from './ops/errors.js';

let next = 0;

/** How many values this process has made: what a piece of work made is the difference. */
export const valuesMade = (): number => next;

function value(op: OpName, inputs: readonly Value[], attrs: object, type: TensorType, about?: About): Value {
  const kept = about && Object.keys(about).length > 0 && !isNumber({ op, attrs }) ? { about } : {};
  const needsInput = OPS[op].traits.known === 'call' || inputs.some((x) => x.needsInput);
  const needsBatch = op === 'batch_size' || hasBatch(type.shape) || inputs.some((x) => x.needsBatch);
  const grafted = about?.owner !== undefined;
  const readsBase = op === 'param' ? !grafted : inputs.some((x) => x.readsBase);
  const readsGrafted = op === 'param' ? grafted : inputs.some((x) => x.readsGrafted);
  return { id: next++, op, inputs, attrs, type, needsInput, needsBatch, readsBase, readsGrafted, ...kept } as Value;
}

/** Whether it is a number, of type f32: nobody's, wherever it is used. */
export function isNumber(v: { readonly op: OpName; readonly attrs: object }): v is Extract<Value, { op: 'constant' }> {
  if (v.op !== 'constant') return false;
  const { dtype, shape } = v.attrs as OpAttrs['constant'];
  return dtype === 'f32' && shape.length === 0;
}

/**
 * The value of an operator; its type comes from the operator table.
 * @throws ShapeError when operands or attributes do not fit.
 */
export function make<O extends OpName>(op: O, inputs: readonly Value[], attrs: OpAttrs[O], about?: About): Value {
  return value(op, inputs, attrs, inferType(op, inputs, attrs), about);
}

/**
 * An argument of a function.
 * @throws ShapeError when a size is neither a positive integer nor a multiple of the batch.
 */
export function input(name: string, type: TensorType): Value {
  const wrong = wrongShape(type.shape);
  if (wrong !== undefined) throw new ShapeError('input', [], `${showShape(type.shape)} ${wrong}`);
  return value('input', [], { name }, type);
}

/** A reading of a parameter. */
export function paramRef(param: Param): Value {
  return value('param', [], { name: param.name }, param.type, param.about);
}

/** A tensor whose elements are all `number`. */
export function constant(number: number, shape: readonly number[] = [], dtype: DType = 'f32', about?: About): Value {
  return make('constant', [], { value: number, dtype, shape }, about);
}

/** The same operator over other operands; the value itself when they are the same. Keeps what is known of it. */
export function withInputs(v: Value, inputs: readonly Value[]): Value {
  if (inputs.length === v.inputs.length && inputs.every((x, i) => x === v.inputs[i])) return v;
  return make(v.op, inputs, v.attrs, v.about);
}

const operandsOf = (v: Value): readonly Value[] => v.inputs;

/** Every value that the results need, operands before users; each once. Depth-first from the results in order, so stable. */
export function topological(results: readonly Value[]): Value[] {
  return postorder(results, operandsOf);
}

/** The same walk over a part of a graph, or over nodes of another kind: `below` says where it goes on from each. */
export function postorder<T>(roots: readonly T[], below: (node: T) => readonly T[]): T[] {
  const order: T[] = [];
  const done = new Set<T>();
  const stack: T[] = [];
  // What is below each open node, and how far that is walked.
  const open: (readonly T[])[] = [];
  const cursor: number[] = [];
  for (const root of roots) {
    if (done.has(root)) continue;
    done.add(root);
    stack.push(root);
    open.push(below(root));
    cursor.push(0);
    while (stack.length > 0) {
      const top = stack.length - 1;
      const v = stack[top]!;
      const at = cursor[top]!;
      const inputs = open[top]!;
      if (at < inputs.length) {
        cursor[top] = at + 1;
        const x = inputs[at]!;
        if (!done.has(x)) {
          done.add(x);
          stack.push(x);
          open.push(below(x));
          cursor.push(0);
        }
      } else {
        order.push(v);
        stack.pop();
        open.pop();
        cursor.pop();
      }
    }
  }
  return order;
}

/** All that a function computes: its results in order, then what its state becomes. Where every walk over it begins. */
export function rootsOf(func: Pick<Func, 'results' | 'updates'>): Value[] {
  return [...func.results, ...func.updates].map((r) => r.value);
}

/** The function with another value for each root; inputs stay. What a pass that rebuilds a graph gives back. */
export function mapRoots(func: Func, image: (root: Value) => Value): Func {
  return {
    ...func,
    results: func.results.map(({ name, value }) => ({ name, value: image(value) })),
    updates: func.updates.map(({ state, value }) => ({ state, value: image(value) })),
  };
}

/**
 * A function whose values are `rule(value, its inputs already rewritten)`, operands first, each value once. A rule that keeps a
 * value returns `withInputs(value, inputs)`. Arguments are not offered to the rule; they stay.
 */
export function rewriteFunc(func: Func, rule: (value: Value, inputs: readonly Value[]) => Value): Func {
  return mapRoots(func, rewriteValues(rootsOf(func), rule));
}

/**
 * The map behind `rewriteFunc`, for any set of roots. With `below` a part of a graph is rewritten: `inputs` are the images of what is
 * below a value, and arguments are offered too.
 */
export function rewriteValues(
  roots: readonly Value[],
  rule: (value: Value, inputs: readonly Value[]) => Value,
  below?: (value: Value) => readonly Value[],
): (value: Value) => Value {
  const images = new Map<Value, Value>();
  for (const v of postorder(roots, below ?? operandsOf)) {
    const inputs = (below ?? operandsOf)(v).map((x) => images.get(x)!);
    images.set(v, v.op === 'input' && !below ? v : rule(v, inputs));
  }
  return (v) => {
    const image = images.get(v);
    if (!image) throw new Error(`value ${v.id} (${v.op}) was not reached from the roots`);
    return image;
  };
}

/** Parameters that are weights of the model: what checkpoints have, trained or not. */
export function weightsOf({ params }: Pick<Module, 'params'>): Param[] {
  return [...params.values()].filter(({ role }) => role === 'frozen' || role === 'trainable' || role === 'statistic');
}

/** Names of the parameters that the functions read, in first-use order. */
export function usedParams(...funcs: readonly Func[]): string[] {
  const names = new Set<string>();
  for (const f of funcs) for (const v of topological(rootsOf(f))) if (v.op === 'param') names.add(v.attrs.name);
  return [...names];
}
