/** Functions that call themselves, used or not: what they gave would have no end. */
import type { CallExpr, FunctionDecl } from '../../ast.js';
import { nodesOf } from '../../walk.js';
import type { Report } from '../report.js';
import type { Library } from './library.js';

export function checkRecursion(library: Library, report: Report): void {
  const done = new Set<FunctionDecl>();
  const visit = (f: FunctionDecl, above: readonly FunctionDecl[]): void => {
    for (const { call, called } of callsOf(library, f)) {
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

function callsOf(library: Library, f: FunctionDecl): { call: CallExpr; called: FunctionDecl }[] {
  return [...nodesOf(f.value)].flatMap((node) => {
    const call = node as CallExpr;
    if (call.kind !== 'call' || call.callee.kind !== 'name') return [];
    const { name, span } = call.callee;
    if (f.params.some((p) => p.name.name === name)) return [];
    const called = library.find(name, span.file);
    return called?.kind === 'function' ? [{ call, called }] : [];
  });
}
