/** The verifier's rules `scope` and `type`: names, and the type of every node as WGSL has it. Loops and values play no part in them. */
import { dependsOn, type Index } from '../../read/indexing.js';
import { BOOL, U32 } from '../expr.js';
import type { Buffer, BuiltinInput, Expr, Kernel, KernelFunction, Param, Stmt, Type } from '../types.js';
import { binaryType, builtinType, isNumber, literalFits, sameType } from './operators.js';
import { type Report, showExpr, showIndex, showType } from './report.js';
import { assigned, namesRead, nodes } from './walk.js';

const U32X3: Type = { scalar: 'u32', lanes: 3 };

export const INPUT_TYPES: { readonly [B in BuiltinInput]: Type } = {
  workgroup_id: U32X3,
  num_workgroups: U32X3,
  local_invocation_index: U32,
  local_invocation_id: U32X3,
  global_invocation_id: U32X3,
  subgroup_invocation_id: U32,
};

/** Parameters, inputs, `let`s and counters are values, which nothing is assigned to. */
type Local = Type & { readonly role: 'value' | 'variable' | 'array' };

/** Checks all functions and `main`; whatever else is proved of a kernel takes these rules for granted. */
export function checkTypes(kernel: Kernel, report: Report): void {
  new Checker(kernel, report).kernel();
}

class Checker {
  private readonly buffers = new Map<string, Buffer>();
  private readonly shared = new Map<string, Type>();
  /** Those declared so far: a function calls earlier ones. */
  private readonly functions = new Map<string, KernelFunction>();
  private scopes: Map<string, Local>[] = [];
  private result: Type | undefined;

  constructor(
    private readonly program: Kernel,
    private readonly report: Report,
  ) {}

  kernel(): void {
    this.report.enter('kernel');
    for (const b of this.program.buffers) {
      this.global(b.name);
      this.buffers.set(b.name, b);
    }
    for (const a of this.program.shared) {
      this.global(a.name);
      if (!(a.count >= 1)) this.type(`${a.name} has ${a.count} elements`);
      this.shared.set(a.name, a.type);
    }
    this.report.leave();
    for (const f of this.program.functions) {
      this.report.enter(f.name);
      this.global(f.name);
      this.body(f.params, f.result, f.body);
      if (f.result && !returns(f.body)) this.type('it may end without a result');
      this.functions.set(f.name, f);
      this.report.leave();
    }
    this.report.enter('main');
    this.body(
      this.program.inputs.map((i) => ({ name: i.name, type: INPUT_TYPES[i.builtin] })),
      undefined,
      this.program.main,
    );
    this.report.leave();
  }

  private scope(what: string): undefined {
    this.report.say('scope', what);
    return undefined;
  }

  private type(what: string): undefined {
    this.report.say('type', what);
    return undefined;
  }

  private isGlobal(name: string): boolean {
    return this.buffers.has(name) || this.shared.has(name) || this.functions.has(name);
  }

  private global(name: string): void {
    if (this.isGlobal(name)) this.scope(`${name} is declared twice`);
  }

  private declare(name: string, local: Local): void {
    if (this.lookup(name)) this.scope(`${name} is declared twice`);
    else if (this.isGlobal(name)) this.scope(`${name} hides what the kernel declares`);
    this.scopes.at(-1)!.set(name, local);
  }

  private lookup(name: string): Local | undefined {
    for (let i = this.scopes.length - 1; i >= 0; i--) {
      const found = this.scopes[i]!.get(name);
      if (found) return found;
    }
    return undefined;
  }

  private body(params: readonly Param[], result: Type | undefined, body: readonly Stmt[]): void {
    this.scopes = [new Map()];
    this.result = result;
    for (const p of params) this.declare(p.name, { ...p.type, role: 'value' });
    for (const s of body) this.stmt(s);
  }

  private nested(body: readonly Stmt[], counter?: string): void {
    this.scopes.push(new Map());
    if (counter !== undefined) this.declare(counter, { ...U32, role: 'value' });
    for (const s of body) this.stmt(s);
    this.scopes.pop();
  }

