/** Reads the text form (text.ts). Types are inferred again and must equal what the text says. */
import { input, make, paramRef } from '../graph.js';
import type { Attr } from '../ops/attrs.js';
import { ShapeError } from '../ops/errors.js';
import { attrsOf, isOpName, OPS } from '../ops/index.js';
import { sameType, showType } from '../ops/shapes.js';
import type {
  About,
  Adapter,
  DType,
  Elements,
  Func,
  Init,
  Module,
  OpAttrs,
  OpName,
  Param,
  ParamRole,
  TensorType,
  TextSpan,
  Update,
  Value,
} from '../types.js';
import { Scanner, TextError } from './scan.js';

export { TextError } from './scan.js';

export interface ParseOptions {
  /** Elements of constants that the text leaves out. */
  readonly data?: (name: string) => Elements;
}

const DTYPES: readonly string[] = ['f32', 'f16', 'i32', 'u32', 'bool'];
const ROLES: readonly string[] = ['frozen', 'trainable', 'statistic', 'constant', 'prepared', 'state'];
const ARRAYS = { f64: Float64Array, f32: Float32Array, i32: Int32Array, u32: Uint32Array, u8: Uint8Array };
const INITS: Readonly<Record<string, { readonly needs: readonly string[]; readonly may?: readonly string[] }>> = {
  zeros: { needs: [] },
  ones: { needs: [] },
  eye: { needs: [] },
  constant: { needs: ['value'] },
  normal: { needs: ['std'], may: ['mean'] },
  uniform: { needs: ['bound'] },
  kaiming_uniform: { needs: ['a'] },
  xavier_uniform: { needs: ['gain'] },
};

/**
 * A module from its text.
 * @throws TextError with the line of the first thing that is not the text of a module: syntax, unknown names, wrong types.
 */
export function parseModule(text: string, options: ParseOptions = {}): Module {
  return new Parser(text, options).module();
}

class Parser {
  private readonly s: Scanner;
  private readonly options: ParseOptions;
  private readonly adapters = new Map<string, Adapter>();
  private readonly params = new Map<string, Param>();
  private readonly refs = new Map<string, Value>();

  constructor(text: string, options: ParseOptions) {
    this.s = new Scanner(text);
    this.options = options;
  }

  module(): Module {
    this.s.keyword('module');
    const name = this.s.name('@');
    const funcs = new Map<string, Func>();
    for (;;) {
      if (this.s.tryKeyword('adapter')) this.adapter();
      else if (this.s.tryKeyword('param')) this.param();
      else if (this.s.tryKeyword('func')) {
        const f = this.func();
        if (funcs.has(f.name)) this.s.fail(`function @${f.name} is there twice`);
        funcs.set(f.name, f);
      } else break;
    }
    this.s.end();
    return { name, adapters: this.adapters, params: this.params, funcs };
  }

  private type(): TensorType {
    const dtype = this.s.word();
    if (!DTYPES.includes(dtype)) this.s.fail(`${dtype} is not an element type (${DTYPES.join(', ')})`);
    return { dtype: dtype as DType, shape: this.s.sizes() };
  }

  private adapter(): void {
    const id = this.s.name('@');
    if (this.adapters.has(id)) this.s.fail(`adapter @${id} is declared twice`);
    this.s.punctuation('=');
    const name = this.s.wordOrString();
    const site = this.s.tryKeyword('on') ? { site: this.s.name('@') } : {};
    const graft = this.s.tryKeyword('at') ? { graft: this.place() } : {};
    this.adapters.set(id, { id, name, ...site, ...graft });
  }

  /** `"file" 12:40`, after `at`. */
  private place(): TextSpan {
    const file = this.s.wordOrString();
    const [start, end] = this.s.range();
    return { file, start, end };
  }

  private names(): string[] {
    const names: string[] = [];
    do names.push(this.s.name('@'));
    while (this.s.tryPunctuation(','));
    return names;
  }

  /** What stands behind a type; `siteOf` says the site. */
  private about(siteOf: () => string | undefined): { about?: About } {
    const about: { -readonly [K in keyof About]: About[K] } = {};
    if (this.s.tryKeyword('of')) about.owner = { kind: 'adapter', ids: this.names() };
    else if (this.s.tryKeyword('masks')) about.owner = { kind: 'mask', of: this.s.name('@') };
    if (this.s.tryKeyword('inside')) about.inside = this.names();
    if (this.s.tryKeyword('at')) about.at = this.place();
    const site = siteOf();
    if (site !== undefined) about.site = site;
    return Object.keys(about).length > 0 ? { about } : {};
  }

