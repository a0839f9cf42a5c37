/**
 * Makes the addresses of a kernel's variants explicit: an access to four neighbours becomes one of a vec4 where every use of the buffer allows
 * it and four of elements where not; conditions of a store become branches; quotients and remainders of indices get names, each computed once
 * in a block.
 */
import { constIndex, dependsOn, type Index, laneForm, shift, substitute } from '../read/indexing.js';
import {
  add,
  all,
  binary,
  component,
  div,
  fetch,
  mul,
  name,
  packHalves,
  rem,
  sub,
  U32,
  u32,
  unpackHalves,
  vector,
} from './expr.js';
import { refuseInside } from './inside.js';
import type { Buffer, Condition, Expr, Kernel, KernelFunction, LoweredKernel, Stmt, Type } from './types.js';
import { type BindingLimits, Uses, uniformCondition } from './uses.js';
import { eachStmt, withOperands } from './walk.js';

/**
 * All variants of one kernel, which have their buffers in common. They get the same bindings.
 * @throws BatchInside for a kernel for any number of samples in which the batch would have to be a number
 */
export function explicitAddresses(variants: readonly Kernel[], limits: BindingLimits): LoweredKernel[] {
  if (variants[0]!.forBatch) refuseInside(variants);
  const uses = new Uses(variants, limits);
  const windows = uses.windows();
  const access = variants[0]!.buffers.filter((b) => uses.isCut(b)).map((b) => windowed(b, uses, windows));
  // Variants share most of their functions.
  const done = new Map<KernelFunction, KernelFunction>();
  const lowered = (f: KernelFunction): KernelFunction => {
    const made = done.get(f) ?? { ...f, body: new Lowering(uses, f.body, f.params).block(f.body) };
    done.set(f, made);
    return made;
  };
  return variants.map((kernel) => ({
    ...kernel,
    functions: [...access, ...kernel.functions.map(lowered)],
    main: new Lowering(uses, kernel.main, kernel.inputs).block(kernel.main),
    windows,
  }));
}

/** How one reads or writes a tensor that is bound in windows. What a kernel writes it never reads. */
function windowed(buffer: Buffer, uses: Uses, windows: LoweredKernel['windows']): KernelFunction {
  const item = uses.item(buffer);
  const mine = windows.filter((w) => w.buffer === buffer.name);
  const written = uses.isWritten(buffer);
  const i = name('i', U32);
  const v = name('v', item);
  let start = 0;
  const body = mine.flatMap((w, n): Stmt[] => {
    const at = start === 0 ? i : sub(i, u32(start));
    start += w.count / w.elements;
    const access: Stmt[] = written
      ? [{ kind: 'write', buffer: w.name, at, value: v }, { kind: 'return' }]
      : [{ kind: 'return', value: fetch(w.name, item, at, true) }];
    if (n === mine.length - 1) return access;
    return [{ kind: 'if', cases: [{ when: binary('<', i, u32(start)), body: access }] }];
  });
  return written
    ? { name: `${buffer.name}_put`, params: [param('i', U32), param('v', item)], body }
    : { name: `${buffer.name}_at`, params: [param('i', U32)], result: item, body };
}

const param = (text: string, type: Type): { name: string; type: Type } => ({ name: text, type });

/** Names of quotients and remainders that are computed in a block, by the keys of their atoms. */
type Known = Map<string, string>;

/** The statements of one function. */
class Lowering {
  private readonly taken: Set<string>;
  private readonly scopes: Known[] = [];
  private out: Stmt[] = [];
  private counter = 0;

  constructor(
    private readonly uses: Uses,
    body: readonly Stmt[],
    inputs: readonly { readonly name: string }[],
  ) {
    this.taken = new Set(inputs.map((p) => p.name));
    eachStmt(body, (s) => {
      if (s.kind === 'let' || s.kind === 'var' || s.kind === 'array' || s.kind === 'for') this.taken.add(s.name);
    });
  }

  block(body: readonly Stmt[]): Stmt[] {
    const outer = this.out;
    const mine: Stmt[] = [];
    this.out = mine;
    this.scopes.push(new Map());
    for (const s of body) this.statement(s);
    this.scopes.pop();
    this.out = outer;
    return mine;
  }

