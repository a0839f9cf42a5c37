/** Indexing: of tensors (`x[:, 0..n, new]`), lists and lists of modules (`blocks[3]`). */
import type { Expr, IndexExpr, IndexItem, Span } from '../../ast.js';
import type { Engine } from './engine.js';
import { known } from './numbers.js';
import { describe, showNumber } from './show.js';
import { bool, num, type Scope, type TableVal, tensorVal, type Val } from './values.js';

export function indexValue(engine: Engine, v: Val, expr: IndexExpr, scope: Scope): Val {
  if (v.kind === 'table' && expr.indices.length === v.shape.length && expr.indices.every((i) => i.kind === 'at')) {
    return element(engine, v, expr, scope);
  }
  if (v.kind === 'tensor' || v.kind === 'table') return indexTensor(engine, v, expr, scope);
  const items: readonly Val[] | undefined =
    v.kind === 'list'
      ? v.items
      : v.kind === 'site' && v.site.kind === 'list'
        ? v.site.items.map((site) => ({ kind: 'site', site }) as const)
        : undefined;
  if (!items) {
    return engine.report.stop(
      'ESP0205',
      { what: 'what is indexed', expected: 'a tensor or a list', found: describe(v) },
      { primary: { span: expr.object.span, text: `this is ${describe(v)}` } },
    );
  }
  const picked = expr.indices.flatMap((i) => pick(engine, i, items.length, 'a list', scope));
  const single = expr.indices.length === 1 && expr.indices[0]!.kind === 'at';
  return single ? items[picked[0]!]! : { kind: 'list', items: picked.map((i) => items[i]!) };
}

/** One element of a table is known while compiling: tables may look things up in other tables. */
function element(engine: Engine, t: TableVal, expr: IndexExpr, scope: Scope): Val {
  let offset = 0;
  expr.indices.forEach((item, axis) => {
    const size = t.shape[axis]!;
    offset = offset * size + (item.kind === 'at' ? at(engine, item.value, size, `axis ${axis}`, scope) : 0);
  });
  const x = t.data[offset]!;
  return t.dtype === 'bool' ? bool(x !== 0) : num(x, t.dtype === 'i32');
}

function pick(engine: Engine, item: IndexItem, size: number, what: string, scope: Scope): number[] {
  if (item.kind === 'new') {
    return engine.report.stop(
      'ESP0220',
      { what: '`new`', where: 'the index of a list' },
      { primary: { span: item.span, text: 'only tensors get new axes' } },
    );
  }
  if (item.kind === 'at') return [at(engine, item.value, size, what, scope)];
  const [start, end] = bounds(engine, item, size, what, scope);
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** One index, negative ones from the end. */
export function at(engine: Engine, expr: Expr, size: number, what: string, scope: Scope): number {
  const i = engine.whole(known(engine, engine.evaluate(expr, scope), expr.span), 'an index', expr.span);
  const n = i < 0 ? i + size : i;
  if (n < 0 || n >= size) outside(engine, String(i), size, what, expr.span);
  return n;
}

/** The half-open range that `a..b` means in an axis of this size. */
export function bounds(
  engine: Engine,
  item: Extract<IndexItem, { kind: 'range' }>,
  size: number,
  what: string,
  scope: Scope,
): [number, number] {
  const side = (e: Expr | undefined, otherwise: number): number => {
    if (!e) return otherwise;
    const i = engine.whole(engine.evaluate(e, scope), 'an end of a range', e.span);
    const n = i < 0 ? i + size : i;
    if (n < 0 || n > size) outside(engine, showNumber(i), size, what, e.span, `an end may be 0 to ${showNumber(size)}`);
    return n;
  };
  const start = side(item.start, 0);
  const end = side(item.end, size);
  if (start >= end) {
    engine.report.stop(
      'ESP0313',
      { start: showNumber(start), end: showNumber(end) },
      { primary: { span: item.span, text: `of ${what} of size ${showNumber(size)}` } },
    );
  }
  return [start, end];
}

function outside(
  engine: Engine,
  index: string,
  size: number,
  what: string,
  span: Span,
  text = `0 to ${size - 1} exist`,
): never {
  return engine.report.stop('ESP0306', { index, size: showNumber(size), what }, { primary: { span, text } });
}

function indexTensor(engine: Engine, v: Val, expr: IndexExpr, scope: Scope): Val {
  const x = { value: engine.tensor(v, expr.object.span), span: expr.object.span };
  const shape = x.value.type.shape;
  const used = expr.indices.filter((i) => i.kind !== 'new').length;
  if (used > shape.length) {
    engine.report.stop(
      'ESP0308',
      { found: used, most: shape.length },
      { primary: { span: expr.span, text: `${describe(v)}` } },
    );
  }
  const start = shape.map(() => 0);
  const end = [...shape];
  const result: number[] = [];
  let axis = 0;
  for (const item of expr.indices) {
    if (item.kind === 'new') {
      result.push(1);
      continue;
    }
    const size = shape[axis]!;
    const what = `axis ${axis}`;
    if (item.kind === 'at') {
      const i = at(engine, item.value, size, what, scope);
      start[axis] = i;
      end[axis] = i + 1;
    } else {
      const [from, to] = bounds(engine, item, size, what, scope);
      start[axis] = from;
      end[axis] = to;
      result.push(to - from);
    }
    axis++;
  }
  result.push(...shape.slice(axis));
  return tensorVal(
    engine.trace('index', expr.span, [x], (b, o) => b.reshape(b.slice(x.value, start, end, o), result, o)),
  );
}

/** The elements that `q, k, v = value` binds: of a list, or of a tensor's first axis. */
export function destructure(engine: Engine, v: Val, names: number, span: Span): Val[] {
  if (v.kind === 'site' && v.site.kind === 'list') {
    return destructure(
      engine,
      { kind: 'list', items: v.site.items.map((site) => ({ kind: 'site', site })) },
      names,
      span,
    );
  }
  if (v.kind === 'list') {
    if (v.items.length === names) return [...v.items];
    return count(engine, names, v.items.length, span);
  }
  if (v.kind === 'num') return count(engine, names, 1, span);
  const x = { value: engine.tensor(v, span), span };
  const shape = x.value.type.shape;
  const n = known(engine, num(shape[0] ?? 1), span).value;
  if (n !== names) return count(engine, names, n, span);
  return Array.from({ length: n }, (_, i) =>
    tensorVal(
      engine.trace('index', span, [x], (b, o) => b.reshape(b.sliceAxis(x.value, 0, i, i + 1, o), shape.slice(1), o)),
    ),
  );
}

function count(engine: Engine, names: number, values: number, span: Span): never {
  return engine.report.stop('ESP0222', { names, values }, { primary: { span, text: `${values} here` } });
}
