/** Which sites an adapter may be put on. */
import type { AdapterDecl } from '../../../ast.js';
import type { Site } from '../../evaluate/values.js';

/** Whether an adapter's pattern takes a site; shapes are seen when it is traced. */
export function suits(decl: AdapterDecl, site: Site): boolean {
  if (decl.target.kind === 'call') return true;
  const name = decl.target.layer.name;
  return (site.kind === 'layer' || site.kind === 'part') && (name === 'Layer' || name === site.type);
}

/** What an adapter's pattern asks for, for messages. */
export function wants(decl: AdapterDecl): string {
  if (decl.target.kind === 'call') return 'anything that takes such a tensor';
  return decl.target.layer.name === 'Layer' ? 'a layer' : `a ${decl.target.layer.name}`;
}
