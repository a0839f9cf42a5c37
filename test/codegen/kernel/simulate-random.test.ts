/** Random expressions and programs, compared with what one thread after another would compute. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  BOOL,
  binary,
  builtin,
  call,
  convert,
  F32,
  f32,
  fetch,
  i32,
  item,
  literal,
  lt,
  mul,
  name,
  rem,
  select,
  U32,
  u32,
  uint,
  unary,
} from '../../../src/codegen/kernel/expr.js';
import type { BinaryOp, Expr, KernelFunction, Scalar, Stmt, Type } from '../../../src/codegen/kernel/types.js';
import { Evaluator } from './simulate-evaluator.js';
import {
  assign,
  type Bound,
  elementOf,
  floats,
  I32,
  i,
  kindsOf,
  letOf,
  loop,
  put,
  run,
  varOf,
  words,
  write,
} from './simulate-programs.js';

describe('random expressions', () => {
  const node = (type: Type, parts: object): Expr => ({ ...type, ...parts }) as Expr;
  const small = fc.constantFrom(0, 1, 2, 3, 31);
  const { float, int, unsigned, truth } = fc.letrec<Record<'float' | 'int' | 'unsigned' | 'truth', Expr>>((tie) => {
    const [x, n, u, t] = [tie('float'), tie('int'), tie('unsigned'), tie('truth')];
    const op = (ops: BinaryOp[], of: fc.Arbitrary<Expr>) =>
      fc.tuple(fc.constantFrom(...ops), of, of).map(([o, a, b]) => binary(o, a, b));
    const selected = (of: fc.Arbitrary<Expr>) => fc.tuple(of, of, t).map(([a, b, c]) => select(a, b, c));
    const converted = (to: Scalar, ...from: fc.Arbitrary<Expr>[]) => fc.oneof(...from).map((e) => convert(e, to));
    const bits = (type: Type, ...from: fc.Arbitrary<Expr>[]) =>
      fc.oneof(...from).map((e) => node(type, { kind: 'bitcast', x: e }));
    const shifts = (type: Type, of: fc.Arbitrary<Expr>) =>
      fc.tuple(fc.constantFrom('<<', '>>'), of, u).map(([o, a, b]) => node(type, { kind: 'binary', op: o, a, b }));
    const extremes = (of: fc.Arbitrary<Expr>) =>
      fc.oneof(
        fc.tuple(fc.constantFrom('min', 'max'), of, of).map(([fn, a, b]) => builtin(fn, a, b)),
        fc.tuple(of, of, of).map(([a, b, c]) => builtin('clamp', a, b, c)),
        of.map((a) => builtin('abs', a)),
      );
    const leaf = fc.constantFrom;
    return {
      float: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(leaf(name('f0', F32), name('f1', F32)), fc.float({ noNaN: true }).map(f32)),
        op(['+', '-', '*', '/', '%'], x),
        extremes(x),
        fc.tuple(x, x, x).map(([a, b, c]) => builtin('fma', a, b, c)),
        fc.tuple(fc.constantFrom('floor', 'round', 'sqrt'), x).map(([fn, a]) => builtin(fn, a)),
        x.map((a) => unary('-', a)),
        selected(x),
        converted('f32', n, u, t),
        bits(F32, n, u),
      ),
      int: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(leaf(name('i0', I32), name('i1', I32)), small.map(i32), fc.integer().map(i32)),
        op(['+', '-', '*', '/', '%', '&', '|', '^'], n),
        shifts(I32, n),
        extremes(n),
        n.map((a) => unary('-', a)),
        selected(n),
        converted('i32', x, u, t),
        bits(I32, u, leaf(name('f0', F32))),
      ),
      unsigned: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(leaf(name('u0', U32), name('u1', U32)), small.map(u32), fc.nat(0xffffffff).map(u32)),
        op(['+', '-', '*', '/', '%', '&', '|', '^'], u),
        shifts(U32, u),
        extremes(u),
        selected(u),
        converted('u32', x, n, t),
        bits(U32, n, leaf(name('f1', F32))),
      ),
      truth: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.oneof(
          leaf(name('b0', BOOL)),
          fc.nat(1).map((k) => literal(k, 'bool')),
        ),
        op(['<', '<=', '>', '>=', '==', '!='], x),
        op(['<', '<=', '>', '>=', '==', '!='], n),
        op(['<', '<=', '>', '>=', '==', '!='], u),
        op(['&&', '||', '&', '|', '==', '!='], t),
        t.map((a) => unary('!', a)),
        selected(t),
        converted('bool', x, n, u),
      ),
    };
  });

  const COUNT = 8;
  const many = (of: fc.Arbitrary<number>) => fc.array(of, { minLength: COUNT, maxLength: COUNT });
  const finite = fc.float({ noNaN: true, noDefaultInfinity: true });
  const data = fc.record({
    f0: many(finite).map((v) => Float32Array.from(v)),
    f1: many(fc.oneof(finite, small)).map((v) => Float32Array.from(v)),
    i0: many(fc.integer()).map((v) => Int32Array.from(v)),
    i1: many(small).map((v) => Int32Array.from(v)),
    u0: many(fc.nat(0xffffffff)).map((v) => Uint32Array.from(v)),
    u1: many(small).map((v) => Uint32Array.from(v)),
    b0: many(fc.nat(1)).map((v) => Uint32Array.from(v)),
  });

  it('are what one thread after another would compute', () => {
    let clean = 0;
    fc.assert(
      fc.property(fc.tuple(float, int, unsigned, truth), data, (exprs, given) => {
        const ins = Object.entries(given).map(([text, values]) => {
          const read = fetch(text, { scalar: elementOf(values), lanes: 1 }, i);
          return letOf(text, text === 'b0' ? convert(read, 'bool') : read);
        });
        const outs = [floats(COUNT), new Int32Array(COUNT), words(COUNT), words(COUNT)];
        const main = exprs.map((e, k) => write(`out${k}`, i, e.scalar === 'bool' ? convert(e, 'u32') : e));
        const buffers: Record<string, Bound> = {
          ...Object.fromEntries(Object.entries(given).map(([text, values]) => [text, { data: values }])),
          ...Object.fromEntries(outs.map((values, k) => [`out${k}`, { data: values, out: true }])),
        };
        const found = run({ main: [...ins, ...main] }, buffers, COUNT / 4);
        let zeroDivisors = 0;
        for (let t = 0; t < COUNT; t++) {
          const inputs = Object.fromEntries(
            Object.entries(given).map(([text, values]) => [text, text === 'b0' ? values[t] === 1 : values[t]!]),
          );
          const one = new Evaluator(inputs);
          exprs.forEach((e, k) => {
            const value = Number(one.of(e));
            expect(outs[k]![t]).toBe(value);
          });
          zeroDivisors += one.zeroDivisors;
        }
        expect(found.faults.reduce((sum, fault) => sum + fault.count, 0)).toBe(zeroDivisors);
        expect(kindsOf(found).every((kind) => kind === 'division-by-zero')).toBe(true);
        if (zeroDivisors === 0) clean++;
      }),
      { numRuns: 400 },
    );
    expect(clean).toBeGreaterThan(40);
  });
});

/** Programs of one thread, by recursion. Every name is a u32 that may be assigned, `p` an array of four. */
class Interpreter extends Evaluator {
  constructor(
    private readonly functions: readonly KernelFunction[],
    private readonly names: Record<string, number>,
    private readonly array = [0, 0, 0, 0],
  ) {
    super(names);
  }

