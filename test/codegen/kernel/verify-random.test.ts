/**
 * The verifier against runs: random programs on small numbers, run by every thread. What the verifier does not object to must not happen: no
 * address outside of its range or its buffer, no thread that misses a barrier, no element of workgroup memory that two threads contend for.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { constIndex, div, evaluate, type Index, mod, scale, sum, variable } from '../../../src/codegen/indexing.js';
import * as e from '../../../src/codegen/kernel/expr.js';
import type { BinaryOp, Expr, Kernel, KernelFunction, Stmt } from '../../../src/codegen/kernel/types.js';
import { type Rule, verifyKernel } from '../../../src/codegen/kernel/verify.js';

const THREADS = 8;
const GROUPS = 3;
const COUNT = 24;

/** Writes a program; every decision is the next number of a tape, so that a shorter tape is a smaller program. */
class Writer {
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
        { name: 'x', access: 'read', element: 'u32', count: COUNT, padded: false },
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
    const extents = [3, 8, COUNT, 50];
    const one = (): Index => scale(variable(this.name(), extents[this.pick(4)]!), [1, 1, 2, 3, 8, -1][this.pick(6)]!);
    const x = sum(one(), ...(this.pick(2) ? [one()] : []), constIndex(this.pick(6) - 2));
    return [x, div(x, 2 + this.pick(4)), mod(x, 2 + this.pick(6)), sum(mod(x, 4), one())][this.pick(6)] ?? x;
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
        return e.below(this.index(), 1 + this.pick(COUNT));
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
        const when = this.pick(2) ? [{ index: this.index(), below: 1 + this.pick(COUNT) }] : [];
        return { kind: 'store', buffer: 'y', at: this.index(), value: this.expr(1), when };
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

interface Touch {
  readonly thread: number;
  readonly at: number;
  readonly put: boolean;
}

/** A thread that does more than this is not followed further. */
const MOST_STEPS = 3000;

class Endless extends Error {}

/** One thread. What it loads from `x` depends on the place only, what it finds in workgroup memory is anything. */
class Thread {
  readonly broken = new Set<Rule>();
  /** What it touched between barriers, and which barriers these were. */
  readonly phases: Touch[][] = [[]];
  readonly barriers: Stmt[] = [];
  private steps = 0;
  private noise: number;

  constructor(
    private readonly program: Kernel,
    private readonly group: number,
    private readonly thread: number,
  ) {
    this.noise = thread * 77 + group * 13 + 5;
  }

  run(): void {
    this.body(this.program.main, new Map([['thread', this.thread]]));
  }

  private address(x: Index, env: Map<string, number>): number {
    const check = (y: Index): void => {
      for (const { atom } of y.terms) {
        if (atom.kind !== 'var') check(atom.of);
        else if (env.get(atom.name)! > atom.hi) this.broken.add('range');
      }
    };
    check(x);
    return evaluate(x, Object.fromEntries(env));
  }

  private inside(at: number, count: number): void {
    if (at < 0 || at >= count) this.broken.add('bounds');
  }

  private touch(at: number, put: boolean): void {
    this.inside(at, COUNT);
    this.phases.at(-1)!.push({ thread: this.thread, at, put });
  }

  private num(x: Expr, env: Map<string, number>): number {
    if (++this.steps > MOST_STEPS) throw new Endless();
    switch (x.kind) {
      case 'literal':
        return x.value;
      case 'name':
        return env.get(x.name)!;
      case 'component':
        return this.group;
      case 'address':
        return this.address(x.index, env) >>> 0;
      case 'below':
        return Number(this.address(x.index, env) >>> 0 < x.below);
      case 'unary':
        return 1 - this.num(x.x, env);
      case 'load': {
        const at = this.address(x.at, env);
        this.inside(at, COUNT);
        return (Math.imul(at + 7, 2654435761) >>> 0) % 40;
      }
      case 'item': {
        this.touch(this.num(x.at, env), false);
        this.noise = (Math.imul(this.noise, 1664525) + 1013904223) >>> 0;
        return (this.noise >>> 8) % 40;
      }
      case 'call': {
        const f = this.program.functions[0]!;
        return this.body(f.body, new Map([['p', this.num(x.args[0]!, env)]]))!;
      }
      case 'builtin': {
        const [a, b, c] = x.args.map((y) => this.num(y, env)) as [number, number, number];
        return x.fn === 'select' ? (c ? b : a) : Math[x.fn as 'min' | 'max'](a, b);
      }
      case 'binary': {
        const a = this.num(x.a, env);
        if (x.op === '&&' && !a) return 0;
        if (x.op === '||' && a) return 1;
        return binary(x.op, a, this.num(x.b, env));
      }
      default:
        throw new Error(x.kind);
    }
  }

