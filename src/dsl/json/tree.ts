/** JSON text as a tree with places. Strict: no comments, no commas behind the last item, no key twice. */
import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser';
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Span } from '../../diagnostics/types.js';

export type JsonNode = Node;

/** Levels that may be open at once: more than a spec that can be read has. */
const MAX_LEVELS = 250;

const WHY: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is no value of JSON; words stand in double quotes',
  InvalidNumberFormat: 'this is no number of JSON',
  PropertyNameExpected: 'a key in double quotes is missing here',
  ValueExpected: 'a value is missing here',
  ColonExpected: 'a `:` is missing here',
  CommaExpected: 'a `,` is missing here',
  CloseBraceExpected: 'a `}` is missing here',
  CloseBracketExpected: 'a `]` is missing here',
  EndOfFileExpected: 'nothing may follow here: the document has ended',
  InvalidCommentToken: 'JSON has no comments',
  UnexpectedEndOfComment: 'JSON has no comments',
  UnexpectedEndOfString: 'this string has no end on its line',
  UnexpectedEndOfNumber: 'this number is not finished',
  InvalidUnicode: 'this is no character: `\\u` has four hexadecimal digits behind it',
  InvalidEscapeCharacter: 'JSON has no such escape',
  InvalidCharacter: 'this character stands in a string only as an escape',
};

/** The tree; undefined where the text is no JSON, with what is wrong (ESP1307), each at its place. */
export function treeOf(path: string, text: string): { readonly root?: JsonNode; readonly diagnostics: Diagnostic[] } {
  const said = (why: string, start: number, length: number): Diagnostic =>
    diagnostic(
      'ESP1307',
      { file: path, why },
      { primary: { span: { file: path, start, end: start + length }, text: 'here' } },
    );
  // The mark at the beginning of a text belongs to its encoding. The parser goes down one call a level.
  const plain = text.replace(/^\ufeff/, ' ');
  const deep = tooDeep(plain);
  if (deep !== undefined) return { diagnostics: [said(`it is nested more than ${MAX_LEVELS} levels deep`, deep, 1)] };
  const errors: ParseError[] = [];
  const root = parseTree(plain, errors, {
    disallowComments: true,
    allowTrailingComma: false,
    allowEmptyContent: false,
  });
  if (errors.length === 0 && root) return { root, diagnostics: [] };
  // What follows the first mistake is mostly its echo.
  const [first] = errors;
  const why = first ? WHY[printParseErrorCode(first.error)] : WHY.ValueExpected;
  return { diagnostics: [said(why ?? 'this is no JSON', first?.offset ?? 0, first?.length ?? 0)] };
}

/** Where brackets outside of strings are too many levels deep. */
function tooDeep(text: string): number | undefined {
  let level = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '{' || c === '[') level++;
    else if (c === '}' || c === ']') level--;
    else if (c === '"') for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
    if (level > MAX_LEVELS) return i;
  }
  return undefined;
}

export const spanOf = (path: string, { offset, length }: Pick<JsonNode, 'offset' | 'length'>): Span => ({
  file: path,
  start: offset,
  end: offset + length,
});

/** What is between the quotes of a string. */
export const insideOf = (path: string, node: JsonNode): Span => ({
  file: path,
  start: node.offset + 1,
  end: node.offset + node.length - 1,
});

/** Where each UTF-16 unit of a string's value stands in the text, and where the last one ends. */
export function placesOf(text: string, node: JsonNode): number[] {
  const end = node.offset + node.length - 1;
  const places: number[] = [];
  let at = node.offset + 1;
  while (at < end) {
    places.push(at);
    at += text[at] !== '\\' ? 1 : text[at + 1] === 'u' ? 6 : 2;
  }
  places.push(end);
  return places;
}

/** What a node is, for messages. */
export function described(node: JsonNode): string {
  switch (node.type) {
    case 'object':
      return 'an object';
    case 'array':
      return 'a list';
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    default:
      return `\`${node.value}\``;
  }
}