  override of(e: Expr): number | boolean {
    if (e.kind === 'item') return this.array[Number(this.of(e.at))]!;
    if (e.kind !== 'call') return super.of(e);
    const { params, body } = this.functions.find((f) => f.name === e.fn)!;
    const names = Object.fromEntries(params.map((p, k) => [p.name, Number(this.of(e.args[k]!))]));
    return new Interpreter(this.functions, names).run(body)!;
  }

  /** What is returned; undefined if the end is reached. */
  run(body: readonly Stmt[]): number | undefined {
    for (const s of body) {
      const result = this.step(s);
      if (result !== undefined) return result;
    }
    return undefined;
  }

  private step(s: Stmt): number | undefined {
    switch (s.kind) {
      case 'let':
      case 'assign':
        this.names[s.name] = Number(this.of(s.value));
        return undefined;
      case 'var':
        this.names[s.name] = s.value ? Number(this.of(s.value)) : 0;
        return undefined;
      case 'array':
        s.values.forEach((v, k) => {
          this.array[k] = Number(this.of(v));
        });
        return undefined;
      case 'put':
        this.array[Number(this.of(s.at))] = Number(this.of(s.value));
        return undefined;
      case 'return':
        return Number(this.of(s.value!));
      case 'block':
        return this.run(s.body);
      case 'if': {
        const held = s.cases.find((c) => this.of(c.when));
        return this.run(held?.body ?? s.otherwise ?? []);
      }
      case 'for': {
        for (let k = Number(this.of(s.from)); ; k += s.step) {
          // An inner loop may have a counter of the same name.
          this.names[s.name] = k;
          if (k >= Number(this.of(s.below))) return undefined;
          const result = this.run(s.body);
          if (result !== undefined) return result;
        }
      }
      default:
        throw new Error(s.kind);
    }
  }
}

