/**
 * Patterns of Python's `re`, as adapter configurations hold them, matched in linear time whatever they are (by re2js). What RE2 writes otherwise is
 * translated; what it reads otherwise, or cannot do in linear time (look-around, references back, possessive repeats), is refused.
 */
import { RE2JS, RE2JSSyntaxException } from 're2js';

/** `message` completes "it ...". */
export class PatternError extends Error {}

export interface Pattern {
  /** Whether the whole name, or the name after some dot, matches. Throws PatternError for a name on which Python and RE2 may differ. */
  matches(name: string): boolean;
  /** Steps that one character of a name can take. */
  readonly cost: number;
}

/** peft's rule of patterns by which a field is looked up: `^(.*\.)?(pattern)$`. Throws PatternError. */
export function namePattern(pattern: string): Pattern {
  // Most are plain names, of which there may be as many as the model has layers.
  if (/^[\w.]*$/.test(pattern)) return { matches: (name) => isTail(pattern, name), cost: 0 };
  return compiled(pattern, '(?:.*\\.)?');
}

/** A pattern of whole names. Throws PatternError. */
export const fullPattern = (pattern: string): Pattern => compiled(pattern, '');

/** @param before what may stand in front of what matches */
function compiled(pattern: string, before: string): Pattern {
  const text = translated(pattern);
  try {
    // Alone first, so that no bracket of its own closes one of ours.
    RE2JS.compile(text);
    const whole = RE2JS.compile(`${before}(?:${text})`);
    return {
      matches(name) {
        // Python's classes are Unicode's, RE2's are ASCII's.
        if (/[^\0-\x7f]/.test(name)) throw new PatternError(`is matched with the name "${name}", which is not ASCII`);
        return whole.testExact(name);
      },
      cost: whole.programSize(),
    };
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const why = error.message.replace('error parsing regexp: ', '');
    const beyond = /unsupported Perl syntax|escape sequence|nested repetition|repeat count/.test(why);
    throw new PatternError(
      beyond ? `is not matched in linear time, or by RE2 (${why})` : `is not a regular expression (${why})`,
    );
  }
}

/** A dot of the pattern is any character. */
function isTail(pattern: string, name: string): boolean {
  const start = name.length - pattern.length;
  if (start < 0 || (start > 0 && name[start - 1] !== '.')) return false;
  for (let i = 0; i < pattern.length; i++) if (pattern[i] !== '.' && pattern[i] !== name[start + i]) return false;
  return true;
}

/** Python's escapes that are letters: what RE2 has besides would mean something in RE2 alone. */
const ESCAPES = /[AbBdDsSwWZafnrtvxuUN]/;

/** The same pattern as RE2 writes it. Throws PatternError for what RE2 would read otherwise. */
function translated(pattern: string): string {
  let out = '';
  let inClass = false;
  for (let i = 0; i < pattern.length; ) {
    const rest = pattern.slice(i, i + 40);
    let piece = rest[0]!;
    let becomes: string | undefined;
    if (piece === '\\') {
      piece = rest.slice(0, 2);
      const letter = rest[1] ?? '';
      if (/[1-9]/.test(letter)) throw new PatternError('refers back to what a group matched');
      if (/[A-Za-z]/.test(letter) && !ESCAPES.test(letter))
        throw new PatternError(`has \`${piece}\`, which Python lacks`);
      if (letter === 'Z') becomes = '\\z';
      // In a class it is a backspace.
      if (letter === 'b' && inClass) becomes = '\\x08';
    } else if (inClass) {
      if (rest.startsWith('[:')) throw new PatternError('has `[:` in a class, which Python reads as two characters');
      if (piece === ']') inClass = false;
    } else if (piece === '[') {
      inClass = true;
      // A bracket that closes nothing yet is one of the characters.
      piece = /^\[\^?\]?/.exec(rest)![0];
    } else if (piece === '{') {
      const range = /^\{,(\d{0,9})\}/.exec(rest);
      if (range) [piece, becomes] = [range[0], `{0,${range[1]}}`];
    } else if (rest.startsWith('(?')) {
      const flags = /^\(\?([a-zA-Z]*(?:-[a-zA-Z]+)?)([:)])/.exec(rest);
      if (flags && (!/^[ims]*(-[ims]+)?$/.test(flags[1]!) || flags[2] === ')'))
        throw new PatternError(`has the flags \`${flags[0]}\``);
      if (/^\(\?<\w/.test(rest)) throw new PatternError('names a group as Python does not');
    }
    out += becomes ?? piece;
    i += piece.length;
  }
  return out;
}
