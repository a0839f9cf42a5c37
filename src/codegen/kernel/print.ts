/** WGSL of a kernel program. No other file of the compiler holds WGSL. */
import { F32_MAX, written } from './expr.js';
import { usesHalf } from './half.js';
import { usesSamples } from './samples.js';
import type { BinaryOp, Collective, Expr, KernelFunction, LoweredKernel, Scalar, Stmt, Type } from './types.js';

const VECTOR: { readonly [S in Scalar]: (lanes: number) => string } = {
  f32: (n) => `vec${n}f`,
  f16: (n) => `vec${n}h`,
  i32: (n) => `vec${n}i`,
  u32: (n) => `vec${n}u`,
  bool: (n) => `vec${n}<bool>`,
};

const typeName = ({ scalar, lanes }: Type): string => (lanes === 1 ? scalar : VECTOR[scalar](lanes));

function literal(value: number, scalar: Scalar): string {
  if (scalar === 'bool') return value ? 'true' : 'false';
  if (scalar === 'i32') return value === -2147483648 ? 'i32(-2147483648)' : `${value}i`;
  if (scalar === 'u32') return `${value}u`;
  const suffix = scalar === 'f16' ? 'h' : 'f';
  const text = shortest(Math.fround(written(value, scalar)));
  return /[.e]/.test(text) ? `${text}${suffix}` : `${text}.0${suffix}`;
}

