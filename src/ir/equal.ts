/** Structural equality: values are equal when they compute the same expression, whatever their ids and what else is known of them. */
import { postorder } from './graph.js';
import { showType } from './ops/shapes.js';
import { showAttrs } from './text/print.js';
import type { Value } from './types.js';

/** Gives equal expressions equal numbers, across functions and modules. */
export class Numbering {
  private readonly classes = new Map<string, number>();
  private readonly known = new Map<Value, number>();

  of(root: Value): number {
    for (const v of postorder([root], (x) => x.inputs.filter((y) => !this.known.has(y)))) {
      if (this.known.has(v)) continue;
      const key = `${v.op}${showAttrs(v)}:${showType(v.type)}(${v.inputs.map((x) => this.known.get(x)).join(',')})`;
      let n = this.classes.get(key);
      if (n === undefined) {
        n = this.classes.size;
        this.classes.set(key, n);
      }
      this.known.set(v, n);
    }
    return this.known.get(root)!;
  }
}
