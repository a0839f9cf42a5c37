/**
 * `prepare` as an entry: it computes the weights that other entries read, and writes them where and as those read them. What a layout does to a
 * tensor is said in the IR, by padding, reshaping and transposing, so the generators that write any other result write this one, what pads it included.
 */
import { build } from '../../ir/build.js';
import { make, paramRef, rewriteValues, withInputs } from '../../ir/graph.js';
import type { Func, Module, Update, Value } from '../../ir/types.js';
import { extent, type Layout } from '../buffers/layout.js';
import type { WeightRecipe } from '../buffers/weights.js';

/** The function that computes a tensor for each recipe, in their order: what the module's `prepare` gives, or a parameter, as it lies in memory. */
export function preparing(module: Module, recipes: readonly WeightRecipe[]): Func {
  const given = new Map((module.funcs.get('prepare')?.results ?? []).map((r) => [r.name, r.value]));
  const updates = recipes.map(({ entry, param, packed }): Update => {
    const value = given.get(param) ?? paramRef(module.params.get(param)!);
    return { state: entry.name, value: packed ? arranged(seen(packed.view, value), packed.layout) : value };
  });
  return { name: 'prepare', inputs: [], results: [], updates };
}

/** A view of a parameter as that of another value. */
function seen(view: Value, of: Value): Value {
  return rewriteValues([view], (v, inputs) => (v.op === 'param' ? of : withInputs(v, inputs)))(view);
}

/** The tensor of a layout's digits, outermost first: its elements, in row-major order, are those of the buffer. */
function arranged(v: Value, layout: Layout): Value {
  const { shape, digits } = layout;
  const matrix = build.reshape(v, shape);
  const more = shape.map((d, axis) => extent(layout, axis) - d);
  const whole = more.some((n) => n > 0)
    ? make('pad', [matrix], { low: shape.map(() => 0), high: more, value: 0 }, v.about)
    : matrix;
  // Digits of each axis, outermost first, as row-major order has them.
  const inOrder = digits
    .map((digit, place) => ({ ...digit, place }))
    .sort((a, b) => a.axis - b.axis || b.by - a.by || a.place - b.place);
  const apart = build.reshape(
    whole,
    inOrder.map((d) => d.of),
  );
  const at = new Map(inOrder.map((d, i) => [d.place, i]));
  return build.transpose(
    apart,
    digits.map((_, place) => at.get(place)!),
  );
}
