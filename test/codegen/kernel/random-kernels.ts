/** Random kernel programs on small numbers: in part what generators would write, in part what nobody should. */

import * as e from '../../../src/codegen/kernel/expr.js';
import type { Expr, Kernel, KernelFunction, Stmt } from '../../../src/codegen/kernel/types.js';
import { constIndex, div, type Index, LANE, mod, scale, sum, variable } from '../../../src/codegen/read/indexing.js';

export const THREADS = 8;
export const GROUPS = 3;
/** Elements of every array. No multiple of four, so that the padding of `x` matters. */
export const COUNT = 23;

/** Writes a program; every decision is the next number of a tape, so that a shorter tape is a smaller program. */
export class Writer {
  private next = 0;
  private made = 0;
  private readonly scopes: { readonly names: string[]; readonly variables: string[] }[] = [];
  private calls = false;

  constructor(private readonly tape: readonly number[]) {}

  kernel(): Kernel {
    this.scopes.push({ names: ['p'], variables: [] });
    const f: KernelFunction = {
      name: 'f',
      params: [{ name: 'p', type: e.U32 }],
      result: e.U32,
      body: [...this.body(2), { kind: 'return', value: this.expr(2) }],
    };
    this.scopes.pop();
    this.calls = true;
    this.scopes.push({ names: ['group', 'thread'], variables: [] });
    const group = e.component(e.name('tile', { scalar: 'u32', lanes: 3 }), 0);
    const main = [...this.statements(3, 3), ...this.statements(3, 3)];
    return {
      workgroup: [THREADS, 1, 1],
      inputs: [
        { name: 'tile', builtin: 'workgroup_id' },
        { name: 'thread', builtin: 'local_invocation_index' },
      ],
      buffers: [
        { name: 'x', access: 'read', element: 'u32', count: COUNT, padded: true },
        { name: 'y', access: 'read_write', element: 'u32', count: COUNT, padded: false },
      ],
      shared: [{ name: 'a', type: e.U32, count: COUNT }],
      functions: [f],
      main: [
        { kind: 'let', name: 'group', value: group },
        { kind: 'put', array: 'a', at: e.uint('thread'), value: group },
        { kind: 'barrier' },
        ...main,
      ],
    };
  }

  /** A number below `n`. */
  private pick(n: number): number {
    return (this.tape[this.next++] ?? 0) % n;
  }

  private name(): string {
    const names = this.scopes.flatMap((s) => s.names);
    return names[names.length - 1 - this.pick(names.length)]!;
  }

  private index(): Index {
    const extents = [3, 6, 8, COUNT, 50];
    const one = (): Index =>
      scale(variable(this.name(), extents[this.pick(5)]!), [1, 1, 2, 3, 4, 8, -1][this.pick(7)]!);
    const x = sum(one(), ...(this.pick(2) ? [one()] : []), constIndex(this.pick(6) - 2));
    return [x, div(x, 2 + this.pick(4)), mod(x, 2 + this.pick(6)), sum(mod(x, 4), one())][this.pick(6)] ?? x;
  }

  /** An address of four: neighbours, mostly from a multiple of four. */
  private wide(): Index {
    const x = this.index();
    return [sum(scale(variable(this.name(), 6), 4), LANE), sum(scale(x, 4), LANE), sum(x, LANE), div(sum(x, LANE), 2)][
      this.pick(4)
    ]!;
  }

  private expr(depth: number): Expr {
    const some = (): Expr => this.expr(depth - 1);
    const small = (): Expr => e.u32(1 + this.pick(9));
    switch (depth === 0 ? this.pick(2) : this.pick(14)) {
      case 0:
        return e.uint(this.name());
      case 1:
        return e.u32(this.pick(COUNT));
      case 2:
        return e.add(some(), some());
      case 3:
        return e.sub(some(), some());
      case 4:
        return e.mul(some(), small());
      case 5:
        return e.div(some(), small());
      case 6:
        return e.rem(some(), small());
      case 7:
        return e.builtin('min', some(), some());
      case 8:
        return e.builtin('max', some(), some());
      case 9:
        return e.select(some(), some(), this.condition(1));
      case 10:
        if (this.pick(2)) return e.component(e.load('x', 'u32', this.wide()), this.pick(4));
        return e.load('x', 'u32', this.index());
      case 11:
        return e.item('a', e.U32, this.place());
      case 12:
        return this.calls ? e.call('f', e.U32, [some()]) : e.binary('>>', some(), e.u32(1));
      default:
        return e.address(this.index());
    }
  }

