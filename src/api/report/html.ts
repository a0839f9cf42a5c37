/** HTML by templates in which every text is escaped, unless it is HTML that one of them made. */

export class Html {
  constructor(readonly text: string) {}
}

type Part = Html | string | number | readonly Part[] | undefined;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const textOf = (part: Part): string => {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(textOf).join('');
  return String(part).replace(/[&<>"']/g, (c) => ESCAPES[c]!);
};

/** In attributes too, between quotes. `undefined` is nothing, a list its parts. */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(texts.map((text, i) => text + textOf(parts[i])).join(''));
}

/** A value as JSON that a `script` element can hold: nothing in it can end the element. */
export const jsonIn = (value: unknown): Html => new Html(JSON.stringify(value).replaceAll('<', '\\u003c'));
