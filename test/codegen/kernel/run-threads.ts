/** Runs a random program (random-kernels.ts), thread by thread, to see which rules of the verifier it breaks. */

import type { BinaryOp, Expr, Kernel, Stmt } from '../../../src/codegen/kernel/types.js';
import type { Rule } from '../../../src/codegen/kernel/verify/verify.js';
import { dependsOn, evaluate, type Index } from '../../../src/codegen/read/indexing.js';
import { COUNT, GROUPS, THREADS } from './random-kernels.js';

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

  private address(x: Index, env: Map<string, number>, lane = 0): number {
    const check = (y: Index): void => {
      for (const { atom } of y.terms) {
        if (atom.kind !== 'var') check(atom.of);
        else if (atom.name !== 'lane' && env.get(atom.name)! > atom.hi) this.broken.add('range');
      }
    };
    check(x);
    return evaluate(x, { ...Object.fromEntries(env), lane });
  }

  private inside(at: number, count: number): void {
    if (at < 0 || at >= count) this.broken.add('bounds');
  }

  private touch(at: number, put: boolean): void {
    this.inside(at, COUNT);
    this.phases.at(-1)!.push({ thread: this.thread, at, put });
  }

  private load({ at }: Extract<Expr, { kind: 'load' }>, env: Map<string, number>): number[] {
    const lanes = dependsOn(at, 'lane') ? [0, 1, 2, 3] : [0];
    return lanes.map((lane) => {
      const place = this.address(at, env, lane);
      this.inside(place, lanes.length === 4 ? Math.ceil(COUNT / 4) * 4 : COUNT);
      return (Math.imul(place + 7, 2654435761) >>> 0) % 40;
    });
  }

  /** Of four, the same for all. */
  private below(x: Index, end: number, env: Map<string, number>): number {
    const all = [0, 1, 2, 3].map((lane) => this.address(x, env, lane) >>> 0 < end);
    if (all.some((one) => one !== all[0])) this.broken.add('lanes');
    return Number(all[0]);
  }

  private num(x: Expr, env: Map<string, number>): number {
    if (++this.steps > MOST_STEPS) throw new Endless();
    switch (x.kind) {
      case 'literal':
        return x.value;
      case 'name':
        return env.get(x.name)!;
      case 'component':
        return x.x.kind === 'load' ? this.load(x.x, env)[x.at as number]! : this.group;
      case 'splat':
        return this.num(x.x, env);
      case 'address':
        return this.address(x.index, env) >>> 0;
      case 'below':
        return this.below(x.index, x.below, env);
      case 'unary':
        return 1 - this.num(x.x, env);
      case 'load':
        return this.load(x, env)[0]!;
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
        for (let lane = 0; lane < s.value.lanes; lane++) {
          if (!s.when.every((c) => this.address(c.index, env, lane) >>> 0 < c.below)) continue;
          this.inside(this.address(s.at, env, lane), COUNT);
        }
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
export function broken(program: Kernel): Set<Rule> | undefined {
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