  private param(): void {
    const name = this.s.name('@');
    if (this.params.has(name)) this.s.fail(`parameter @${name} is declared twice`);
    this.s.punctuation(':');
    const type = this.type();
    const role = this.s.word();
    if (!ROLES.includes(role)) this.s.fail(`${role} is not a role (${ROLES.join(', ')})`);
    const own = () => (this.s.tryKeyword('in') ? this.s.name('@') : undefined);
    let p: Param = { name, type, role: role as ParamRole, ...this.about(own) };
    if (this.s.tryKeyword('momentum')) p = { ...p, momentum: this.s.number() };
    if (this.s.tryKeyword('holds')) p = { ...p, parts: this.names() };
    if (this.s.tryPunctuation('=')) p = { ...p, init: this.init() };
    if (this.s.tryKeyword('data')) p = { ...p, data: this.data(name) };
    this.params.set(name, p);
  }

  private init(): Init {
    const kind = this.s.word();
    if (kind === 'value') return { kind, value: this.body(new Map(), 1).values[0]! };
    const shape = Object.hasOwn(INITS, kind) ? INITS[kind] : undefined;
    if (!shape) this.s.fail(`${kind} is not an initialiser (${Object.keys(INITS).join(', ')}, value)`);
    const options: Record<string, number> = {};
    if (this.s.tryPunctuation('(')) {
      do {
        const key = this.s.word();
        if (!shape.needs.includes(key) && !shape.may?.includes(key)) this.s.fail(`${kind} has no option ${key}`);
        this.s.punctuation('=');
        options[key] = this.s.number();
      } while (this.s.tryPunctuation(','));
      this.s.punctuation(')');
    }
    for (const key of shape.needs) if (options[key] === undefined) this.s.fail(`${kind} needs ${key}`);
    return { kind, ...options } as Init;
  }

  private data(name: string): Elements {
    const array = this.s.word();
    const make = Object.hasOwn(ARRAYS, array) ? ARRAYS[array as keyof typeof ARRAYS] : undefined;
    if (!make) this.s.fail(`${array} is not an array (${Object.keys(ARRAYS).join(', ')})`);
    if (this.s.tryKeyword('omitted')) {
      this.s.punctuation('(');
      const count = this.s.number();
      this.s.punctuation(')');
      const given = this.options.data?.(name);
      if (!given) this.s.fail(`the ${count} elements of @${name} are not in the text; print it with a larger maxData`);
      return given;
    }
    return make.from(this.s.numbers());
  }

  private func(): Func {
    const name = this.s.name('@');
    const args = new Map<string, Value>();
    this.s.punctuation('(');
    if (!this.s.tryPunctuation(')')) {
      do {
        const arg = this.s.name('%');
        if (args.has(arg)) this.s.fail(`argument %${arg} is there twice`);
        this.s.punctuation(':');
        const type = this.type();
        args.set(
          arg,
          this.checked(() => input(arg, type)),
        );
      } while (this.s.tryPunctuation(','));
      this.s.punctuation(')');
    }
    this.s.punctuation('->');
    const results: { name: string; type: TensorType }[] = [];
    const result = (): void => {
      const label = this.s.wordOrString();
      this.s.punctuation(':');
      results.push({ name: label, type: this.type() });
    };
    if (this.s.tryPunctuation('(')) {
      if (!this.s.tryPunctuation(')')) {
        do result();
        while (this.s.tryPunctuation(','));
        this.s.punctuation(')');
      }
    } else result();
    const after = this.s.tryKeyword('after') ? { after: this.s.name('@') } : {};
    const { values, updates } = this.body(args, results.length);
    values.forEach((v, i) => {
      if (!sameType(v.type, results[i]!.type)) {
        this.s.fail(`result ${results[i]!.name} is ${showType(v.type)}, not ${showType(results[i]!.type)}`);
      }
    });
    return {
      name,
      inputs: [...args.values()],
      results: values.map((value, i) => ({ name: results[i]!.name, value })),
      updates,
      ...after,
    };
  }

