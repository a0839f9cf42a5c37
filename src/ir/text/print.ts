/**
 * The readable form of a program. `parseModule` (text/parse.ts) reads it back:
 *
 *   module @flowers
 *   adapter @base.fc@lora = lora on @base.fc at "flowers.peft" 120:165
 *   param @base.patch.weight : f32[768,3,16,16] frozen in @base.patch
 *   param @base.fc@lora.A : f32[8,768] trainable of @base.fc@lora in @base.fc
 *   func @infer(%image: f32[1,3,224,224]) -> logits: f32[1,102] {
 *     in @base.patch
 *     %0 = conv2d %image, @base.patch.weight {stride = [16, 16], ...} : f32[1,768,14,14]
 *     in @base.fc
 *     %1 = matmul %0, @base.fc@lora.A : f32[1,8] of @base.fc@lora
 *     return %1
 *   }
 *
 * What a call makes of a state stands before the results: `update @adam.count = %7`. A state that others lie in lists them (`state holds @a, @b`), and a
 * function that goes on from another names it behind its results (`after @gradients`).
 * A size may be a multiple of the batch: `f32[b,197,768]`. Parameters and scalar f32 constants stand where they are used. What is known of a value besides what it computes
 * stands behind its type, and the site that values come from above them (`in @site`, `in model` for none); places in a spec, which are for messages
 * alone, are printed on request (`at "file" 12:40`).
 */
import { isBatch, showSize } from '../batch.js';
import { isNumber, rootsOf, topological } from '../graph.js';
import { attrsOf, isDeclared } from '../ops/index.js';
import { showType } from '../ops/shapes.js';
import type { About, Adapter, Elements, Func, Init, Module, Param, TextSpan, Value } from '../types.js';

export { type ParseOptions, parseModule, TextError } from './parse.js';

export interface PrintOptions {
  /** Constants with more elements than this are printed as their number only (default 64); reading such a text needs their data. */
  readonly maxData?: number;
  /** Prints the place in a spec that each value and parameter comes from (default false). */
  readonly places?: boolean;
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
  const attrs = v.attrs as Readonly<Record<string, unknown>>;
  const shown = Object.entries(attrsOf(v.op))
    .filter(([, { kind }]) => kind !== 'shape' && kind !== 'dtype')
    .map(([key]) => `${key} = ${showAttr(attrs[key])}`);
  return shown.length ? ` {${shown.join(', ')}}` : '';
}

const inline = (v: Value): boolean => isDeclared(v) || isNumber(v);

const names = (list: readonly string[]): string => list.map((name) => showName('@', name)).join(', ');

const showPlace = ({ file, start, end }: TextSpan): string => ` at ${JSON.stringify(file)} ${start}:${end}`;

/** ` of @base.fc@lora inside @base.fc@dora at "a.peft" 12:40` */
function showAbout({ owner, inside, at }: About, options: PrintOptions): string {
  let text = '';
  if (owner?.kind === 'adapter') text += ` of ${names(owner.ids)}`;
  if (owner?.kind === 'mask') text += ` masks ${showName('@', owner.of)}`;
  if (inside) text += ` inside ${names(inside)}`;
  return at && options.places ? text + showPlace(at) : text;
}

/** The lines of a body, numbered from %0, and what each root is called. */
function printBody(
  roots: readonly Value[],
  indent: string,
  options: PrintOptions,
): { lines: string[]; roots: string[] } {
  const called = new Map<Value, string>();
  const lines: string[] = [];
  const nameOf = (v: Value): string => {
    if (v.op === 'param') return showName('@', v.attrs.name);
    if (v.op === 'input') return showName('%', v.attrs.name);
    if (isNumber(v)) return showNumber(v.attrs.value);
    return called.get(v)!;
  };
  let count = 0;
  let site: string | undefined;
  for (const v of topological(roots)) {
    if (inline(v)) continue;
    if (v.about?.site !== site) {
      site = v.about?.site;
      lines.push(`${indent}in ${site === undefined ? 'model' : showName('@', site)}`);
    }
    const name = `%${count++}`;
    called.set(v, name);
    const operands = v.inputs.map(nameOf).join(', ');
    const about = showAbout(v.about ?? {}, options);
    lines.push(`${indent}${name} = ${v.op}${operands && ` ${operands}`}${showAttrs(v)} : ${showType(v.type)}${about}`);
  }
  return { lines, roots: roots.map(nameOf) };
}

/** One function. */
export function printFunc(func: Func, options: PrintOptions = {}): string {
  const args = func.inputs.map((v) => `${v.op === 'input' ? showName('%', v.attrs.name) : '?'}: ${showType(v.type)}`);
  const shown = func.results.map((r) => `${showAttr(r.name)}: ${showType(r.value.type)}`);
  const results = shown.length === 1 ? shown[0] : `(${shown.join(', ')})`;
  const body = printBody(rootsOf(func), '  ', options);
  const after = func.after === undefined ? '' : ` after ${showName('@', func.after)}`;
  return [
    `func ${showName('@', func.name)}(${args.join(', ')}) -> ${results}${after} {`,
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
  let text = `param ${showName('@', p.name)} : ${showType(p.type)} ${p.role}${showAbout(p.about ?? {}, options)}`;
  if (p.about?.site !== undefined) text += ` in ${showName('@', p.about.site)}`;
  if (p.momentum !== undefined) text += ` momentum ${showNumber(p.momentum)}`;
  if (p.parts) text += ` holds ${names(p.parts)}`;
  if (p.init) text += ` = ${printInit(p.init, options)}`;
  if (p.data) {
    const all = p.data.length <= (options.maxData ?? 64);
    const elements = all ? `[${Array.from(p.data, showNumber).join(', ')}]` : `omitted(${p.data.length})`;
    text += ` data ${arrayName(p.data)} ${elements}`;
  }
  return text;
}

function printAdapter({ id, name, site, graft }: Adapter): string {
  const on = site === undefined ? '' : ` on ${showName('@', site)}`;
  return `adapter ${showName('@', id)} = ${showAttr(name)}${on}${graft ? showPlace(graft) : ''}`;
}

/** Adapters, then parameters, both in order, then the functions. */
export function printModule(module: Module, options: PrintOptions = {}): string {
  return [
    `module ${showName('@', module.name)}`,
    '',
    ...[...module.adapters.values()].map(printAdapter),
    ...(module.adapters.size ? [''] : []),
    ...[...module.params.values()].map((p) => printParam(p, options)),
    ...(module.params.size ? [''] : []),
    [...module.funcs.values()].map((f) => printFunc(f, options)).join('\n'),
  ].join('\n');
}
