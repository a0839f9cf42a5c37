/**
 * A small layout algebra after Wadler and Prettier: a document says where lines may break; printing chooses, group by group,
 * whether everything fits on one line.
 */

export type Doc =
  | string
  | { readonly kind: 'cat'; readonly parts: readonly Doc[]; readonly forced: boolean }
  | { readonly kind: 'indent'; readonly body: Doc; readonly forced: boolean }
  | { readonly kind: 'group'; readonly body: Doc; readonly forced: boolean }
  /** A break, or `flat` when its group fits on one line. */
  | { readonly kind: 'line'; readonly flat: string; readonly forced: boolean; readonly blank: boolean }
  /** A comment at the end of a line; it and what follows cannot share a line. */
  | { readonly kind: 'suffix'; readonly text: string; readonly forced: true };

const forced = (doc: Doc): boolean => typeof doc !== 'string' && doc.forced;

export const cat = (...parts: readonly Doc[]): Doc => ({ kind: 'cat', parts, forced: parts.some(forced) });
export const indent = (body: Doc): Doc => ({ kind: 'indent', body, forced: forced(body) });
export const group = (body: Doc): Doc => ({ kind: 'group', body, forced: forced(body) });
export const suffix = (text: string): Doc => ({ kind: 'suffix', text, forced: true });
export const line: Doc = { kind: 'line', flat: ' ', forced: false, blank: false };
export const softline: Doc = { kind: 'line', flat: '', forced: false, blank: false };
export const hardline: Doc = { kind: 'line', flat: '', forced: true, blank: false };
/** A line break with one empty line before the next text. */
export const blankline: Doc = { kind: 'line', flat: '', forced: true, blank: true };

export function join(separator: Doc, docs: readonly Doc[]): Doc {
  return cat(...docs.flatMap((doc, i) => (i === 0 ? [doc] : [separator, doc])));
}

interface Command {
  readonly level: number;
  readonly flat: boolean;
  readonly doc: Doc;
}

/** Whether what comes next stays within `room` columns up to the next possible break. */
function fits(next: Command, rest: readonly Command[], room: number): boolean {
  let left = room;
  let restAt = rest.length;
  const stack: Command[] = [next];
  while (left >= 0) {
    let command = stack.pop();
    if (!command) {
      if (restAt === 0) return true;
      command = rest[--restAt]!;
    }
    const { doc, flat, level } = command;
    if (typeof doc === 'string') left -= doc.length;
    else if (doc.kind === 'cat') {
      for (let i = doc.parts.length - 1; i >= 0; i--) stack.push({ level, flat, doc: doc.parts[i]! });
    } else if (doc.kind === 'line') {
      if (!flat || doc.forced) return true;
      left -= doc.flat.length;
    } else if (doc.kind === 'suffix') return true;
    else stack.push({ level, flat: doc.kind === 'group' ? flat && !doc.forced : flat, doc: doc.body });
  }
  return false;
}

/** Prints a document within `width` columns where it can. Lines end with `\n` and carry no trailing blanks. */
export function print(doc: Doc, width: number): string {
  const out: string[] = [];
  let column = 0;
  const stack: Command[] = [{ level: 0, flat: false, doc }];
  for (let command = stack.pop(); command; command = stack.pop()) {
    const { level, flat, doc } = command;
    if (typeof doc === 'string') {
      out.push(doc);
      column += doc.length;
    } else if (doc.kind === 'cat') {
      for (let i = doc.parts.length - 1; i >= 0; i--) stack.push({ level, flat, doc: doc.parts[i]! });
    } else if (doc.kind === 'indent') stack.push({ level: level + 1, flat, doc: doc.body });
    else if (doc.kind === 'group') {
      const asOne: Command = { level, flat: true, doc: doc.body };
      const keep = flat || (!doc.forced && fits(asOne, stack, width - column));
      stack.push(keep ? asOne : { level, flat: false, doc: doc.body });
    } else if (doc.kind === 'suffix') out.push(` ${doc.text}`);
    else if (flat && !doc.forced) {
      out.push(doc.flat);
      column += doc.flat.length;
    } else {
      const pad = '  '.repeat(level);
      out.push(doc.blank ? `\n\n${pad}` : `\n${pad}`);
      column = pad.length;
    }
  }
  return out.join('').split('\n').map(withoutBlanks).join('\n');
}

/** A line without blanks at its end. Not by a pattern, which would try each of the blanks in a line that goes on after them. */
function withoutBlanks(line: string): string {
  let end = line.length;
  while (line[end - 1] === ' ' || line[end - 1] === '\t') end--;
  return line.slice(0, end);
}
