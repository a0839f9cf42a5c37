/**
 * Functions that kernels call for what WGSL lacks or does not promise accurately enough. Each exists for f32 and, with the suffix `4`, for
 * four of them; a kernel holds those that it uses.
 */
import { Body } from './body.js';
import {
  add,
  binary,
  bitcast,
  builtin,
  call,
  div,
  eq,
  f32,
  lt,
  mul,
  name,
  select,
  splat,
  sub,
  u32,
  unary,
} from './expr.js';
import { philoxFunction, philoxOf } from './philox.js';
import type { Expr, KernelFunction, Lanes, Type } from './types.js';

export type LibraryName =
  | 'sin_'
  | 'cos_'
  | 'erf'
  | 'tanh_'
  | 'sigmoid'
  | 'gelu'
  | 'gelu_tanh'
  | 'gelu_quick'
  | 'pow_'
  | 'half';

interface Definition {
  readonly params: readonly string[];
  readonly uses: readonly LibraryName[];
  /** Gets the parameters, and calls other functions of the library in the same width. */
  readonly body: (b: Body, args: readonly Expr[], use: (fn: LibraryName, ...args: readonly Expr[]) => Expr) => Expr;
}

/** a0 + x·(a1 + x·(...)), with `add` and `mul` apart. */
const series = (x: Expr, [first, ...rest]: readonly number[]): Expr =>
  rest.length === 0 ? f32(first!) : add(f32(first!), mul(x, series(x, rest)));

/**
 * Sine of x - n·pi. The multiple of pi is taken out in three parts whose products are exact, the rest is a series on -pi/2..pi/2. WGSL
 * promises sin and cos to 2^-11 only.
 */
function sine(b: Body, x: Expr, start: Expr, isOdd: (n: Expr) => Expr): Expr {
  const n = b.named('n', start);
  const type: Type = n;
  const r = b.var('r', type, sub(x, mul(n, f32(3.140625))));
  b.assign(r, sub(r, mul(n, f32(0.00096702575683594))));
  b.assign(r, sub(r, mul(n, f32(6.2771141529083e-7))));
  const s = b.named('s', mul(r, r));
  const most = sub(f32(2.75573192e-6), mul(s, f32(2.5052108e-8)));
  const inner = add(f32(0.00833333333), mul(s, add(f32(-1.98412698e-4), mul(s, most))));
  const sum = b.named('series', add(f32(-0.166666667), mul(s, inner)));
  const odd = b.named('odd', isOdd(n));
  const y = b.named('y', add(r, mul(mul(r, s), sum)));
  return select(y, unary('-', y), odd);
}

const floor = (x: Expr): Expr => builtin('floor', x);
const exp = (x: Expr): Expr => builtin('exp', x);
const abs = (x: Expr): Expr => builtin('abs', x);
const ne = (x: Expr, y: Expr): Expr => binary('!=', x, y);
/** x - 2·floor(x / 2) */
const modTwo = (x: Expr): Expr => sub(x, mul(f32(2), floor(mul(x, f32(0.5)))));

/** As bits of an f32: infinity, 2^16, which is the first power beyond the halves, and 2^-14, their least normal one. */
const INFINITE = 0x7f800000;
const BEYOND_HALVES = 0x47800000;
const LEAST_NORMAL_HALF = 0x38800000;

