/**
 * Memory of a simulated kernel: the windows of buffers, which all workgroups share, and workgroup memory. Both remember who read and wrote what, so
 * that a race is found whatever the order in which threads happen to run.
 */

import type { LoweredKernel, SharedArray, Type } from '../types.js';
import type { Machine, Place } from './machine.js';
import { makeValues, type Values } from './math.js';

/** The contents of one bound window: all of its words, with the padding where the buffer is padded. */
export interface SimulatedBuffer {
  readonly data: Float32Array | Int32Array | Uint32Array;
}

/** What a speculative fetch outside its window gives: a number that spoils every result that uses it. */
const JUNK = 1234.5;

/** Marks an element that more than one thread has read. */
const MANY = -1;

export interface Window {
  readonly name: string;
  readonly item: Type;
  /** Items that may be reached. */
  readonly items: number;
  /** Words of the tensor, without padding. */
  readonly words: number;
  readonly data: Values;
  readonly writable: boolean;
  /** Every word is to be written exactly once. */
  readonly result: boolean;
  /** For every word, 1 + number in the dispatch of the thread that wrote it last; 0 for none. Empty where nothing can be written. */
  readonly writer: Int32Array;
  /** The same of the thread that read it, or MANY. */
  readonly reader: Int32Array;
}

/**
 * One window for each of the kernel's, in their order.
 * @throws RangeError where a window's data are fewer than its elements, TypeError where no buffer can hold its items.
 */
export function openWindows(
  kernel: LoweredKernel,
  data: readonly SimulatedBuffer[],
  results: readonly string[],
): Window[] {
  if (data.length !== kernel.windows.length) {
    throw new RangeError(`${data.length} buffers for ${kernel.windows.length} windows`);
  }
  for (const name of results) {
    if (!kernel.windows.some((w) => w.name === name)) throw new RangeError(`no window "${name}"`);
  }
  return kernel.windows.map((bound, i) => {
    const { name, item } = bound;
    const given = data[i]!.data;
    const buffer = kernel.buffers.find((b) => b.name === bound.buffer);
    if (!buffer) throw new RangeError(`window "${name}" is of no buffer of the kernel`);
    if (item.scalar === 'f16' || item.scalar === 'bool' || item.lanes === 3) {
      throw new TypeError(`window "${name}" has items of ${item.lanes} ${item.scalar}`);
    }
    const words = (bound.count * item.lanes) / bound.elements;
    if (given.length < words) throw new RangeError(`window "${name}" has ${given.length} of ${words} words`);
    const readable = buffer.padded ? given.length : words;
    const writable = buffer.access === 'read_write';
    const Word = item.scalar === 'f32' ? Float32Array : item.scalar === 'i32' ? Int32Array : Uint32Array;
    return {
      name,
      item,
      items: Math.min(Math.ceil(words / item.lanes), Math.floor(readable / item.lanes)),
      words,
      // A buffer has bits, whatever they were made from.
      data: new Word(given.buffer as ArrayBuffer, given.byteOffset, given.length),
      writable,
      result: results.includes(name),
      writer: new Int32Array(writable ? given.length : 0),
      reader: new Int32Array(writable ? given.length : 0),
    };
  });
}

/** One thread gets an item. Vectors of four, which most are, are taken without a loop. */
function take(out: Values, t: number, threads: number, data: Values, from: number, lanes: number): void {
  if (lanes === 4) {
    out[t] = data[from]!;
    out[t + threads] = data[from + 1]!;
    out[t + 2 * threads] = data[from + 2]!;
    out[t + 3 * threads] = data[from + 3]!;
    return;
  }
  for (let k = 0; k < lanes; k++) out[t + k * threads] = data[from + k]!;
}

/** Fills `out` with the items at `at` for all active threads. */
export function fetchItems(
  machine: Machine,
  window: Window,
  at: Values,
  out: Values,
  speculative: boolean,
  place: Place,
): void {
  const { threads, mask } = machine;
  const { data, items, writable } = window;
  const { lanes } = window.item;
  machine.stats.loads += machine.active * lanes;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= items) {
      for (let k = t; k < out.length; k += threads) out[k] = speculative ? JUNK : 0;
      if (!speculative) machine.report('out-of-bounds', window.name, place, t, outside(window.name, index, items));
      continue;
    }
    const from = index * lanes;
    if (writable) noteRead(machine, window, from, t, place);
    take(out, t, threads, data, from, lanes);
  }
}

function noteRead(machine: Machine, window: Window, from: number, t: number, place: Place): void {
  const me = machine.firstThread + t + 1;
  const { reader, writer } = window;
  for (let word = from; word < from + window.item.lanes; word++) {
    const by = writer[word]!;
    if (by !== 0 && by !== me) {
      const what = `a race: "${window.name}" word ${word} is read, which thread ${by - 1} of the dispatch wrote`;
      machine.report('race', window.name, place, t, what);
    }
    reader[word] = reader[word] === 0 || reader[word] === me ? me : MANY;
  }
}

/** Writes the items at `at` for all active threads. */
export function writeItems(machine: Machine, window: Window, at: Values, value: Values, place: Place): void {
  const { threads, mask } = machine;
  const { data, items } = window;
  const { lanes } = window.item;
  machine.stats.stores += machine.active * lanes;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= items) {
      machine.report('out-of-bounds', window.name, place, t, outside(window.name, index, items));
      continue;
    }
    let to = index * lanes;
    noteWrite(machine, window, to, t, place);
    for (let k = t; k < value.length; k += threads) data[to++] = value[k]!;
  }
}