  private expect(e: Expr, type: Type, what: string): void {
    this.expr(e);
    if (!sameType(e, type)) this.type(`${what} is ${showType(e)}, not ${showType(type)}`);
  }

  private stmt(s: Stmt): void {
    this.report.at(s);
    switch (s.kind) {
      case 'let':
        this.expr(s.value);
        this.declare(s.name, { scalar: s.value.scalar, lanes: s.value.lanes, role: 'value' });
        return;
      case 'var':
        if (s.value) this.expect(s.value, s.type, 'the value');
        this.declare(s.name, { ...s.type, role: 'variable' });
        return;
      case 'array':
        if (s.values.length === 0) this.type(`${s.name} has no elements`);
        for (const v of s.values) this.expect(v, s.type, 'an element');
        this.declare(s.name, { ...s.type, role: 'array' });
        return;
      case 'assign': {
        this.expr(s.value);
        const to = this.lookup(s.name);
        if (!to) this.scope(`${s.name} is not declared`);
        else if (to.role !== 'variable') this.scope(`${s.name} is not a variable`);
        else if (!sameType(to, s.value)) this.type(`${s.name} is ${showType(to)}, the value ${showType(s.value)}`);
        return;
      }
      case 'put': {
        const type = this.array(s.array);
        this.expect(s.at, U32, 'the index');
        this.expr(s.value);
        if (type && !sameType(type, s.value)) this.type(`${s.array} holds ${showType(type)}, not ${showType(s.value)}`);
        return;
      }
      case 'store':
        this.store(s);
        return;
      case 'write':
        this.write(s);
        return;
      case 'if':
        for (const c of s.cases) this.expect(c.when, BOOL, 'the condition');
        for (const c of s.cases) this.nested(c.body);
        if (s.otherwise) this.nested(s.otherwise);
        return;
      case 'for':
        this.expect(s.from, U32, 'the start');
        this.expect(s.below, U32, 'the end');
        if (this.mayChange(s.below, s.body)) {
          this.report.say('flow', 'the end of the loop may change from turn to turn');
        }
        if (!Number.isInteger(s.step) || s.step < 1) this.type(`a step of ${s.step}`);
        this.nested(s.body, s.name);
        return;
      case 'block':
        this.nested(s.body);
        return;
      case 'do': {
        const f = this.call(s.fn, s.args);
        if (f?.result) this.type(`the result of ${s.fn} is dropped`);
        return;
      }
      case 'return':
        if (s.value) this.expr(s.value);
        if (!s.value !== !this.result || (s.value && this.result && !sameType(s.value, this.result))) {
          const wanted = this.result ? showType(this.result) : 'nothing';
          this.type(`it returns ${s.value ? showType(s.value) : 'nothing'}, not ${wanted}`);
        }
        return;
      case 'barrier':
      case 'comment':
        return;
    }
  }

  /** Whether a loop's end reads what its turns may change. It would matter whether it is computed again each turn. */
  private mayChange(end: Expr, body: readonly Stmt[]): boolean {
    const changed = assigned(body);
    if ([...namesRead(end)].some((name) => changed.has(name))) return true;
    return nodes(end).some((e) => {
      if (e.kind === 'load' || e.kind === 'fetch') return this.buffers.get(e.buffer)?.access === 'read_write';
      return e.kind === 'call' || e.kind === 'collective' || (e.kind === 'item' && !this.lookup(e.array));
    });
  }

  private write(s: Extract<Stmt, { kind: 'write' }>): void {
    const b = this.buffers.get(s.buffer);
    this.expect(s.at, U32, 'the index');
    this.expr(s.value);
    if (!b) {
      this.scope(`${s.buffer} is not declared`);
      return;
    }
    if (b.access !== 'read_write') this.type(`${s.buffer} is only read`);
    if (!b.packed) this.type(`${s.buffer} is not packed, and written by store`);
    else if (!sameType(b.packed, s.value))
      this.type(`${s.buffer} holds ${showType(b.packed)}, not ${showType(s.value)}`);
  }

