/** Numbers and strings: from their spelling to their value and back. */

export interface NumberSpelling {
  readonly value: number;
  readonly integer: boolean;
  readonly percent: boolean;
  /** What is wrong with it. */
  readonly why?: string;
}

/** Reads `4`, `1e-3`, `50%`. The value of a percentage is the double nearest to its decimal fraction. */
export function numberOf(text: string): NumberSpelling {
  const percent = text.endsWith('%');
  const digits = percent ? text.slice(0, -1) : text;
  const integer = !percent && /^\d+$/.test(digits);
  const value = percent ? Number(shiftPoint(digits, -2)) : Number(digits);
  if (!Number.isFinite(value)) return { value: 0, integer, percent, why: 'is too large for a 64-bit float' };
  if (integer && !Number.isSafeInteger(value)) {
    return { value: 0, integer, percent, why: 'is larger than 2^53 - 1, the largest integer that is kept exactly' };
  }
  return { value, integer, percent };
}

/** Moves the decimal point of a spelling, exactly. */
function shiftPoint(digits: string, places: number): string {
  const [mantissa = '0', exponent = '0'] = digits.toLowerCase().split('e');
  return `${mantissa}e${Number(exponent) + places}`;
}

/** The shortest spelling that reads back as the same number. */
export function spellNumber(n: {
  readonly value: number;
  readonly integer: boolean;
  readonly percent: boolean;
}): string {
  if (n.percent) return `${plain(shiftPoint(String(n.value), 2))}%`;
  if (n.integer) return String(n.value);
  const text = String(n.value);
  return /[.e]/.test(text) ? text.replace('e+', 'e') : `${text}.0`;
}

/** Without an exponent where that is short: `5e1` is `50`. Works on digits, so that nothing is rounded. */
function plain(text: string): string {
  const [mantissa = '0', exponent = '0'] = text.split('e');
  const [whole = '0', fraction = ''] = mantissa.split('.');
  const places = Number(exponent);
  if (Math.abs(places) > 20) return text;
  const digits = whole + fraction;
  const point = whole.length + places;
  const padded = point > 0 ? digits.padEnd(point, '0') : '0'.repeat(1 - point) + digits;
  const at = point > 0 ? point : 1;
  const left = padded.slice(0, at).replace(/^0+(?=\d)/, '');
  const right = padded.slice(at).replace(/0+$/, '');
  return right === '' ? left : `${left}.${right}`;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/** Reads a string with its quotes (the closing one may be missing). `bad` is told the range of an unknown escape. */
export function decodeString(text: string, bad: (start: number, end: number) => void): string {
  const body = text.length > 1 && text.endsWith('"') ? text.slice(1, -1) : text.slice(1);
  if (!body.includes('\\')) return body;
  return body.replace(
    /\\(?:u\{([0-9A-Fa-f]{1,6})\}|(.?))/gsu,
    (all, hex: string | undefined, one: string, at: number) => {
      if (hex !== undefined) {
        const point = Number.parseInt(hex, 16);
        if (point <= 0x10ffff) return String.fromCodePoint(point);
      } else if (Object.hasOwn(ESCAPES, one)) return ESCAPES[one]!;
      bad(at + 1, at + 1 + all.length);
      return all;
    },
  );
}

/** Writes a string with quotes and escapes. */
export function spellString(value: string): string {
  let out = '"';
  for (const c of value) {
    const point = c.codePointAt(0)!;
    if (c === '"' || c === '\\') out += `\\${c}`;
    else if (c === '\n') out += '\\n';
    else if (c === '\r') out += '\\r';
    else if (c === '\t') out += '\\t';
    else if (point < 0x20 || point === 0x7f || (point >= 0xd800 && point <= 0xdfff))
      out += `\\u{${point.toString(16)}}`;
    else out += c;
  }
  return `${out}"`;
}
