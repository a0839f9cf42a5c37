/** Variants: a backbone with options filled in, with its preprocessing and its names in checkpoints. */
import type { PreprocessStep } from '../../../../runtime/program/program.js';
import type { Arg, CallExpr, Expr, NameExpr, Span, VariantDecl } from '../../ast.js';
import { spanOf, wordArg } from '../builtins/arguments.js';
import { COLOURS, FILTERS, ROUNDINGS, STEPS } from '../builtins/steps.js';
import { operatorCall } from '../evaluate/calls.js';
import type { Call, Engine, Facts } from '../evaluate/engine.js';
import { noGenerators } from '../evaluate/operator.js';
import { describe } from '../evaluate/show.js';
import { fillOptions } from '../evaluate/types.js';
import { type ModuleSite, Scope, type Spot } from '../evaluate/values.js';
import type { Named } from '../names/library.js';
import { optionHelp } from '../names/signature.js';
import { undeclared, withArticle } from '../names/undeclared.js';

/** The backbone or the variant that a variant fills in. */
function target(engine: Engine, v: VariantDecl): { call: CallExpr & { readonly callee: NameExpr }; name: string } {
  if (v.value.kind !== 'call' || v.value.callee.kind !== 'name') {
    return engine.report.stop(
      'ESP0205',
      {
        what: `the variant \`${v.name.name}\``,
        expected: 'a backbone with options',
        found: `\`${engine.library.textOf(v.value.span) ?? '?'}\``,
      },
      { primary: { span: v.value.span, text: 'this value' } },
    );
  }
  noGenerators(engine.report, v.value);
  return { call: { ...v.value, callee: v.value.callee }, name: v.value.callee.name };
}

/**
 * Makes the backbone of a variant. Options that the variant does not declare are handed on to what it fills in, so that
 * `vit_base_patch16(image: 384)` works.
 */
export function instantiateVariant(
  engine: Engine,
  decl: VariantDecl,
  expr: CallExpr,
  scope: Scope,
  spot: Spot,
  facts: Facts | undefined,
  chain: readonly VariantDecl[],
): ModuleSite {
  const own = new Set(decl.params.map((p) => p.name.name));
  const mine = expr.args.filter((a) => !a.name || own.has(a.name.name));
  const handed = expr.args.filter((a) => a.name && !own.has(a.name.name));
  const options = fillOptions(engine, {
    of: decl.name.name,
    params: decl.params,
    args: mine,
    scope,
    span: expr.span,
    facts,
  });
  const inner = new Scope();
  for (const [name, v] of options) inner.set(name, v);
  const { call, name } = target(engine, decl);
  const args: Arg[] = [...call.args];
  for (const a of handed) args.push(handOn(engine, a, scope, inner));
  const full: CallExpr = { ...call, args, span: expr.span };
  const next = engine.meanings.declared(call.callee);
  const made = <T>(work: () => T): T => engine.report.along(expr.span, `\`${decl.name.name}\` is made here`, work);
  if (next?.kind === 'variant') {
    if (next === decl || chain.includes(next)) {
      engine.report.stop('ESP0225', { name }, { primary: { span: call.callee.span, text: 'filled in here' } });
    }
    return made(() => instantiateVariant(engine, next, full, inner, spot, facts, [...chain, decl]));
  }
  if (next?.kind !== 'backbone' && next?.kind !== 'module') {
    return undeclared(engine.library, engine.report, {
      what: 'backbone',
      name,
      found: next,
      span: call.callee.span,
      candidates: engine.library.makers(call.callee.span.file),
      text: next ? `${withArticle(next.kind)}, not a backbone` : 'filled in here',
    });
  }
  return made(() => engine.instantiate(next, full, inner, spot, { facts }));
}

/** An argument of the caller as one of the variant's own: worked out where it was written, under a name that no one can write. */
function handOn(engine: Engine, a: Arg, from: Scope, to: Scope): Arg {
  if (a.value.kind === 'name' && engine.meanings.of(a.value).kind !== 'local') return a;
  const hidden = `(${a.name!.name})`;
  to.set(hidden, engine.evaluate(a.value, from));
  const value: Expr = { kind: 'name', name: hidden, span: a.value.span };
  return { ...a, value };
}

/** Of a variant that no name of the spec stands for, names have no meaning yet. */
const declared = (engine: Engine, e: NameExpr): Named | undefined =>
  engine.meanings.declared(e) ?? engine.library.find(e.name, e.span.file);

/** What a variant and those it builds on declare, nearest first. */
export function variantChain(engine: Engine, decl: VariantDecl): VariantDecl[] {
  const chain: VariantDecl[] = [];
  let v: VariantDecl | undefined = decl;
  while (v && !chain.includes(v)) {
    chain.push(v);
    const callee: Expr | undefined = v.value.kind === 'call' ? v.value.callee : undefined;
    const next: Named | undefined = callee?.kind === 'name' ? declared(engine, callee) : undefined;
    v = next?.kind === 'variant' ? next : undefined;
  }
  return chain;
}

// ---- Preprocessing -------------------------------------------------------------------------------------------------

/** Whether a tensor of so many channels is made of a picture: grey or RGB. */
export const isPicture = (channels: number): boolean => channels === 1 || channels === 3;

const nameOf = (e: Expr): string | undefined => {
  if (e.kind === 'name') return e.name;
  return e.kind === 'call' && e.callee.kind === 'name' ? e.callee.name : undefined;
};
/** Whether a step says how pictures are decoded. */
export const isColour = (e: Expr): boolean => nameOf(e) === 'colour';

