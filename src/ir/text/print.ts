/**
 * The readable form of a program. `parseModule` (text/parse.ts) reads it back:
 *
 *   module @flowers
 *   param @base.patch.weight : f32[768,3,16,16] frozen
 *   func @infer(%image: f32[1,3,224,224]) -> logits: f32[1,102] {
 *     %0 = conv2d %image, @base.patch.weight {stride = [16, 16], ...} : f32[1,768,14,14]
 *     return %0
 *   }
 *
 * What a call makes of a state stands before the results: `update @adam.count = %7`.
 * A size may be a multiple of the batch: `f32[b,197,768]`. Parameters and scalar f32 constants stand where they are used. Origins are printed as comments on request and are not read.
 */
import { isBatch, showSize } from '../batch.js';
import { rootsOf, topological } from '../graph.js';
import { ATTRS, type AttrKind } from '../ops/attrs.js';
import { isDeclared } from '../ops/index.js';
import { showType } from '../ops/shapes.js';
import type { Elements, Func, Init, Module, Param, Value } from '../types.js';

export { type ParseOptions, parseModule, TextError } from './parse.js';

export interface PrintOptions {
  /** Constants with more elements than this are printed as their number only (default 64); reading such a text needs their data. */
  readonly maxData?: number;
  /** Puts each value's scope or site behind it as a comment (default false). */
  readonly origins?: boolean;
}

/** Shortest text that reads back as the same number. */
export function showNumber(x: number): string {
  if (Object.is(x, -0)) return '-0';
  if (Number.isNaN(x)) return 'nan';
  if (x === Number.POSITIVE_INFINITY) return 'inf';
  if (x === Number.NEGATIVE_INFINITY) return '-inf';
  return String(x);
}

const PLAIN_NAME = /^[A-Za-z0-9_][\w.@#/$-]*$/;
const PLAIN_WORD = /^[A-Za-z_]\w*$/;

/** `@name` or `%name`, quoted where the name holds characters that would end it. */
export function showName(sigil: '@' | '%', name: string): string {
  const plain = sigil === '@' ? PLAIN_NAME.test(name) : /^[A-Za-z_][\w.]*$/.test(name);
  return `${sigil}${plain ? name : JSON.stringify(name)}`;
}

function showAttr(value: unknown): string {
  if (typeof value === 'number') return showNumber(value);
  if (typeof value === 'boolean') return String(value);
  if (Array.isArray(value))
    return `[${value.map((x) => (isBatch(x as number) ? showSize(x as number) : showNumber(x as number))).join(', ')}]`;
  const word = String(value);
  return PLAIN_WORD.test(word) ? word : JSON.stringify(word);
}

/** `{axis = 1, keep = false}`, or nothing. Attributes that repeat the result's type are left out. */
export function showAttrs(v: Value): string {
  const kinds = ATTRS[v.op] as Readonly<Record<string, AttrKind>>;
  const attrs = v.attrs as Readonly<Record<string, unknown>>;
  const shown = Object.entries(kinds)
    .filter(([, kind]) => kind !== 'type.shape' && kind !== 'type.dtype')
    .map(([key]) => `${key} = ${showAttr(attrs[key])}`);
  return shown.length ? ` {${shown.join(', ')}}` : '';
}

const inline = (v: Value): boolean =>
  isDeclared(v) || (v.op === 'constant' && v.attrs.dtype === 'f32' && v.attrs.shape.length === 0);

/** The lines of a body, numbered from %0, and what each root is called. */
function printBody(
  roots: readonly Value[],
  indent: string,
  options: PrintOptions,
): { lines: string[]; roots: string[] } {
  const names = new Map<Value, string>();
  const lines: string[] = [];
  const nameOf = (v: Value): string => {
    if (v.op === 'param') return showName('@', v.attrs.name);
    if (v.op === 'input') return showName('%', v.attrs.name);
    if (inline(v) && v.op === 'constant') return showNumber(v.attrs.value);
    return names.get(v)!;
  };
  let count = 0;
  for (const v of topological(roots)) {
    if (inline(v)) continue;
    const name = `%${count++}`;
    names.set(v, name);
    const operands = v.inputs.map(nameOf).join(', ');
    const where = options.origins ? (v.origin?.scope ?? v.origin?.site) : undefined;
    const comment = where ? ` // ${where.replaceAll('\n', ' ')}` : '';
    lines.push(
      `${indent}${name} = ${v.op}${operands && ` ${operands}`}${showAttrs(v)} : ${showType(v.type)}${comment}`,
    );
  }
  return { lines, roots: roots.map(nameOf) };
}

/** One function. */
export function printFunc(func: Func, options: PrintOptions = {}): string {
  const args = func.inputs.map((v) => `${v.op === 'input' ? showName('%', v.attrs.name) : '?'}: ${showType(v.type)}`);
  const shown = func.results.map((r) => `${showAttr(r.name)}: ${showType(r.value.type)}`);
  const results = shown.length === 1 ? shown[0] : `(${shown.join(', ')})`;
  const body = printBody(rootsOf(func), '  ', options);
  return [
    `func ${showName('@', func.name)}(${args.join(', ')}) -> ${results} {`,
    ...body.lines,
    ...func.updates.map(({ state }, i) => `  update ${showName('@', state)} = ${body.roots[func.results.length + i]}`),
    `  return ${body.roots.slice(0, func.results.length).join(', ')}`.trimEnd(),
    '}',
    '',
  ].join('\n');
}

function printInit(init: Init, options: PrintOptions): string {
  if (init.kind === 'value') {
    const body = printBody([init.value], '  ', options);
    return ['value {', ...body.lines, `  return ${body.roots[0]}`, '}'].join('\n');
  }
  const { kind, ...rest } = init;
  const shown = Object.entries(rest).map(([key, x]) => `${key} = ${showNumber(x as number)}`);
  return shown.length ? `${kind}(${shown.join(', ')})` : kind;
}

/** The name of an element array in the text form. */
export function arrayName(data: Elements): 'f64' | 'f32' | 'i32' | 'u32' | 'u8' {
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Int32Array) return 'i32';
  return data instanceof Uint32Array ? 'u32' : 'u8';
}

function printParam(p: Param, options: PrintOptions): string {
  let text = `param ${showName('@', p.name)} : ${showType(p.type)} ${p.role}`;
  if (p.init) text += ` = ${printInit(p.init, options)}`;
  if (p.data) {
    const all = p.data.length <= (options.maxData ?? 64);
    const elements = all ? `[${Array.from(p.data, showNumber).join(', ')}]` : `omitted(${p.data.length})`;
    text += ` data ${arrayName(p.data)} ${elements}`;
  }
  return text;
}

/** Parameter declarations in order, then the functions. */
export function printModule(module: Module, options: PrintOptions = {}): string {
  return [
    `module ${showName('@', module.name)}`,
    '',
    ...[...module.params.values()].map((p) => printParam(p, options)),
    ...(module.params.size ? [''] : []),
    [...module.funcs.values()].map((f) => printFunc(f, options)).join('\n'),
  ].join('\n');
}