function noteWrite(machine: Machine, window: Window, to: number, t: number, place: Place): void {
  const me = machine.firstThread + t + 1;
  const { name, reader, writer, result } = window;
  for (let word = to; word < to + window.item.lanes; word++) {
    const wrote = writer[word]!;
    if (wrote !== 0 && (wrote !== me || result)) {
      const what = `"${name}" word ${word} is written twice, before by thread ${wrote - 1} of the dispatch`;
      machine.report('written-twice', name, place, t, what);
    }
    const read = reader[word]!;
    if (read !== 0 && read !== me) {
      const by = read === MANY ? 'several threads' : `thread ${read - 1} of the dispatch`;
      machine.report('race', name, place, t, `a race: "${name}" word ${word} is written, which ${by} read`);
    }
    writer[word] = me;
  }
}

/** After the dispatch: one fault for each result with words that no thread wrote. */
export function reportUnwritten(machine: Machine, window: Window): void {
  if (!window.result) return;
  const left = window.writer.subarray(0, window.words).reduce((n, by) => (by === 0 ? n + 1 : n), 0);
  const first = window.writable ? window.writer.indexOf(0) : 0;
  const missing = window.writable ? left : window.words;
  const what = `"${window.name}" word ${first} is never written (nor are ${missing - 1} others)`;
  if (missing > 0) machine.report('never-written', window.name, undefined, -1, what, missing);
}

/** A workgroup array. Reads and writes are those of the present interval, or older than `firstInterval`, so that nothing need be cleared. */
export interface Shared {
  readonly name: string;
  readonly type: Type;
  readonly count: number;
  /** Component k of item i is element i * lanes + k. */
  readonly data: Values;
  /** For every item, the interval and the thread of the workgroup that wrote it last. */
  readonly writtenIn: Int32Array;
  readonly writer: Int32Array;
  /** The same of the thread that read it, or MANY. */
  readonly readIn: Int32Array;
  readonly reader: Int32Array;
}

export function openShared({ name, type, count }: SharedArray): Shared {
  return {
    name,
    type,
    count,
    data: makeValues(type.scalar, count * type.lanes),
    writtenIn: new Int32Array(count),
    writer: new Int32Array(count),
    readIn: new Int32Array(count),
    reader: new Int32Array(count),
  };
}

/** Fills `out` with the items at `at` for all active threads. */
export function readShared(machine: Machine, array: Shared, at: Values, out: Values, place: Place): void {
  const { threads, mask, interval, firstInterval } = machine;
  const { name, data, count, writtenIn, writer, readIn, reader } = array;
  const { lanes } = array.type;
  machine.stats.sharedLoads += machine.active * lanes;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= count || writtenIn[index]! < firstInterval) {
      for (let k = t; k < out.length; k += threads) out[k] = 0;
      if (index >= count) machine.report('out-of-bounds', name, place, t, outside(name, index, count));
      else machine.report('unwritten', name, place, t, `"${name}"[${index}] is read before it is written`);
      // Whoever writes it in this interval races with this thread.
      if (index >= count) continue;
    } else {
      if (writtenIn[index] === interval && writer[index] !== t) {
        const what = `a race: "${name}"[${index}] is read, which thread ${writer[index]} wrote since the last barrier`;
        machine.report('race', name, place, t, what);
      }
      take(out, t, threads, data, index * lanes, lanes);
    }
    if (readIn[index] !== interval) {
      readIn[index] = interval;
      reader[index] = t;
    } else if (reader[index] !== t) {
      reader[index] = MANY;
    }
  }
}

/** Writes the items at `at` for all active threads. */
export function writeShared(machine: Machine, array: Shared, at: Values, value: Values, place: Place): void {
  const { threads, mask, interval } = machine;
  const { name, data, count, writtenIn, writer, readIn, reader } = array;
  const { lanes } = array.type;
  machine.stats.sharedStores += machine.active * lanes;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= count) {
      machine.report('out-of-bounds', name, place, t, outside(name, index, count));
      continue;
    }
    const wrote = writtenIn[index] === interval && writer[index] !== t;
    if (wrote || (readIn[index] === interval && reader[index] !== t)) {
      const other = wrote ? writer[index]! : reader[index]!;
      const by = other === MANY ? 'several threads' : `thread ${other}`;
      const what = `a race: "${name}"[${index}] is written, which ${by} ${wrote ? 'wrote' : 'read'} since the last barrier`;
      machine.report('race', name, place, t, what);
    }
    writtenIn[index] = interval;
    writer[index] = t;
    let to = index * lanes;
    for (let k = t; k < value.length; k += threads) data[to++] = value[k]!;
  }
}

/** A private array: component k of item i of thread t is element (i * lanes + k) * threads + t. */
export interface Private {
  readonly name: string;
  readonly type: Type;
  readonly count: number;
  readonly values: Values;
}

/** Fills `out` with the items at `at` for all active threads. */
export function readPrivate(machine: Machine, array: Private, at: Values, out: Values, place: Place): void {
  const { threads, mask } = machine;
  const { name, count, values } = array;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= count) machine.report('out-of-bounds', name, place, t, outside(name, index, count));
    let from = index * out.length + t;
    for (let k = t; k < out.length; k += threads, from += threads) out[k] = index < count ? values[from]! : 0;
  }
}

/** Writes the items at `at` for all active threads. */
export function writePrivate(machine: Machine, array: Private, at: Values, value: Values, place: Place): void {
  const { threads, mask } = machine;
  const { name, count, values } = array;
  for (let t = 0; t < threads; t++) {
    if (mask[t] === 0) continue;
    const index = at[t]!;
    if (index >= count) {
      machine.report('out-of-bounds', name, place, t, outside(name, index, count));
      continue;
    }
    let to = index * value.length + t;
    for (let k = t; k < value.length; k += threads, to += threads) values[to] = value[k]!;
  }
}

export const outside = (name: string, index: number, count: number): string =>
  `"${name}"[${index}] is outside its ${count} items`;