  private statement(s: Stmt): void {
    switch (s.kind) {
      case 'store':
        this.store(s.buffer, s.at, this.expr(s.value), s.when);
        return;
      case 'let':
      case 'assign':
        this.out.push({ ...s, value: this.expr(s.value) });
        return;
      case 'var':
      case 'return':
        this.out.push(s.value ? { ...s, value: this.expr(s.value) } : s);
        return;
      case 'array':
        this.out.push({ ...s, values: s.values.map((v) => this.expr(v)) });
        return;
      case 'put':
      case 'write':
        this.out.push({ ...s, at: this.expr(s.at), value: this.expr(s.value) });
        return;
      case 'do':
        this.out.push({ ...s, args: s.args.map((a) => this.expr(a)) });
        return;
      case 'if': {
        // The names that later conditions need stand before the first `if`, so that they are in scope.
        const whens = s.cases.map((c) => this.expr(c.when));
        const cases = s.cases.map((c, i) => ({ when: whens[i]!, body: this.block(c.body) }));
        this.out.push({ ...s, cases, ...(s.otherwise ? { otherwise: this.block(s.otherwise) } : {}) });
        return;
      }
      case 'for': {
        const [from, below] = [this.expr(s.from), this.expr(s.below)];
        this.out.push({ ...s, from, below, body: this.block(s.body) });
        return;
      }
      case 'block':
        this.out.push({ ...s, body: this.block(s.body) });
        return;
      default:
        this.out.push(s);
    }
  }

  private expr(e: Expr): Expr {
    switch (e.kind) {
      case 'address':
        return this.address(e.index);
      case 'below':
        return this.condition(e);
      case 'load':
        return this.load(this.uses.buffer(e.buffer), e.at, e.speculative);
      default:
        return withOperands(e, (x) => this.expr(x));
    }
  }

  /** The u32 expression for an index. */
  private address(x: Index): Expr {
    if (dependsOn(x, 'lane')) throw new Error('an index that still depends on the lane has no scalar expression');
    let plus: Expr | undefined;
    const minus: Expr[] = [];
    const more = (e: Expr): void => {
      plus = plus ? add(plus, e) : e;
    };
    for (const { atom, coeff } of x.terms) {
      const text = atom.kind === 'var' ? atom.name : this.quotient(atom);
      const times = Math.abs(coeff);
      const term = times === 1 ? name(text, U32) : mul(name(text, U32), u32(times));
      if (coeff > 0) more(term);
      else minus.push(term);
    }
    for (const part of this.uses.constants(x.constant)) {
      if (part > 0) more(this.uses.size(part));
      if (part < 0) minus.push(this.uses.size(-part));
    }
    return minus.reduce((from, m) => sub(from, m), plus ?? u32(0));
  }

  /** A name that the function does not have yet. */
  private fresh(prefix: string): string {
    let text: string;
    do text = `${prefix}${this.counter++}`;
    while (this.taken.has(text));
    return text;
  }