  /** `{ lines, update @s = c, return a, b }`; gives the returned values, and what states become. */
  private body(args: ReadonlyMap<string, Value>, results: number): { values: Value[]; updates: Update[] } {
    const names = new Map(args);
    this.s.punctuation('{');
    const updates: Update[] = [];
    let site: string | undefined;
    while (!this.s.tryKeyword('return')) {
      if (this.s.tryKeyword('update')) {
        updates.push(this.update(names));
        continue;
      }
      if (this.s.tryKeyword('in')) {
        site = this.s.tryKeyword('model') ? undefined : this.s.name('@');
        continue;
      }
      const name = this.s.name('%');
      if (names.has(name)) this.s.fail(`%${name} is there twice`);
      this.s.punctuation('=');
      names.set(name, this.operation(names, site));
    }
    const values: Value[] = [];
    for (let i = 0; i < results; i++) {
      if (i > 0) this.s.punctuation(',');
      values.push(this.operand(names));
    }
    this.s.punctuation('}');
    return { values, updates };
  }

  private update(names: ReadonlyMap<string, Value>): Update {
    const state = this.s.name('@');
    const p = this.params.get(state) ?? this.s.fail(`parameter @${state} is not declared`);
    if (p.role !== 'state') this.s.fail(`@${state} is a ${p.role} parameter, and no call changes it`);
    this.s.punctuation('=');
    const value = this.operand(names);
    if (!sameType(value.type, p.type))
      this.s.fail(`@${state} becomes ${showType(value.type)}, not ${showType(p.type)}`);
    return { state, value };
  }

  private operation(names: ReadonlyMap<string, Value>, site: string | undefined): Value {
    const op = this.s.word();
    if (!isOpName(op) || OPS[op].type === null) return this.s.fail(`${op} is not an operator`);
    const inputs: Value[] = [];
    if (!this.s.sees('{') && !this.s.sees(':')) {
      do inputs.push(this.operand(names));
      while (this.s.tryPunctuation(','));
    }
    const given = new Map<string, unknown>();
    const known = attrsOf(op);
    if (this.s.tryPunctuation('{')) {
      do {
        const key = this.s.word();
        const attr = Object.hasOwn(known, key) ? known[key]! : this.s.fail(`${op} has no attribute ${key}`);
        this.s.punctuation('=');
        given.set(key, this.attribute(`${op}.${key}`, attr));
      } while (this.s.tryPunctuation(','));
      this.s.punctuation('}');
    }
    this.s.punctuation(':');
    const type = this.type();
    const attrs: Record<string, unknown> = {};
    for (const [key, { kind }] of Object.entries(known)) {
      if (kind === 'shape') attrs[key] = type.shape;
      else if (kind === 'dtype') attrs[key] = type.dtype;
      else if (given.has(key)) attrs[key] = given.get(key);
      else this.s.fail(`${op} needs the attribute ${key}`);
    }
    const { about } = this.about(() => site);
    const v = this.checked(() => make<OpName>(op, inputs, attrs as OpAttrs[OpName], about));
    if (!sameType(v.type, type)) this.s.fail(`${op} gives ${showType(v.type)} here, not ${showType(type)}`);
    return v;
  }

  private attribute(key: string, { kind, words, length }: Attr<unknown>): unknown {
    switch (kind) {
      case 'number':
      case 'axis':
        return this.s.number();
      case 'numbers': {
        const list = this.s.sizes();
        if (length !== undefined && list.length !== length) this.s.fail(`${key} holds ${length} numbers`);
        return list;
      }
      case 'flag': {
        const word = this.s.word();
        if (word !== 'true' && word !== 'false') this.s.fail(`${key} is true or false`);
        return word === 'true';
      }
      case 'word': {
        const word = this.s.wordOrString();
        if (words && !words.includes(word)) this.s.fail(`${key} is one of ${words.join(', ')}`);
        return word;
      }
      case 'shape':
      case 'dtype':
        return this.s.fail(`${key} is said by the type and not written`);
    }
  }

  private operand(names: ReadonlyMap<string, Value>): Value {
    if (this.s.sees('@')) {
      const name = this.s.name('@');
      const p = this.params.get(name) ?? this.s.fail(`parameter @${name} is not declared`);
      const ref = this.refs.get(name) ?? paramRef(p);
      this.refs.set(name, ref);
      return ref;
    }
    if (this.s.sees('%')) {
      const name = this.s.name('%');
      return names.get(name) ?? this.s.fail(`%${name} is not defined before this`);
    }
    const value = this.s.number();
    return make('constant', [], { value, dtype: 'f32', shape: [] });
  }

  private checked(build: () => Value): Value {
    try {
      return build();
    } catch (e) {
      if (e instanceof ShapeError) throw new TextError(e.message, this.s.line);
      throw e;
    }
  }
}