const DEFINITIONS: { readonly [N in LibraryName]: Definition } = {
  sin_: {
    params: ['x'],
    uses: [],
    body: (b, [x]) => sine(b, x!, builtin('round', mul(x!, f32(0.318309886))), (n) => eq(abs(modTwo(n)), f32(1))),
  },
  // cos x = sin(x + pi/2): n is the odd half multiple.
  cos_: {
    params: ['x'],
    uses: [],
    body: (b, [x]) =>
      sine(b, x!, add(floor(mul(x!, f32(0.318309886))), f32(0.5)), (n) => {
        const half = sub(n, f32(0.5));
        return ne(abs(sub(half, mul(f32(2), floor(mul(half, f32(0.5)))))), f32(1));
      }),
  },
  // Two minimax polynomials (after N. Juffa): within 1.1 ulp in exact arithmetic; measured error below 1e-7 everywhere.
  erf: {
    params: ['x'],
    uses: [],
    body(b, [x]) {
      const t = b.named('t', builtin('min', abs(x!), f32(6)));
      const s = b.named('s', mul(t, t));
      const far = b.var('far', t, add(mul(f32(-1.7285347e-5), t), f32(3.83197126e-4)));
      const mid = b.named('mid', add(mul(f32(-3.88396438e-3), t), f32(2.42546219e-2)));
      b.assign(far, add(mul(far, s), mid));
      for (const c of [0.106777877, 0.634846687, 0.128717512]) b.assign(far, sub(mul(far, t), f32(c)));
      b.assign(far, sub(mul(far, t), t));
      b.assign(far, sub(f32(1), exp(far)));
      const near = b.var('near', t, add(mul(f32(-5.96761703e-4), s), f32(4.99119423e-3)));
      b.assign(near, sub(mul(near, s), f32(2.67681349e-2)));
      b.assign(near, add(mul(near, s), f32(0.112819925)));
      b.assign(near, sub(mul(near, s), f32(0.376125336)));
      b.assign(near, add(mul(near, s), f32(0.128379166)));
      b.assign(near, add(mul(near, t), t));
      return mul(builtin('sign', x!), select(near, far, binary('>', t, f32(0.927734375))));
    },
  },
  // exp of a non-positive number cannot overflow; a series near 0, where the quotient would cancel.
  tanh_: {
    params: ['x'],
    uses: [],
    body(b, [x]) {
      const a = b.named('a', abs(x!));
      const e = b.named('e', exp(mul(a, f32(-2))));
      const far = b.named('far', div(sub(f32(1), e), add(f32(1), e)));
      const s = b.named('s', mul(a, a));
      const near = b.named(
        'near',
        add(a, mul(mul(a, s), series(s, [-0.333333333, 0.133333333, -0.053968254, 0.0218694885]))),
      );
      return mul(builtin('sign', x!), select(far, near, lt(a, f32(0.25))));
    },
  },
  sigmoid: {
    params: ['x'],
    uses: [],
    body: (_b, [x]) => div(f32(1), add(f32(1), exp(builtin('min', unary('-', x!), f32(88))))),
  },
  gelu: {
    params: ['x'],
    uses: ['erf'],
    body: (_b, [x], use) => mul(mul(f32(0.5), x!), add(f32(1), use('erf', mul(x!, f32(Math.SQRT1_2))))),
  },
  gelu_tanh: {
    params: ['x'],
    uses: ['tanh_'],
    body(_b, [x], use) {
      const cube = mul(mul(mul(f32(0.044715), x!), x!), x!);
      return mul(mul(f32(0.5), x!), add(f32(1), use('tanh_', mul(f32(0.7978845608028654), add(x!, cube)))));
    },
  },
  gelu_quick: {
    params: ['x'],
    uses: ['sigmoid'],
    body: (_b, [x], use) => mul(x!, use('sigmoid', mul(f32(1.702), x!))),
  },
  // WGSL leaves pow of a negative base open; an odd integer exponent keeps its sign.
  pow_: {
    params: ['x', 'y'],
    uses: [],
    body(b, [x, y]) {
      const size = b.named('size', select(builtin('pow', abs(x!), y!), f32(1), eq(y!, f32(0))));
      const odd = b.named('odd', eq(abs(modTwo(y!)), f32(1)));
      return select(size, unary('-', size), binary('&', lt(x!, f32(0)), odd));
    },
  },
  // The nearest f16, ties to even. WGSL's quantizeToF16 may flush subnormal halves, and leaves open what is beyond the largest; this is on the bits.
  half: {
    params: ['x'],
    uses: [],
    body(b, [x]) {
      const bits = b.named('bits', bitcast(x!, 'u32'));
      const size = b.named('size', binary('&', bits, u32(0x7fffffff)));
      const odd = binary('&', binary('>>', size, u32(13)), u32(1));
      const near = b.named('near', binary('&', add(add(size, u32(0xfff)), odd), u32(0xffffe000)));
      const held = b.named('held', select(near, u32(INFINITE), binary('>=', near, u32(BEYOND_HALVES))));
      const normal = b.named('normal', select(held, size, binary('>', size, u32(INFINITE))));
      // Below 2^-14 halves are multiples of 2^-24.
      const scaled = b.named('scaled', mul(abs(x!), f32(2 ** 24)));
      const low = b.named('low', floor(scaled));
      const rest = b.named('rest', sub(scaled, low));
      const tie = binary('&', eq(rest, f32(0.5)), eq(modTwo(low), f32(1)));
      const whole = add(low, select(f32(0), f32(1), binary('|', binary('>', rest, f32(0.5)), tie)));
      const small = b.named('small', bitcast(mul(whole, f32(2 ** -24)), 'u32'));
      const magnitude = select(normal, small, lt(size, u32(LEAST_NORMAL_HALF)));
      return bitcast(binary('|', magnitude, binary('&', bits, u32(0x80000000))), 'f32');
    },
  },
};

const ORDER = Object.keys(DEFINITIONS) as LibraryName[];

const named = (fn: LibraryName, lanes: Lanes): string => (lanes === 1 ? fn : `${fn}${lanes}`);

/** Functions of the library that a kernel uses, in either width. */
export class Library {
  private readonly used = new Set<string>();
  private random = false;

  /** Four random u32: a block of a stream of Philox. */
  philox(block: Expr, stream: number, key: readonly [Expr, Expr]): Expr {
    this.random = true;
    return philoxOf(block, stream, key);
  }

  call(fn: LibraryName, ...args: readonly Expr[]): Expr {
    const lanes = Math.max(...args.map((a) => a.lanes)) as Lanes;
    this.use(fn, lanes);
    return call(
      named(fn, lanes),
      { scalar: 'f32', lanes },
      args.map((a) => splat(a, lanes)),
    );
  }

  private use(fn: LibraryName, lanes: Lanes): void {
    this.used.add(named(fn, lanes));
    for (const other of DEFINITIONS[fn].uses) this.use(other, lanes);
  }

  /** Callee first. */
  functions(): KernelFunction[] {
    const used = ORDER.flatMap((fn) =>
      ([1, 4] as const).filter((lanes) => this.used.has(named(fn, lanes))).map((lanes) => define(fn, lanes)),
    );
    return this.random ? [...used, philoxFunction()] : used;
  }
}

function define(fn: LibraryName, lanes: Lanes): KernelFunction {
  const { params, body } = DEFINITIONS[fn];
  const type: Type = { scalar: 'f32', lanes };
  const b = new Body();
  const use = (other: LibraryName, ...args: readonly Expr[]): Expr => call(named(other, lanes), type, args);
  b.return(
    splat(
      body(
        b,
        params.map((p) => name(p, type)),
        use,
      ),
      lanes,
    ),
  );
  return { name: named(fn, lanes), params: params.map((p) => ({ name: p, type })), result: type, body: b.stmts };
}
