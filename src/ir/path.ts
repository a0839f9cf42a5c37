/**
 * Where a site is in the model. A site has one path, written as its parameters' names begin, in files too: `base.blocks.3.attn`. Here is what else is
 * asked of it.
 */

const isIndex = (part: string): boolean => part !== '' && Number.isInteger(Number(part));

/** As specs write it, which is how messages and pictures show it: `base.blocks[3].attn`. */
export const showPath = (path: string): string =>
  path
    .split('.')
    .reduce((shown, part) => (shown === '' ? part : isIndex(part) ? `${shown}[${part}]` : `${shown}.${part}`), '');

/** The last step alone, as specs write it: `attn`; an item of a list with its list, `blocks[3]`. */
export const lastStep = (path: string): string => showPath(path).split('.').at(-1)!;

/** The name of the model's binding that it is in: `base`. */
export const bindingOf = (path: string): string => path.split('.', 1)[0]!;

/** Whether the site is `outer` or in it. */
export const isWithin = (path: string, outer: string): boolean => path === outer || path.startsWith(`${outer}.`);

/** What all of the paths begin with; empty where they have nothing in common. */
export function commonPath(paths: readonly string[]): string {
  const parts = paths.map((p) => p.split('.'));
  const [first = []] = parts;
  const shared = first.findIndex((part, i) => parts.some((p) => p[i] !== part));
  return (shared < 0 ? first : first.slice(0, shared)).join('.');
}
