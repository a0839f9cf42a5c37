/** Functions that call themselves, used or not: what they gave would have no end. */
import type { CallExpr, FunctionDecl } from '../../ast.js';
import { nodesOf } from '../../walk.js';
import type { Report } from '../report.js';
import type { Library } from './library.js';
import type { Meanings } from './meaning.js';

export function checkRecursion(library: Library, meanings: Meanings, report: Report): void {
  const done = new Set<FunctionDecl>();
  const visit = (f: FunctionDecl, above: readonly FunctionDecl[]): void => {
    for (const { call, called } of callsOf(meanings, f)) {
      if (called === f || above.includes(called)) {
        const { name } = called.name;
        report.add('ESP0225', { name }, { primary: { span: call.span, text: 'called inside of itself' } });
      } else if (!done.has(called)) visit(called, [...above, f]);
    }
    done.add(f);
  };
  for (const file of library.userFiles) {
    for (const d of file.decls) if (d.kind === 'function' && !done.has(d)) visit(d, []);
  }
}

function callsOf(meanings: Meanings, f: FunctionDecl): { call: CallExpr; called: FunctionDecl }[] {
  return [...nodesOf(f.value)].flatMap((node) => {
    const call = node as CallExpr;
    if (call.kind !== 'call' || call.callee.kind !== 'name') return [];
    const called = meanings.declared(call.callee);
    return called?.kind === 'function' ? [{ call, called }] : [];
  });
}
