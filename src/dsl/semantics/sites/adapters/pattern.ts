/** Which sites an adapter may be put on. */
import type { AdapterDecl } from '../../../ast.js';
import type { Site } from '../../evaluate/values.js';

/** Whether an adapter's pattern takes a site; shapes are seen when it is traced. */
export function suits(decl: AdapterDecl, site: Site): boolean {
  return decl.target.kind === 'call' || ((site.kind === 'layer' || site.kind === 'part') && suitsType(decl, site.type));
}

/** Whether it takes layers of a type: `Linear`. */
export function suitsType({ target }: AdapterDecl, type: string): boolean {
  return target.kind === 'call' || target.layer.name === 'Layer' || target.layer.name === type;
}

/** What an adapter's pattern asks for, for messages. */
export function wants(decl: AdapterDecl): string {
  if (decl.target.kind === 'call') return 'anything that takes such a tensor';
  return decl.target.layer.name === 'Layer' ? 'a layer' : `a ${decl.target.layer.name}`;
}