  /** What is returned: 0 where that is nothing, undefined where the end is reached. */
  private body(body: readonly Stmt[], env: Map<string, number>): number | undefined {
    for (const s of body) {
      if (++this.steps > MOST_STEPS) throw new Endless();
      const result = this.stmt(s, env);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  private stmt(s: Stmt, env: Map<string, number>): number | undefined {
    switch (s.kind) {
      case 'let':
      case 'var':
      case 'assign':
        env.set(s.name, this.num(s.value!, env));
        return undefined;
      case 'put': {
        const at = this.num(s.at, env);
        this.num(s.value, env);
        this.touch(at, true);
        return undefined;
      }
      case 'store':
        this.num(s.value, env);
        if (s.when.every((c) => this.address(c.index, env) >>> 0 < c.below))
          this.inside(this.address(s.at, env), COUNT);
        return undefined;
      case 'if':
        for (const c of s.cases) if (this.num(c.when, env)) return this.body(c.body, env);
        return this.body(s.otherwise ?? [], env);
      case 'for': {
        for (let i = this.num(s.from, env); i < this.num(s.below, env); i += s.step) {
          env.set(s.name, i);
          const result = this.body(s.body, env);
          if (result !== undefined) return result;
        }
        return undefined;
      }
      case 'barrier':
        this.barriers.push(s);
        this.phases.push([]);
        return undefined;
      case 'return':
        return s.value ? this.num(s.value, env) : 0;
      default:
        throw new Error(s.kind);
    }
  }
}

function binary(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case '+':
      return (a + b) >>> 0;
    case '-':
      return (a - b) >>> 0;
    case '*':
      return Math.imul(a, b) >>> 0;
    case '/':
      return Math.floor(a / b);
    case '%':
      return a % b;
    case '>>':
      return a >>> b;
    case '<':
      return Number(a < b);
    case '<=':
      return Number(a <= b);
    case '>=':
      return Number(a >= b);
    case '==':
      return Number(a === b);
    case '!=':
      return Number(a !== b);
    default:
      return b;
  }
}

/** Rules that a run breaks; undefined where some thread does not come to an end. */
function broken(program: Kernel): Set<Rule> | undefined {
  const all = new Set<Rule>();
  for (let group = 0; group < GROUPS; group++) {
    const threads = Array.from({ length: THREADS }, (_, t) => new Thread(program, group, t));
    try {
      for (const t of threads) t.run();
    } catch (error) {
      if (error instanceof Endless) return undefined;
      throw error;
    }
    const [first] = threads;
    for (const t of threads) {
      for (const rule of t.broken) all.add(rule);
      if (t.barriers.length !== first!.barriers.length || t.barriers.some((b, i) => b !== first!.barriers[i]))
        all.add('flow');
    }
    first!.phases.forEach((_, phase) => {
      const touches = threads.flatMap((t) => t.phases[phase] ?? []);
      for (const put of touches) {
        if (put.put && touches.some((o) => o.at === put.at && o.thread !== put.thread)) all.add('shared');
      }
    });
  }
  return all;
}

it('nothing happens that the verifier does not say may happen', () => {
  const seen = { clean: 0, broken: 0 };
  fc.assert(
    fc.property(fc.noBias(fc.array(fc.nat(9999), { minLength: 60, maxLength: 300, size: 'max' })), (tape) => {
      const program = new Writer(tape).kernel();
      const problems = verifyKernel(program, { workgroups: [GROUPS, 1, 1] });
      // Then nothing else was looked at.
      if (problems.some((p) => p.what.startsWith('the end of the loop'))) return;
      const said = new Set<Rule>(problems.map((p) => p.rule));
      expect([...said]).not.toContain('type');
      expect([...said]).not.toContain('scope');
      const found = broken(program);
      if (!found) return;
      // An address whose variables are not where it takes them to be may be anywhere; threads that have parted have no common phases.
      const excused = (rule: Rule): boolean =>
        said.has(rule) ||
        (rule === 'bounds' && said.has('range')) ||
        (rule === 'shared' && (said.has('flow') || said.has('bounds')));
      expect([...found].filter((rule) => !excused(rule))).toEqual([]);
      if (found.size > 0) seen.broken++;
      else if (said.size === 0) seen.clean++;
    }),
    { numRuns: 400 },
  );
  // The property says nothing if programs are all alike.
  expect(seen.clean).toBeGreaterThan(5);
  expect(seen.broken).toBeGreaterThan(5);
});