  private store(s: Extract<Stmt, { kind: 'store' }>): void {
    const b = this.buffers.get(s.buffer);
    this.index(s.at);
    for (const c of s.when) this.index(c.index);
    this.expr(s.value);
    if (!b) {
      this.scope(`${s.buffer} is not declared`);
      return;
    }
    if (b.access !== 'read_write') this.type(`${s.buffer} is only read`);
    if (b.packed) this.type(`${s.buffer} is packed, and reached by fetch`);
    if (b.element !== s.value.scalar) this.type(`${s.buffer} holds ${b.element}, not ${s.value.scalar}`);
    // Where only the conditions tell lanes apart, they choose which of four goes to the one place.
    const wide = dependsOn(s.at, 'lane') || s.when.some((c) => dependsOn(c.index, 'lane'));
    if (s.value.lanes !== (wide ? 4 : 1)) this.type(`a store of ${wide ? 4 : 1} gets ${showType(s.value)}`);
  }

  /** Element type of an array that is reached by `item` and `put`. */
  private array(name: string): Type | undefined {
    const local = this.lookup(name);
    const type = local?.role === 'array' ? local : local ? undefined : this.shared.get(name);
    if (!type) this.scope(`${name} is not an array in scope`);
    return type;
  }

  /** Variables of an address are u32 of the program, save LANE. */
  private index(x: Index): void {
    for (const { atom } of x.terms) {
      if (atom.kind !== 'var') this.index(atom.of);
      else if (atom.name === 'lane') {
        if (atom.hi !== 3) this.scope(`lane in ${showIndex(x)} is not LANE: it goes up to ${atom.hi}`);
      } else {
        const local = this.lookup(atom.name);
        if (!local || local.role === 'array') this.scope(`${atom.name} is not declared`);
        else if (!sameType(local, U32)) this.type(`${atom.name} in an address is ${showType(local)}`);
      }
    }
  }

  private call(fn: string, args: readonly Expr[]): KernelFunction | undefined {
    for (const a of args) this.expr(a);
    const f = this.functions.get(fn);
    if (!f) {
      this.scope(`${fn} is not a function declared before`);
      return undefined;
    }
    if (args.length !== f.params.length) this.type(`${fn} takes ${f.params.length} arguments, not ${args.length}`);
    f.params.forEach((p, i) => {
      const a = args[i];
      if (a && !sameType(a, p.type)) this.type(`${p.name} of ${fn} is ${showType(p.type)}, not ${showType(a)}`);
    });
    return f;
  }

  private expr(e: Expr): void {
    const type = this.typeOf(e);
    if (type && !sameType(type, e)) this.type(`${showExpr(e)} is ${showType(type)}, but taken for ${showType(e)}`);
  }