  private quotient(atom: { kind: 'div' | 'mod'; of: Index; by: number; key: string }): string {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const known = this.scopes[i]!.get(atom.key);
      if (known !== undefined) return known;
    }
    const value = (atom.kind === 'div' ? div : rem)(this.address(atom.of), u32(atom.by));
    const text = this.fresh('i');
    this.out.push({ kind: 'let', name: text, value });
    this.scopes[this.scopes.length - 1]!.set(atom.key, text);
    return text;
  }

  private condition({ index, below }: Condition): Expr {
    const form = laneForm(index);
    if (form.kind === 'scattered' || (form.kind === 'quad' && below % 4 !== 0))
      throw new Error(`${index.key} < ${below} may hold for some lanes and not for others`);
    return form.kind === 'quad'
      ? binary('<', this.address(form.quad), this.uses.size(below / 4))
      : binary('<', this.address(index), this.uses.size(below));
  }

  private load(buffer: Buffer, at: Index, speculative: boolean): Expr {
    const form = laneForm(at);
    if (form.kind === 'uniform') return this.element(buffer, at, speculative);
    if (form.kind === 'quad' && this.uses.quads(buffer)) {
      const item = this.fetch(buffer, this.address(shift(form.quad, -this.uses.start(buffer) / 4)), speculative);
      return buffer.storage === 'f16' ? this.widened(item) : item;
    }
    return vector(...LANE_NUMBERS.map((lane) => this.element(buffer, inLane(at, lane), speculative)));
  }

  private element(buffer: Buffer, at: Index, speculative: boolean): Expr {
    const place = this.address(shift(at, -this.uses.start(buffer)));
    if (this.uses.perItem(buffer) === 1) return this.fetch(buffer, place, speculative);
    if (buffer.storage === 'f16') {
      const words = this.fetch(buffer, div(place, u32(4)), speculative);
      const halves = unpackHalves(component(words, div(rem(place, u32(4)), u32(2))));
      return component(halves, rem(place, u32(2)));
    }
    return component(this.fetch(buffer, div(place, u32(4)), speculative), rem(place, u32(4)));
  }

  /** Four numbers from an item of halves. */
  private widened(item: Expr): Expr {
    const held = this.fresh('halves');
    this.out.push({ kind: 'let', name: held, value: item });
    const halves = name(held, item);
    return vector(unpackHalves(component(halves, 0)), unpackHalves(component(halves, 1)));
  }

  private fetch(buffer: Buffer, at: Expr, speculative: boolean): Expr {
    const item = this.uses.item(buffer);
    if (!this.uses.isCut(buffer)) return fetch(buffer.name, item, at, speculative);
    return { kind: 'call', scalar: item.scalar, lanes: item.lanes, fn: `${buffer.name}_at`, args: [at] };
  }

  private store(bufferName: string, at: Index, value: Expr, when: readonly Condition[]): void {
    const buffer = this.uses.buffer(bufferName);
    const start = this.uses.start(buffer);
    const form = laneForm(at);
    const together = when.every(uniformCondition);
    if (buffer.storage === 'f16' && !(form.kind === 'quad' && together)) {
      throw new Error(`${bufferName} holds halves, which are written by fours`);
    }
    // One place for four lanes: a slice that keeps one of them, which the conditions tell apart.
    if (form.kind === 'uniform' && together) {
      this.guarded(when, () => this.write(buffer, this.address(shift(at, -start)), value));
      return;
    }
    if (form.kind === 'quad' && this.uses.quads(buffer) && together) {
      this.guarded(when, () => {
        const item = buffer.storage === 'f16' ? this.narrowed(value) : value;
        this.write(buffer, this.address(shift(form.quad, -start / 4)), item);
      });
      return;
    }
    const held = `${bufferName}_value`;
    this.out.push({ kind: 'let', name: held, value });
    for (const lane of LANE_NUMBERS) {
      const conditions = when.map((c) => ({ index: inLane(c.index, lane), below: c.below }));
      this.guarded(conditions, () => {
        const place = this.address(shift(inLane(at, lane), -start));
        this.write(buffer, place, component(name(held, value), lane));
      });
    }
  }

  /** An item of halves from four numbers. */
  private narrowed(value: Expr): Expr {
    const held = this.fresh('four');
    this.out.push({ kind: 'let', name: held, value });
    const [x, y, z, w] = LANE_NUMBERS.map((lane) => component(name(held, value), lane)) as [Expr, Expr, Expr, Expr];
    return vector(packHalves(vector(x, y)), packHalves(vector(z, w)));
  }

  private write(buffer: Buffer, at: Expr, value: Expr): void {
    this.out.push(
      this.uses.isCut(buffer)
        ? { kind: 'do', fn: `${buffer.name}_put`, args: [at, value] }
        : { kind: 'write', buffer: buffer.name, at, value },
    );
  }

  private guarded(conditions: readonly Condition[], write: () => void): void {
    if (conditions.some((c) => c.index.lo >= c.below)) return;
    const open = conditions.filter((c) => !(c.index.lo >= 0 && c.index.hi < c.below));
    const when = all(open.map((c) => this.condition(c)));
    if (!when) {
      write();
      return;
    }
    const outer = this.out;
    const body: Stmt[] = [];
    this.out = body;
    this.scopes.push(new Map());
    write();
    this.scopes.pop();
    this.out = outer;
    this.out.push({ kind: 'if', cases: [{ when, body }] });
  }
}

const LANE_NUMBERS = [0, 1, 2, 3] as const;

const inLane = (x: Index, lane: number): Index => substitute(x, 'lane', constIndex(lane));