/** The fewest digits that name this f32. */
function shortest(value: number): string {
  if (Object.is(value, -0)) return '-0';
  // Rounded up, the largest number would lie outside f32.
  if (Math.abs(value) === F32_MAX) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/** How tightly operators bind, and what their operands must bind at least. WGSL wants more parentheses than other languages. */
const LEVELS: readonly { readonly ops: readonly BinaryOp[]; readonly binds: number; readonly operand: number }[] = [
  { ops: ['||'], binds: 1, operand: 4 },
  { ops: ['&&'], binds: 2, operand: 4 },
  { ops: ['|', '^', '&'], binds: 3, operand: 8 },
  { ops: ['==', '!=', '<', '<=', '>', '>='], binds: 4, operand: 5 },
  { ops: ['<<', '>>'], binds: 5, operand: 8 },
  { ops: ['+', '-'], binds: 6, operand: 7 },
  { ops: ['*', '/', '%'], binds: 7, operand: 8 },
];
const LEVEL = new Map(LEVELS.flatMap((level) => level.ops.map((op) => [op, level] as const)));
const UNARY = 8;
const ATOM = 9;

/** A vector and a scalar may stand on both sides of these. */
const MIXED: ReadonlySet<BinaryOp> = new Set(['+', '-', '*', '/', '%']);

const COLLECTIVES: { readonly [C in Collective]: string } = {
  broadcast: 'subgroupBroadcast',
  shuffle: 'subgroupShuffle',
  shuffle_xor: 'subgroupShuffleXor',
  add: 'subgroupAdd',
  max: 'subgroupMax',
  min: 'subgroupMin',
};

function strength(e: Expr): number {
  if (e.kind === 'binary') return LEVEL.get(e.op)!.binds;
  if (e.kind === 'unary') return UNARY;
  if (e.kind === 'literal' && (e.value < 0 || Object.is(e.value, -0))) return UNARY;
  return ATOM;
}

const inside = (e: Expr, least: number): string => (strength(e) >= least ? print(e) : `(${print(e)})`);

const list = (args: readonly Expr[]): string => args.map(print).join(', ');

function binary(e: Extract<Expr, { kind: 'binary' }>): string {
  const { binds, operand } = LEVEL.get(e.op)!;
  const loose = (x: Expr): Expr => (x.kind === 'splat' && MIXED.has(e.op) ? x.x : x);
  let [a, b] = [loose(e.a), loose(e.b)];
  // One of them says how wide the result is.
  if (a.lanes < e.lanes && b.lanes < e.lanes) a = e.a;
  // What follows to the left binds alike where order does not change the meaning: a + b - c, and a && b && c, but not a < b < c.
  const chained = a.kind === 'binary' && (binds >= 6 ? LEVEL.get(a.op)!.binds === binds : binds <= 3 && a.op === e.op);
  return `${chained ? print(a) : inside(a, operand)} ${e.op} ${inside(b, operand)}`;
}

function print(e: Expr): string {
  switch (e.kind) {
    case 'literal':
      return literal(e.value, e.scalar);
    case 'name':
      return e.name;
    case 'unary':
      return `${e.op}${inside(e.x, UNARY + (e.x.kind === 'unary' || e.x.kind === 'literal' ? 1 : 0))}`;
    case 'binary':
      return binary(e);
    case 'builtin':
      return `${e.fn}(${list(e.args)})`;
    case 'call':
      return `${e.fn}(${list(e.args)})`;
    case 'convert':
    case 'splat':
      return `${typeName(e)}(${print(e.x)})`;
    case 'bitcast':
      return `bitcast<${typeName(e)}>(${print(e.x)})`;
    case 'vector':
      return `${typeName(e)}(${list(e.parts)})`;
    case 'component':
      return `${inside(e.x, ATOM)}${typeof e.at === 'number' ? `.${'xyzw'[e.at]}` : `[${print(e.at)}]`}`;
    case 'fetch':
      return `${e.buffer}[${print(e.at)}]`;
    case 'item':
      return `${e.array}[${print(e.at)}]`;
    case 'collective':
      return `${COLLECTIVES[e.op]}(${list(e.lane ? [e.x, e.lane] : [e.x])})`;
    default:
      throw new Error(`${e.kind} has no WGSL; its address is not explicit yet`);
  }
}

class Writer {
  private readonly lines: string[] = [];
  private depth = 0;

  line(text: string): void {
    this.lines.push('  '.repeat(this.depth) + text);
  }

  private block(header: string, body: readonly Stmt[]): void {
    this.line(header === '' ? '{' : `${header} {`);
    this.body(body);
    this.line('}');
  }

  body(body: readonly Stmt[]): void {
    this.depth++;
    for (const s of body) this.statement(s);
    this.depth--;
  }

  private statement(s: Stmt): void {
    switch (s.kind) {
      case 'let':
        this.line(`let ${s.name} = ${print(s.value)};`);
        return;
      case 'var':
        this.line(s.value ? `var ${s.name} = ${print(s.value)};` : `var ${s.name}: ${typeName(s.type)};`);
        return;
      case 'array':
        this.line(`var ${s.name} = array<${typeName(s.type)}, ${s.values.length}>(${list(s.values)});`);
        return;
      case 'assign':
        this.line(`${s.name} = ${print(s.value)};`);
        return;
      case 'put':
        this.line(`${s.array}[${print(s.at)}] = ${print(s.value)};`);
        return;
      case 'write':
        this.line(`${s.buffer}[${print(s.at)}] = ${print(s.value)};`);
        return;
      case 'if':
        for (const [i, c] of s.cases.entries()) this.block(`${i === 0 ? 'if' : 'else if'} (${print(c.when)})`, c.body);
        if (s.otherwise) this.block('else', s.otherwise);
        return;
      case 'for': {
        const step = s.step === 1 ? `${s.name}++` : `${s.name} += ${s.step}u`;
        this.block(`for (var ${s.name} = ${print(s.from)}; ${s.name} < ${inside(s.below, 6)}; ${step})`, s.body);
        return;
      }
      case 'block':
        this.block('', s.body);
        return;
      case 'do':
        this.line(`${s.fn}(${list(s.args)});`);
        return;
      case 'barrier':
        this.line('workgroupBarrier();');
        return;
      case 'return':
        this.line(s.value ? `return ${print(s.value)};` : 'return;');
        return;
      case 'comment':
        this.line(`// ${s.text}`);
        return;
      case 'store':
        throw new Error('a store has no WGSL; its address is not explicit yet');
    }
  }

  toString(): string {
    return this.lines.join('\n');
  }
}

/** Variants of a kernel share functions, which never change: each is written once. */
const TEXTS = new WeakMap<KernelFunction, string>();

function functionText(f: KernelFunction): string {
  const known = TEXTS.get(f);
  if (known !== undefined) return known;
  const w = new Writer();
  const params = f.params.map((p) => `${p.name}: ${typeName(p.type)}`).join(', ');
  w.line(`fn ${f.name}(${params})${f.result ? ` -> ${typeName(f.result)}` : ''} {`);
  w.body(f.body);
  w.line('}');
  const text = w.toString();
  TEXTS.set(f, text);
  return text;
}

const INPUT_TYPES = {
  workgroup_id: 'vec3u',
  num_workgroups: 'vec3u',
  local_invocation_id: 'vec3u',
  global_invocation_id: 'vec3u',
  local_invocation_index: 'u32',
  subgroup_invocation_id: 'u32',
} as const;

/** The text of a shader module whose entry point is `main`. */
export function printKernel(k: LoweredKernel): string {
  const enables = [...(k.subgroup === undefined ? [] : ['subgroups']), ...(usesHalf(k) ? ['f16'] : [])];
  const access = new Map(k.buffers.map((b) => [b.name, b.access]));
  const run = usesSamples(k) ? '@group(1) @binding(0) var<uniform> samples: u32;' : '';
  const bindings = k.windows.map(
    (w, i) => `@group(0) @binding(${i}) var<storage, ${access.get(w.buffer)}> ${w.name}: array<${typeName(w.item)}>;`,
  );
  const shared = k.shared.map((s) => `var<workgroup> ${s.name}: array<${typeName(s.type)}, ${s.count}>;`);
  const main = new Writer();
  if (k.doc) main.line(`// ${k.doc}`);
  const size = k.workgroup[2] > 1 ? k.workgroup : k.workgroup[1] > 1 ? k.workgroup.slice(0, 2) : [k.workgroup[0]];
  main.line(`@compute @workgroup_size(${size.join(', ')})`);
  const inputs = k.inputs.map((p) => `@builtin(${p.builtin}) ${p.name}: ${INPUT_TYPES[p.builtin]}`).join(', ');
  main.line(`fn main(${inputs}) {`);
  main.body(k.main);
  main.line('}');
  return `${[
    enables.map((e) => `enable ${e};`).join('\n'),
    [...bindings, run].filter((t) => t !== '').join('\n'),
    shared.join('\n'),
    ...k.functions.map(functionText),
    main.toString(),
  ]
    .filter((t) => t !== '')
    .join('\n\n')}\n`;
}
