/** How the arguments of a call are put into the parameters of an operator or layer. */
import type { CallExpr } from '../../ast.js';
import { optionHelp, parameterNames, type Signature } from '../names/signature.js';
import type { Report } from '../report.js';
import type { ArgVal, Engine } from './engine.js';

/** Puts arguments into parameters; reports unknown, doubled, missing and surplus ones. */
export function bindArguments(
  engine: Engine,
  op: Signature,
  expr: CallExpr,
  given: readonly ArgVal[],
): { args: Map<string, ArgVal>; rest: ArgVal[] } {
  const names = parameterNames(op);
  const variadic = op.params[0]?.startsWith('...') ?? false;
  const args = new Map<string, ArgVal>();
  const rest: ArgVal[] = [];
  let at = 0;
  for (const arg of given) {
    if (arg.name === undefined && variadic) {
      rest.push(arg);
      continue;
    }
    const name = arg.name ?? names[at++];
    if (name === undefined) {
      const found = given.filter((a) => a.name === undefined).length;
      engine.report.stop(
        'ESP0209',
        { of: op.name, most: names.length, found },
        { primary: { span: arg.span, text: 'one too many' } },
      );
    }
    if (!names.includes(name)) {
      if (op.open) {
        rest.push(arg);
        continue;
      }
      engine.report.stop(
        'ESP0203',
        { option: name, of: op.name },
        { primary: { span: arg.nameSpan ?? arg.span, text: 'no such option' }, help: optionHelp(name, names) },
      );
    }
    if (args.has(name)) {
      engine.report.stop(
        'ESP0208',
        { option: name, of: op.name },
        {
          primary: { span: arg.span, text: 'given again' },
          secondary: [{ span: args.get(name)!.span, text: 'first' }],
        },
      );
    }
    args.set(name, arg);
  }
  for (const p of op.params) {
    if (p.endsWith('?') || p.startsWith('...') || args.has(p)) continue;
    engine.report.stop(
      'ESP0229',
      { of: op.name, what: `the argument \`${p}\`` },
      { primary: { span: expr.span, text: `${op.name}(${op.params.join(', ')})` } },
    );
  }
  if (variadic && rest.length === 0 && expr.generators.length === 0 && !args.has(names[0]!)) {
    engine.report.stop('ESP0229', { of: op.name, what: 'an argument' }, { primary: { span: expr.span, text: op.doc } });
  }
  return { args, rest };
}

/** Refuses `f(i < n: ...)` where a call takes no comprehension. */
export function noGenerators(report: Report, expr: CallExpr): void {
  const first = expr.generators[0];
  if (!first) return;
  report.stop(
    'ESP0220',
    { what: 'a comprehension', where: 'this call; sum, max, min, concat, stack and table take one' },
    { primary: { span: first.span, text: 'here' } },
  );
}
