/** JSON as text, as the formatter breaks lines: what fits stays on a line. */
import { cat, type Doc, group, hardline, indent, join, line, print, softline } from '../format/doc.js';

const WIDTH = 100;

/** A number as it is spelled. */
export class Spelled {
  constructor(readonly text: string) {}
}

/** What JSON holds; a `Map` is an object whose keys keep their order, whatever they are. */
export type Json = string | number | boolean | null | Spelled | readonly Json[] | ReadonlyMap<string, Json>;

/** Objects with one of these keys have each field on a line of its own. */
const TALL = ['use', 'code', 'model', 'body', 'then'];

/** @param lines whether items stand below each other, even if they fit on one line */
function enclosed(open: string, items: readonly Doc[], close: string, edge: Doc, lines: boolean): Doc {
  if (items.length === 0) return `${open}${close}`;
  const [inside, between] = lines ? [hardline, hardline] : [edge, line];
  return group(cat(open, indent(cat(inside, join(cat(',', between), items))), inside, close));
}

function docOf(json: Json): Doc {
  if (json instanceof Spelled) return json.text;
  if (json instanceof Map) {
    const tall = TALL.some((key) => json.has(key));
    const fields = [...json].map(([key, value]): Doc => cat(JSON.stringify(key), ': ', docOf(value)));
    return enclosed('{', fields, '}', line, tall);
  }
  if (Array.isArray(json)) {
    const tall = json.some((item) => item instanceof Map && (TALL.some((key) => item.has(key)) || item.has('adapt')));
    return enclosed('[', (json as readonly Json[]).map(docOf), ']', softline, tall);
  }
  return JSON.stringify(json);
}

/** A document, with a line end behind it. */
export const printJson = (json: Json): string => `${print(docOf(json), WIDTH)}\n`;