  /** An element of workgroup memory: mostly one that other threads leave alone. */
  private place(): Expr {
    const own = e.uint(this.calls ? 'thread' : 'p');
    return [own, own, e.add(own, e.u32(this.pick(17))), this.expr(1)][this.pick(4)]!;
  }

  private condition(depth: number): Expr {
    const op = (['<', '<', '>=', '==', '!=', '<='] as const)[this.pick(6)]!;
    switch (depth === 0 ? 0 : this.pick(8)) {
      case 1:
        return e.below(this.pick(3) ? this.index() : this.wide(), 1 + this.pick(COUNT));
      case 2:
        return e.binary('&&', this.condition(depth - 1), this.condition(depth - 1));
      case 3:
        return e.binary('||', this.condition(depth - 1), this.condition(depth - 1));
      case 4:
        return e.unary('!', this.condition(depth - 1));
      case 5:
        return e.binary(op, this.expr(1), this.expr(1));
      case 6:
        return e.binary(op, e.uint(this.calls ? 'thread' : 'p'), e.u32(this.pick(THREADS)));
      default:
        return e.binary(op, e.uint(this.name()), e.u32(this.pick(COUNT + 2)));
    }
  }

  private body(depth: number, names: readonly string[] = []): Stmt[] {
    this.scopes.push({ names: [...names], variables: [] });
    const result = this.statements(depth, 1);
    this.scopes.pop();
    return result;
  }

  private statements(depth: number, least: number): Stmt[] {
    return Array.from({ length: least + this.pick(4) }, () => this.stmt(depth));
  }

  private stmt(depth: number): Stmt {
    const scope = this.scopes.at(-1)!;
    const variables = this.scopes.flatMap((s) => s.variables);
    switch (this.pick(depth === 0 ? 9 : 14)) {
      case 0:
      case 1: {
        const value = this.expr(2);
        const name = `n${this.made++}`;
        scope.names.push(name);
        return { kind: 'let', name, value };
      }
      case 2: {
        const value = this.expr(1);
        const name = `n${this.made++}`;
        scope.names.push(name);
        scope.variables.push(name);
        return { kind: 'var', name, type: e.U32, value };
      }
      case 3:
      case 4:
        if (variables.length > 0) {
          return { kind: 'assign', name: variables[this.pick(variables.length)]!, value: this.expr(2) };
        }
        return { kind: 'barrier' };
      case 5:
        return { kind: 'put', array: 'a', at: this.place(), value: this.expr(1) };
      case 6: {
        const lanes = this.pick(2) ? 4 : 1;
        const index = (): Index => (lanes === 4 ? this.wide() : this.index());
        const when = this.pick(2) ? [{ index: index(), below: 1 + this.pick(COUNT) }] : [];
        return { kind: 'store', buffer: 'y', at: index(), value: e.splat(this.expr(1), lanes), when };
      }
      case 7:
        return { kind: 'barrier' };
      case 8:
        return {
          kind: 'if',
          cases: [
            {
              when: this.condition(2),
              body: [this.calls ? { kind: 'return' } : { kind: 'return', value: this.expr(1) }],
            },
          ],
        };
      case 9:
      case 10:
      case 11:
        return {
          kind: 'if',
          cases: Array.from({ length: 1 + this.pick(2) }, () => ({
            when: this.condition(2),
            body: this.body(depth - 1),
          })),
          ...(this.pick(2) ? { otherwise: this.body(depth - 1) } : {}),
        };
      default: {
        const [from, below] = [this.expr(this.pick(2)), this.expr(this.pick(2))];
        const name = `n${this.made++}`;
        return { kind: 'for', name, from, below, step: 1 + this.pick(3), body: this.body(depth - 1, [name]) };
      }
    }
  }
}
