/** Changes to bytes, text and JSON that a slip, a damaged disk or an attacker may make. */
import type { Random } from './random.js';

/** Numbers at which something ends: sizes, types, exactness. */
const NUMBERS: readonly number[] = [
  0,
  1,
  2,
  3,
  4,
  7,
  8,
  16,
  255,
  256,
  65535,
  65536,
  1e6,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  1e10,
  2 ** 53 - 1,
  2 ** 53,
  1e300,
  -1,
  -2,
  -(2 ** 31),
  0.5,
  -0.5,
  1e-9,
  1.0000001,
];
/** Names that objects have without being given them, and other strings that are somebody's special case. */
const STRINGS: readonly string[] = [
  '',
  ' ',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'prototype',
  'length',
  '../x',
  '/etc/passwd',
  'a/../b',
  '\0',
  '\ud800',
  'é漢🌲',
  'null',
  'undefined',
  'NaN',
  '0',
  '-1',
  '1e309',
  '(a+)+$',
  '(?=x)',
  '[',
  '\\',
  '.*',
  'x'.repeat(5000),
];

export function someNumber(random: Random): number {
  return random.chance(0.8) ? random.pick(NUMBERS) : Math.round((random.next() - 0.2) * 10 ** random.below(12));
}

export function someString(random: Random): string {
  return random.pick(STRINGS);
}

/** A few bytes changed, taken out, doubled, put in, or everything after a place gone. */
export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  let out = Array.from(bytes);
  for (let n = random.few(); n > 0; n--) {
    const at = random.below(out.length + 1);
    const length = random.chance(0.7) ? 1 + random.below(4) : random.below(Math.max(1, out.length));
    const how = random.below(7);
    if (how === 0) out.splice(at, length);
    else if (how === 1) out.splice(at, 0, ...out.slice(at, at + length).slice(0, 2000));
    else if (how === 2) out = out.slice(0, at);
    else if (how === 3) out.splice(at, 0, random.below(256));
    else if (how === 4 && at < out.length) out[at] = out[at]! ^ (1 << random.below(8));
    else if (at < out.length)
      out[at] = random.pick([0, 1, 9, 10, 32, 34, 44, 58, 91, 92, 93, 123, 125, 127, 128, 255, random.below(256)]);
  }
  return Uint8Array.from(out);
}

/** Parts dropped, doubled, swapped, moved or replaced by one of a pool. */
export function mutateParts(random: Random, parts: readonly string[], pool: readonly string[]): string[] {
  const out = [...parts];
  for (let n = random.few(); n > 0 && out.length > 0; n--) {
    const at = random.below(out.length);
    const to = random.below(out.length);
    switch (random.below(6)) {
      case 0:
        out.splice(at, 1);
        break;
      case 1:
        out.splice(at, 0, out[at]!);
        break;
      case 2:
        [out[at], out[to]] = [out[to]!, out[at]!];
        break;
      case 3:
        out.splice(to, 0, ...out.splice(at, 1));
        break;
      case 4:
        out.splice(at, 0, random.pick(pool));
        break;
      default:
        out[at] = random.pick(pool);
    }
  }
  return out;
}

type Holder = unknown[] | Record<string, unknown>;

/** Every place of a value inside the JSON: what holds it, and its key. Not recursive: inputs are as deep as somebody made them. */
function places(root: Holder): { holder: Holder; key: string }[] {
  const found: { holder: Holder; key: string }[] = [];
  const stack: Holder[] = [root];
  for (let holder = stack.pop(); holder; holder = stack.pop()) {
    for (const [key, value] of Object.entries(holder)) {
      found.push({ holder, key });
      if (typeof value === 'object' && value !== null) stack.push(value as Holder);
    }
  }
  return found;
}

const set = (holder: Holder, key: string, value: unknown): void => {
  // Assigning `__proto__` would set the prototype and not a field.
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
};

const deep = (random: Random): unknown => {
  let value: unknown = 1;
  for (let n = 10 ** (1 + random.below(3)); n > 0; n--) value = random.chance(0.5) ? [value] : { a: value };
  return value;
};

function other(random: Random, value: unknown, all: readonly { holder: Holder; key: string }[]): unknown {
  const elsewhere = random.pick(all);
  return random.weighted<() => unknown>([
    [
      5,
      () =>
        typeof value === 'number' && random.chance(0.5)
          ? value + random.pick([-1, 1, 0.5, -value * 2])
          : someNumber(random),
    ],
    [3, () => someString(random)],
    [1, () => null],
    [1, () => random.chance(0.5)],
    [1, () => []],
    [1, () => ({})],
    [2, () => [value]],
    [1, () => ({ [someString(random)]: value })],
    [4, () => structuredClone((elsewhere.holder as Record<string, unknown>)[elsewhere.key])],
    [
      1,
      () =>
        typeof value === 'string'
          ? value + random.pick(['x', ' ', '/', '\n'])
          : typeof value === 'object'
            ? JSON.stringify(value)
            : String(value),
    ],
    [0.1, () => Array.from({ length: 20_000 }, () => 1)],
    [0.1, () => deep(random)],
  ])();
}

/** The same JSON with a few places changed, renamed, doubled, emptied or gone. @param from an object or a list; not changed */
export function mutateJson(random: Random, from: unknown): unknown {
  const root = structuredClone(from) as Holder;
  for (let n = random.few(); n > 0; n--) {
    const all = places(root);
    if (all.length === 0) break;
    const { holder, key } = random.pick(all);
    const value = (holder as Record<string, unknown>)[key];
    switch (random.below(8)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        break;
      case 1:
        if (Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(value));
        else set(holder, random.chance(0.5) ? someString(random) : random.pick(all).key, structuredClone(value));
        break;
      case 2:
        if (Array.isArray(holder)) holder.reverse();
        else {
          delete holder[key];
          set(holder, random.chance(0.5) ? `${key}x` : someString(random), value);
        }
        break;
      default:
        set(holder, key, other(random, value, all));
    }
  }
  return root;
}

/** JSON as text: usually of a changed tree, sometimes with the text itself damaged. */
export function mutateJsonText(random: Random, from: unknown): Uint8Array {
  const text = JSON.stringify(
    random.chance(0.9) ? mutateJson(random, from) : from,
    null,
    random.chance(0.2) ? 1 : undefined,
  );
  const bytes = new TextEncoder().encode(text);
  if (random.chance(0.1)) return mutateBytes(random, bytes);
  // A number that JSON can write and a double cannot hold, a key twice.
  if (random.chance(0.03))
    return new TextEncoder().encode(text.replace(/\d+/, random.pick(['1e999', '-0', '9'.repeat(400)])));
  if (random.chance(0.02)) return new TextEncoder().encode(text.replace(/"(\w+)":/, '"$1":0,"$1":'));
  return bytes;
}