  /** What the node's type has to be; undefined where that cannot be said, which is then reported. */
  private typeOf(e: Expr): Type | undefined {
    switch (e.kind) {
      case 'literal':
        if (!literalFits(e.scalar, e.value)) this.type(`${e.value} is no ${e.scalar}`);
        return { scalar: e.scalar, lanes: 1 };
      case 'name': {
        const local = this.lookup(e.name);
        if (!local) return this.scope(`${e.name} is not declared`);
        return local.role === 'array' ? this.scope(`${e.name} is an array, not a value`) : local;
      }
      case 'address':
        this.index(e.index);
        if (dependsOn(e.index, 'lane')) this.type('an address as a number depends on LANE');
        return U32;
      case 'below':
        this.index(e.index);
        if (!(e.below >= 0 && e.below < 2 ** 32)) this.type(`${e.below} is no u32`);
        return BOOL;
      case 'unary': {
        this.expr(e.x);
        const fits = e.op === '!' ? e.x.scalar === 'bool' : isNumber(e.x) && e.x.scalar !== 'u32';
        return fits ? e.x : this.type(`${e.op} of ${showType(e.x)}`);
      }
      case 'binary':
        this.expr(e.a);
        this.expr(e.b);
        return binaryType(e.op, e.a, e.b) ?? this.type(`${showType(e.a)} ${e.op} ${showType(e.b)}`);
      case 'builtin':
        for (const a of e.args) this.expr(a);
        return builtinType(e.fn, e.args) ?? this.type(`${e.fn} of ${e.args.map(showType).join(', ')}`);
      case 'call': {
        const f = this.call(e.fn, e.args);
        return f && (f.result ?? this.type(`${e.fn} has no result`));
      }
      case 'convert':
        this.expr(e.x);
        return { scalar: e.scalar, lanes: e.x.lanes };
      case 'bitcast':
        this.expr(e.x);
        if ([e, e.x].some((t) => t.scalar === 'bool' || t.scalar === 'f16')) this.type('a bitcast is of 32 bits');
        return { scalar: e.scalar, lanes: e.x.lanes };
      case 'splat':
        this.expr(e.x);
        if (e.x.lanes !== 1 || e.lanes === 1) this.type(`${showType(e.x)} spread over ${e.lanes}`);
        return { scalar: e.x.scalar, lanes: e.lanes };
      case 'vector':
        return this.vector(e);
      case 'component':
        return this.component(e);
      case 'load': {
        this.index(e.at);
        const b = this.buffers.get(e.buffer);
        if (!b) return this.scope(`${e.buffer} is not declared`);
        if (b.packed) return this.type(`${e.buffer} is packed, and reached by fetch`);
        return { scalar: b.element, lanes: dependsOn(e.at, 'lane') ? 4 : 1 };
      }
      case 'fetch': {
        this.expect(e.at, U32, 'the index');
        const b = this.buffers.get(e.buffer);
        if (!b) return this.scope(`${e.buffer} is not declared`);
        return b.packed ?? this.type(`${e.buffer} is not packed, and reached by load`);
      }
      case 'item':
        this.expect(e.at, U32, 'the index');
        return this.array(e.array);
      case 'collective':
        return this.collective(e);
    }
  }

  private vector(e: Extract<Expr, { kind: 'vector' }>): Type | undefined {
    for (const p of e.parts) {
      this.expr(p);
      if (p.scalar !== e.scalar) this.type(`${showType(p)} in ${showType(e)}`);
    }
    const lanes = e.parts.reduce((n, p) => n + p.lanes, 0);
    return lanes === e.lanes && lanes >= 2 ? e : this.type(`${lanes} elements in ${showType(e)}`);
  }

  private component({ x, at }: Extract<Expr, { kind: 'component' }>): Type | undefined {
    this.expr(x);
    if (x.lanes === 1) return this.type(`a component of ${showType(x)}`);
    if (typeof at !== 'number') this.expect(at, U32, 'the component');
    else if (!Number.isInteger(at) || at < 0 || at >= x.lanes) this.type(`component ${at} of ${showType(x)}`);
    return { scalar: x.scalar, lanes: 1 };
  }

  private collective({ op, x, lane }: Extract<Expr, { kind: 'collective' }>): Type | undefined {
    this.expr(x);
    const takes = op === 'broadcast' || op === 'shuffle' || op === 'shuffle_xor';
    if (!lane !== !takes) this.type(`${op} ${takes ? 'needs a' : 'takes no'} lane`);
    if (lane) {
      this.expect(lane, U32, 'the lane');
      if (op !== 'shuffle' && lane.kind !== 'literal') this.type(`the lane of ${op} is no literal`);
    }
    return isNumber(x) ? x : this.type(`${op} of ${showType(x)}`);
  }
}

/** Whether every path through the statements ends in a return. A loop may do no turn. */
function returns(body: readonly Stmt[]): boolean {
  return body.some(
    (s) =>
      s.kind === 'return' ||
      (s.kind === 'block' && returns(s.body)) ||
      (s.kind === 'if' && s.otherwise !== undefined && returns(s.otherwise) && s.cases.every((c) => returns(c.body))),
  );
}
