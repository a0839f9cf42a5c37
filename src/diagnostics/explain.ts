/** The pages behind `espalier explain`. */
import { CATALOGUE } from './catalogue.js';
import type { Entry } from './entries/define.js';

function entryOf(code: string): Entry<never> | undefined {
  return Object.hasOwn(CATALOGUE, code) ? (CATALOGUE[code as keyof typeof CATALOGUE] as Entry<never>) : undefined;
}

/** The page for a code (`ESP0101`, in either case, or only its number) as Markdown; undefined if there is no such code. */
export function explain(code: string): string | undefined {
  const upper = code.trim().toUpperCase();
  const full = /^\d{1,4}$/.test(upper) ? `ESP${upper.padStart(4, '0')}` : upper;
  const found = entryOf(full);
  return found ? `# ${full}: ${found.title}\n\n${found.explain.trim()}\n` : undefined;
}