/**
 * The steps that a variant declares, with the backbone's options in reach; undefined where there are none. How pictures are decoded (`coloursOf`) is none
 * of them, and is looked for by itself: a variant that says no more than that has the steps of what it fills in.
 */
export function preprocessOf(
  engine: Engine,
  decl: VariantDecl,
  site: ModuleSite,
  channels: number,
): PreprocessStep[] | undefined {
  const exprs = variantChain(engine, decl).find((v) => v.preprocess?.some((e) => !isColour(e)))?.preprocess;
  return exprs
    ?.filter((e) => !isColour(e))
    .flatMap((e) => engine.report.attempt(() => step(engine, e, site, channels)) ?? []);
}

/** How the variant, or the nearest of those that it fills in, says that pictures are decoded: the first step, or none; undefined where none says it. */
export function coloursOf(engine: Engine, decl: VariantDecl, site: ModuleSite): PreprocessStep[] | undefined {
  const exprs = variantChain(engine, decl).find((v) => v.preprocess?.some(isColour))?.preprocess;
  if (!exprs) return undefined;
  return engine.report.attempt(() => {
    const late = exprs.findIndex((e, i) => i > 0 && isColour(e));
    if (late > 0) {
      const twice = isColour(exprs[0]!);
      const secondary = twice ? [{ span: exprs[0]!.span, text: 'first here' }] : [];
      engine.report.stop('ESP1141', { twice }, { primary: { span: exprs[late]!.span, text: 'here' }, secondary });
    }
    const [call] = stepCall(engine, exprs[0]!, site);
    return wordArg(call, 'rule', COLOURS, 'raw') === 'managed' ? [{ step: 'colour', rule: 'managed' }] : [];
  });
}

/** A step as a call of its signature, and where it stands. */
function stepCall(engine: Engine, e: Expr, site: ModuleSite): [call: Call, expr: CallExpr] {
  const expr: Expr = e.kind === 'name' ? { kind: 'call', callee: e, generators: [], args: [], span: e.span } : e;
  if (expr.kind !== 'call' || expr.callee.kind !== 'name')
    return bad(engine, 'preprocess', 'steps such as resize(224, bicubic)', e.span);
  const { name } = expr.callee;
  const signature = STEPS.get(name);
  if (!signature) {
    return engine.report.stop(
      'ESP0252',
      { setting: 'preprocess', name },
      { primary: { span: expr.callee.span, text: 'no such step' }, help: optionHelp(name, [...STEPS.keys()]) },
    );
  }
  return [operatorCall(engine, signature, expr, site.scope), expr];
}

function step(engine: Engine, e: Expr, site: ModuleSite, channels: number): PreprocessStep {
  const [call, expr] = stepCall(engine, e, site);
  switch (call.name as Exclude<PreprocessStep['step'], 'colour'>) {
    case 'resize': {
      const filter = wordArg(call, 'filter', FILTERS, 'bilinear');
      const longest = call.args.get('longest');
      if (call.args.has('size') === (longest !== undefined))
        return bad(engine, 'resize', 'a size, or the `longest` side', expr.span);
      if (longest) {
        const side = engine.dimension(longest.value, 'a size of an image', longest.span);
        return { step: 'resize', size: { longest: side }, filter };
      }
      const [height, width] = sizes(call);
      return { step: 'resize', size: width === undefined ? height : [height, width], filter };
    }
    case 'crop': {
      const [height, width = height] = sizes(call);
      const rounding = wordArg(call, 'rounding', ROUNDINGS, 'down');
      return { step: 'crop', size: [height, width], ...(rounding === 'down' ? {} : { rounding }) };
    }
    case 'pad': {
      const [height, width = height] = sizes(call);
      return { step: 'pad', size: [height, width] };
    }
    case 'normalize': {
      const list = (param: string): number[] => {
        const arg = call.args.get(param)!;
        const items = arg.value.kind === 'list' ? arg.value.items : [arg.value];
        const numbers = items.map((n) => engine.number(n, `\`${param}\` of normalize`, arg.span));
        if (numbers.length === 1) return isPicture(channels) ? Array(channels).fill(numbers[0]!) : numbers;
        if (numbers.length !== channels)
          bad(engine, `${param} of normalize`, `one number or ${channels}`, arg.span, `${numbers.length}`);
        return numbers;
      };
      const std = list('std');
      if (std.some((s) => s <= 0)) bad(engine, 'std of normalize', 'larger than 0', spanOf(call, 'std'));
      return { step: 'normalize', mean: list('mean'), std };
    }
    case 'grayscale':
      return { step: 'grayscale' };
  }
}

/** One size, or height and width. */
function sizes(call: Call): [number] | [number, number] {
  const arg = call.args.get('size')!;
  const items = arg.value.kind === 'list' ? arg.value.items : [arg.value];
  const [first, second] = items.map((n) => call.engine.dimension(n, 'a size of an image', arg.span));
  if (first === undefined || items.length > 2)
    return bad(call.engine, `size of ${call.name}`, 'a number or [height, width]', arg.span, describe(arg.value));
  return second === undefined ? [first] : [first, second];
}

function bad(
  engine: Engine,
  setting: string,
  expected: string,
  span: Span,
  found = `\`${engine.library.textOf(span) ?? '?'}\``,
): never {
  return engine.report.stop('ESP0251', { setting, expected, found }, { primary: { span, text: 'here' } });
}
