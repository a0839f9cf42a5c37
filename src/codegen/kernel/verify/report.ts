/** Problems that the verifier finds in a kernel program, and where: places are said by function and statement, as short text. */
import type { Index } from '../../read/indexing.js';
import type { Expr, Stmt, Type } from '../types.js';

/**
 * What a kernel program has to keep.
 * - `scope`: names are declared once, before they are used, and assigned only if they are variables
 * - `type`: every node has the type that WGSL gives it
 * - `range`: a variable of an address stays in the range that the address claims for it
 * - `bounds`: memory is touched inside of what there is
 * - `speculation`: what was read outside a tensor is selected away
 * - `flow`: barriers and collectives are reached by all threads that they concern
 * - `lanes`: subgroups have a size that is known and kept to
 * - `shared`: threads see of workgroup memory what was written, and by whom
 * - `in-place`: of a buffer that is written, a thread reads just what it goes on to write
 */
export type Rule = 'scope' | 'type' | 'range' | 'bounds' | 'speculation' | 'flow' | 'lanes' | 'shared' | 'in-place';

export interface Problem {
  readonly rule: Rule;
  readonly what: string;
  /** Function and statement; of a function, also one place that it was called from. */
  readonly where: string;
}

/** Collects problems. A statement of a function that is called from many places is reported once. */
export class Report {
  private readonly found = new Map<string, Problem>();
  private readonly places: { fn: string; text: string }[] = [];

  enter(fn: string): void {
    this.places.push({ fn, text: '' });
  }

  leave(): void {
    this.places.pop();
  }

  at(s: Stmt): void {
    this.places.at(-1)!.text = showStmt(s);
  }

  say(rule: Rule, what: string): void {
    const chain = this.places.map(({ fn, text }) => (text ? `${fn}: ${text}` : fn)).reverse();
    const key = `${rule}\n${what}\n${chain[0]}`;
    if (!this.found.has(key)) this.found.set(key, { rule, what, where: chain.join(', called by ') });
  }

  /** How many there are: for `forget`. */
  get count(): number {
    return this.found.size;
  }

  /** Drops those found since there were `count`. They came of an assumption about a loop that proved too strong. */
  forget(count: number): void {
    for (const key of [...this.found.keys()].slice(count)) this.found.delete(key);
  }

  problems(): Problem[] {
    return [...this.found.values()];
  }
}

export function showType(t: Type): string {
  return t.lanes === 1 ? t.scalar : `vec${t.lanes}<${t.scalar}>`;
}

const LONGEST = 90;

function cut(text: string): string {
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`;
}

export function showIndex(x: Index): string {
  return cut(x.key.replaceAll('+0', '').replaceAll('+-', '-'));
}

function show(e: Expr): string {
  switch (e.kind) {
    case 'literal':
      return e.scalar === 'bool' ? String(e.value !== 0) : String(e.value);
    case 'name':
      return e.name;
    case 'address':
      return showIndex(e.index);
    case 'below':
      return `${showIndex(e.index)} < ${e.below}`;
    case 'unary':
      return `${e.op}${show(e.x)}`;
    case 'binary':
      return `(${show(e.a)} ${e.op} ${show(e.b)})`;
    case 'builtin':
    case 'call':
      return `${e.fn}(${e.args.map(show).join(', ')})`;
    case 'convert':
    case 'splat':
      return `${showType(e)}(${show(e.x)})`;
    case 'bitcast':
      return `bitcast<${showType(e)}>(${show(e.x)})`;
    case 'vector':
      return `${showType(e)}(${e.parts.map(show).join(', ')})`;
    case 'component':
      return typeof e.at === 'number' ? `${show(e.x)}.${'xyzw'[e.at] ?? e.at}` : `${show(e.x)}[${show(e.at)}]`;
    case 'load':
      return `${e.buffer}[${showIndex(e.at)}]`;
    case 'fetch':
      return `${e.buffer}[${show(e.at)}]`;
    case 'item':
      return `${e.array}[${show(e.at)}]`;
    case 'collective':
      return `${e.op}(${show(e.x)}${e.lane ? `, ${show(e.lane)}` : ''})`;
  }
}

export function showExpr(e: Expr): string {
  return cut(show(e));
}

/** One line; of a statement with a body, what stands before the body. */
function showStmt(s: Stmt): string {
  switch (s.kind) {
    case 'let':
      return cut(`let ${s.name} = ${show(s.value)}`);
    case 'var':
      return cut(`var ${s.name}${s.value ? ` = ${show(s.value)}` : ''}`);
    case 'array':
      return cut(`var ${s.name} = array(${s.values.map(show).join(', ')})`);
    case 'assign':
      return cut(`${s.name} = ${show(s.value)}`);
    case 'put':
      return cut(`${s.array}[${show(s.at)}] = ${show(s.value)}`);
    case 'store':
      return cut(`${s.buffer}[${showIndex(s.at)}] = ${show(s.value)}`);
    case 'write':
      return cut(`${s.buffer}[${show(s.at)}] = ${show(s.value)}`);
    case 'if':
      return cut(`if ${s.cases.map((c) => show(c.when)).join(' else if ')}`);
    case 'for':
      return cut(`for ${s.name} from ${show(s.from)} below ${show(s.below)} step ${s.step}`);
    case 'do':
      return cut(`${s.fn}(${s.args.map(show).join(', ')})`);
    case 'return':
      return cut(s.value ? `return ${show(s.value)}` : 'return');
    default:
      return s.kind;
  }
}
