/** The tensors of a call, bound to the parameters of a forward, a labelled stretch or an adapter, and sizes to open dimensions. */
import type { Place } from '../../../../diagnostics/catalogue.js';
import { showSize } from '../../../../ir/batch.js';
import type { Expr, Span, TensorParam } from '../../../ast.js';
import type { ArgVal, Engine } from '../../evaluate/engine.js';
import { describe, showShape } from '../../evaluate/show.js';
import { isTensorLike, num, type Scope } from '../../evaluate/values.js';
import { elementType } from '../../names/words.js';

/** Binds arguments to the parameters of a forward, a labelled stretch or an adapter, and their open dimensions to sizes. */
export function bindTensors(
  engine: Engine,
  of: string,
  params: readonly TensorParam[],
  scope: Scope,
  args: readonly ArgVal[],
  span: Span,
): void {
  const slots = new Map<string, ArgVal>();
  let at = 0;
  for (const a of args) {
    const name = a.name ?? params[at++]?.name.name;
    if (name === undefined) {
      engine.report.stop(
        'ESP0209',
        { of, most: params.length, found: args.length },
        { primary: { span: a.span, text: 'one too many' } },
      );
    }
    if (!params.some((p) => p.name.name === name)) {
      engine.report.stop('ESP0203', { option: name, of }, { primary: { span: a.span, text: 'no such argument' } });
    }
    slots.set(name, a);
  }
  for (const p of params) {
    const name = p.name.name;
    const arg = slots.get(name);
    if (!arg) {
      engine.report.stop(
        'ESP0229',
        { of, what: `the argument \`${name}\`` },
        { primary: { span, text: 'called here' }, secondary: [{ span: p.span, text: 'declared here' }] },
      );
    }
    if (p.shape) matchShape(engine, of, p, scope, arg);
    scope.set(name, arg.value);
  }
}

/**
 * Binds the open dimensions of a declared shape to an argument's sizes.
 * @param misfit says that the sizes differ, instead of the usual message
 */
export function matchShape(
  engine: Engine,
  of: string,
  p: TensorParam,
  scope: Scope,
  arg: ArgVal,
  misfit?: (declared: string, found: string, place: Place) => never,
): void {
  const declared = p.shape!;
  const open = new Set<Expr>();
  if (!isTensorLike(arg.value)) {
    engine.report.stop(
      'ESP0205',
      { what: `\`${p.name.name}\` of ${of}`, expected: 'a tensor', found: describe(arg.value) },
      { primary: { span: arg.span, text: `this is ${describe(arg.value)}` } },
    );
  }
  const dtype = p.dtype && elementType(p.dtype);
  const value = engine.tensor(arg.value, arg.span, dtype);
  const found = value.type.shape;
  const sizes = declared.map((d, i) => {
    if (d.kind === 'name' && scope.get(d.name) === undefined) {
      if (found[i] !== undefined) scope.set(d.name, num(found[i]));
      open.add(d);
      return found[i];
    }
    return engine.whole(engine.evaluate(d, scope), 'a dimension', d.span);
  });
  const same = dtype === undefined || dtype === value.type.dtype;
  if (same && sizes.length === found.length && sizes.every((s, i) => s === found[i])) return;
  const text = `${dtype ?? ''}[${declared.map((d, i) => dimensionText(engine, d, open.has(d) ? undefined : sizes[i])).join(', ')}]`;
  const made = value.about?.at;
  const elsewhere = made && !(made.start === arg.span.start && made.file === arg.span.file);
  const given = `${same ? (dtype ?? '') : value.type.dtype}${showShape(found)}`;
  const place: Place = {
    primary: { span: arg.span, text: `this is ${given}` },
    secondary: [
      { span: p.span, text: `declared as ${text}` },
      ...(elsewhere ? [{ span: made, text: `made here: ${given}` }] : []),
    ],
  };
  misfit?.(text, given, place);
  engine.report.stop('ESP0302', { of, param: p.name.name, declared: text, found: given }, place);
}

/** A dimension as it is written, with its number where the two differ. */
function dimensionText(engine: Engine, d: Expr, size: number | undefined): string {
  const written = engine.library.textOf(d.span);
  if (written === undefined) return size === undefined ? '?' : showSize(size);
  return size === undefined || written === showSize(size) ? written : `${written} = ${showSize(size)}`;
}
