/** Which names statements bind. */
import type { Stmt } from '../../ast.js';

/** Names that a statement binds in the body it stands in. */
export function boundBy(s: Stmt): string[] {
  switch (s.kind) {
    case 'bind':
      return s.names.map((n) => n.name);
    case 'site':
      return [s.name.name];
    case 'if_stmt':
      return [...s.then, ...(s.otherwise ?? [])].flatMap(boundBy);
    case 'for':
      return s.body.flatMap(boundBy);
    case 'error':
      return [...s.names];
    default:
      return [];
  }
}