describe('random programs', () => {
  const VARIABLES = ['a', 'b', 'c'];
  const four = (e: Expr): Expr => rem(e, u32(4));

  /** Statements on a, b, c and p, which call the functions named. */
  function bodies(calls: readonly string[]): fc.Arbitrary<Stmt[]> {
    return fc.letrec<{ value: Expr; condition: Expr; stmt: Stmt; body: Stmt[] }>((tie) => {
      const [value, body, condition] = [tie('value'), tie('body'), tie('condition')];
      const variable = fc.constantFrom(...VARIABLES);
      const assigned = fc.tuple(variable, value).map(([text, v]) => assign(text, v));
      return {
        value: fc.oneof(
          { depthSize: 'small', withCrossShrink: true },
          fc.oneof(variable.map(uint), fc.nat(5).map(u32)),
          fc.tuple(fc.constantFrom<BinaryOp[]>('+', '-', '*', '^'), value, value).map(([op, a, b]) => binary(op, a, b)),
          value.map((v) => item('p', U32, four(v))),
          fc.nat(3).map((k) => item('p', U32, u32(k))),
          ...calls.map((fn) => fc.tuple(value, value).map((args) => call(fn, U32, args))),
        ),
        condition: fc.oneof(
          { depthSize: 'small', withCrossShrink: true },
          fc.tuple(value, fc.nat(3)).map(([v, k]) => lt(four(v), u32(k))),
          fc.tuple(fc.constantFrom<BinaryOp[]>('&&', '||'), condition, condition).map(([op, a, b]) => binary(op, a, b)),
        ),
        stmt: fc.oneof(
          { depthSize: 'small', withCrossShrink: true },
          assigned,
          fc.tuple(value, value).map(([at, v]) => put('p', four(at), v)),
          fc.tuple(fc.nat(3), value).map(([k, v]) => put('p', u32(k), v)),
          // A constant that takes the place of a variable until the end of the block.
          fc
            .tuple(value, value, fc.constantFrom('b', 'c'))
            .map(([x, v, text]): Stmt => ({ kind: 'block', body: [letOf('x', x), assign(text, add(v, uint('x')))] })),
          fc
            .record({ first: condition, second: condition, bodies: fc.tuple(body, body, body), more: fc.nat(2) })
            .map(({ first, second, bodies: [one, two, three], more }): Stmt => {
              const cases = [
                { when: first, body: one },
                { when: second, body: two },
              ];
              return {
                kind: 'if',
                cases: cases.slice(0, 1 + (more > 0 ? 1 : 0)),
                ...(more > 1 ? { otherwise: three } : {}),
              };
            }),
          fc
            .tuple(value, fc.integer({ min: 1, max: 2 }), body, variable)
            .map(([v, step, inner, text]) =>
              loop('k', four(v), [assign(text, add(uint(text), uint('k'))), ...inner], step),
            ),
          value.map((v): Stmt => ({ kind: 'return', value: v })),
        ),
        body: fc.array(tie('stmt'), { maxLength: 4 }),
      };
    }).body;
  }

  const makeFunction = (text: string, calls: readonly string[]): fc.Arbitrary<KernelFunction> =>
    bodies(calls).map((body) => ({
      name: text,
      params: [
        { name: 'x0', type: U32 },
        { name: 'x1', type: U32 },
      ],
      result: U32,
      body: [
        varOf('a', uint('x0')),
        varOf('b', uint('x1')),
        { kind: 'var', name: 'c', type: U32 },
        { kind: 'array', name: 'p', type: U32, values: [uint('x0'), u32(1), uint('x1'), u32(3)] },
        ...body,
        { kind: 'return', value: add(uint('a'), mul(uint('b'), u32(3))) },
      ],
    }));

  it('do in lockstep what every thread would do by itself', () => {
    fc.assert(
      fc.property(makeFunction('g', []), makeFunction('f', ['g']), (g, f) => {
        const functions = [g, f];
        const out = { data: words(8), out: true };
        const value = call('f', U32, [i, mul(i, u32(0x9e3779b1))]);
        const found = run({ functions, main: [write('out', i, value)] }, { out }, 2);
        expect(found.faults).toEqual([]);
        expect([...out.data]).toEqual([...out.data.keys()].map((k) => new Interpreter(functions, { i: k }).of(value)));
      }),
      { numRuns: 500 },
    );
  });
});
