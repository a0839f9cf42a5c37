/**
 * A machine for the pickles of state dicts, and for nothing else. It knows dictionaries, lists, tuples, numbers, strings and a closed table of names
 * (`KNOWN`), none of which runs code: what "reduces" to a tensor becomes a description of it. Every other name is refused where it is first
 * mentioned, before anything is made of it. Memory grows with the bytes that are read, never with what they claim: there is no instruction that
 * copies. Format: Lib/pickletools.py of CPython, protocols 0 to 5 as far as `torch.save` uses them.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { StoredType } from '../tensors/safetensors.js';
import { torchError } from './zip.js';

/** A run of elements of one type, as a persistent id names it. */
export interface TorchStorage {
  readonly kind: 'storage';
  readonly key: string;
  readonly dtype: StoredType;
  /** Elements. */
  readonly size: number;
}

/** Strides and offset are in elements of the storage. */
export interface TorchTensor {
  readonly kind: 'tensor';
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** A name that the pickle mentions. */
interface Known {
  readonly kind: 'known';
  readonly name: string;
  readonly dtype?: StoredType;
  /** What it gives for arguments; absent for what is no function. */
  readonly make?: (args: readonly unknown[], wrong: (problem: string) => EspalierError) => unknown;
}

export type Dict = Map<unknown, unknown>;

const storage = (name: string, dtype: StoredType): [string, Omit<Known, 'kind' | 'name'>] => [
  `torch.${name}`,
  { dtype },
];

const counts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);

function makeTensor(args: readonly unknown[], wrong: (problem: string) => EspalierError): TorchTensor {
  const [from, offset, shape, strides] = args;
  const isStorage = (from as TorchStorage | undefined)?.kind === 'storage';
  if (!isStorage || !counts([offset]) || !counts(shape) || !counts(strides) || shape.length !== strides.length)
    throw wrong('describes a tensor by something else than a storage, an offset, a shape and strides');
  const made: TorchTensor = { kind: 'tensor', storage: from as TorchStorage, offset: offset as number, shape, strides };
  const elements = shape.reduce((a, b) => a * b, 1);
  const last = shape.reduce((sum, n, i) => sum + (n - 1) * strides[i]!, made.offset);
  const { size } = made.storage;
  if (elements > 0 && (last >= size || elements > size))
    throw wrong(`claims a tensor [${shape.join(', ')}] in a storage of ${size.toLocaleString('en')} elements`);
  return made;
}

const KNOWN: ReadonlyMap<string, Omit<Known, 'kind' | 'name'>> = new Map([
  ['torch._utils._rebuild_tensor', { make: makeTensor }],
  ['torch._utils._rebuild_tensor_v2', { make: makeTensor }],
  [
    'torch._utils._rebuild_parameter',
    {
      make: ([data]: readonly unknown[], wrong: (problem: string) => EspalierError) => {
        if (!isTensor(data)) throw wrong('describes a parameter by something else than a tensor');
        return data;
      },
    },
  ],
  ['torch.Size', { make: ([sizes]: readonly unknown[]) => sizes }],
  [
    'collections.OrderedDict',
    {
      make: ([pairs]: readonly unknown[], wrong: (problem: string) => EspalierError) => {
        const made: Dict = new Map();
        if (pairs === undefined) return made;
        if (!Array.isArray(pairs)) throw wrong('makes a dictionary of something else than pairs');
        for (const pair of pairs) {
          if (!Array.isArray(pair) || pair.length !== 2) throw wrong('makes a dictionary of something else than pairs');
          made.set(pair[0], pair[1]);
        }
        return made;
      },
    },
  ],
  storage('DoubleStorage', 'F64'),
  storage('FloatStorage', 'F32'),
  storage('HalfStorage', 'F16'),
  storage('BFloat16Storage', 'BF16'),
  storage('LongStorage', 'I64'),
  storage('IntStorage', 'I32'),
  storage('ShortStorage', 'I16'),
  storage('CharStorage', 'I8'),
  storage('ByteStorage', 'U8'),
  storage('BoolStorage', 'BOOL'),
]);

export function isTensor(value: unknown): value is TorchTensor {
  return (value as TorchTensor | undefined)?.kind === 'tensor';
}

export interface Unpickled {
  readonly value: unknown;
  /** Offset behind the last instruction. */
  readonly end: number;
}

/** Thrown when the bytes end in the middle: whoever has more of them may try again. */
export class PickleEnds extends Error {}

/**
 * Runs one pickle.
 * @param file for messages
 * @throws EspalierError ESP1280 for what is no pickle of a state dict, ESP1281 for a name outside of the table; PickleEnds
 */
export function unpickle(file: string, bytes: Uint8Array, start = 0): Unpickled {
  return new Machine(file, bytes, start).run();
}

const MARK = Symbol('mark');

class Machine {
  private readonly view: DataView;
  private readonly stack: unknown[] = [];
  private readonly memo = new Map<number, unknown>();

  constructor(
    private readonly file: string,
    private readonly bytes: Uint8Array,
    private at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  private wrong = (problem: string): EspalierError => torchError(this.file, `its pickle ${problem}`);

  run(): Unpickled {
    for (;;) {
      const op = this.bytes[this.take(1)]!;
      if (op === 0x2e) return { value: this.pop(), end: this.at };
      this.step(op);
    }
  }

  private step(op: number): void {
    const { stack } = this;
    switch (op) {
      case 0x80: // PROTO
        if (this.u8() > 5) throw this.wrong('is of a protocol that is not known');
        return;
      case 0x95: // FRAME
        this.take(8);
        return;
      case 0x28: // MARK
        stack.push(MARK);
        return;
      case 0x30: // POP
        this.pop();
        return;
      case 0x4e: // NONE
        stack.push(null);
        return;
      case 0x88: // NEWTRUE
      case 0x89: // NEWFALSE
        stack.push(op === 0x88);
        return;
      case 0x4b: // BININT1
        stack.push(this.u8());
        return;
      case 0x4d: // BININT2
        stack.push(this.view.getUint16(this.take(2), true));
        return;
      case 0x4a: // BININT
        stack.push(this.view.getInt32(this.take(4), true));
        return;
      case 0x8a: // LONG1
        stack.push(this.long(this.u8()));
        return;
      case 0x47: // BINFLOAT
        stack.push(this.view.getFloat64(this.take(8)));
        return;
      case 0x58: // BINUNICODE
        stack.push(this.text(this.u32()));
        return;
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // SHORT_BINSTRING
        stack.push(this.text(this.u8()));
        return;
      case 0x54: // BINSTRING
        stack.push(this.text(this.u32()));
        return;
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        stack.push([]);
        return;
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        return;
      case 0x74: // TUPLE
        stack.push(this.popMark());
        return;
      case 0x85: // TUPLE1 to TUPLE3
      case 0x86:
      case 0x87: {
        const items = Array.from({ length: op - 0x84 }, () => this.pop()).reverse();
        stack.push(items);
        return;
      }
      case 0x61: // APPEND
        this.append([this.pop()]);
        return;
      case 0x65: // APPENDS
        this.append(this.popMark());
        return;
      case 0x73: // SETITEM
        this.setItems([this.pop(), this.pop()].reverse());
        return;
      case 0x75: // SETITEMS
        this.setItems(this.popMark());
        return;
      case 0x63: // GLOBAL
        stack.push(this.known(this.line(), this.line()));
        return;
      case 0x93: {
        // STACK_GLOBAL
        const name = this.pop();
        stack.push(this.known(String(this.pop()), String(name)));
        return;
      }
      case 0x52: // REDUCE
        this.reduce();
        return;
      case 0x62: {
        // BUILD: the attributes of a dictionary (torch keeps versions of modules there) say nothing of tensors.
        this.pop();
        if (!(this.top() instanceof Map)) throw this.wrong('sets attributes of something that is no dictionary');
        return;
      }
      case 0x51: // BINPERSID
        stack.push(this.storage(this.pop()));
        return;
      case 0x71: // BINPUT
        this.memo.set(this.u8(), this.top());
        return;
      case 0x72: // LONG_BINPUT
        this.memo.set(this.u32(), this.top());
        return;
      case 0x94: // MEMOIZE
        this.memo.set(this.memo.size, this.top());
        return;
      case 0x68: // BINGET
        this.recall(this.u8());
        return;
      case 0x6a: // LONG_BINGET
        this.recall(this.u32());
        return;
      default:
        throw this.wrong(`has the instruction 0x${op.toString(16).padStart(2, '0')}, which no state dict needs`);
    }
  }

  private take(length: number): number {
    const from = this.at;
    if (length > this.bytes.length - from) throw new PickleEnds();
    this.at += length;
    return from;
  }

  private u8(): number {
    return this.bytes[this.take(1)]!;
  }

  private u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  /** Little endian, two's complement. */
  private long(length: number): number | bigint {
    let value = 0n;
    const from = this.take(length);
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.bytes[from + i]!);
    if (length > 0) value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  private text(length: number): string {
    const from = this.take(length);
    return new TextDecoder().decode(this.bytes.subarray(from, from + length));
  }

  private line(): string {
    const end = this.bytes.indexOf(0x0a, this.at);
    if (end < 0) throw new PickleEnds();
    const text = this.text(end - this.at);
    this.take(1);
    return text;
  }

  private top(): unknown {
    const value = this.stack.at(-1);
    if (value === undefined || value === MARK) throw this.wrong('takes from an empty stack');
    return value;
  }

  private pop(): unknown {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMark(): unknown[] {
    const mark = this.stack.lastIndexOf(MARK);
    if (mark < 0) throw this.wrong('takes from an empty stack');
    return this.stack.splice(mark).slice(1);
  }

  private append(items: readonly unknown[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.wrong('appends to something that is no list');
    for (const item of items) list.push(item);
  }

  private setItems(items: readonly unknown[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) throw this.wrong('sets an item of something that is no dictionary');
    if (items.length % 2 !== 0) throw this.wrong('sets a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  }

  private recall(place: number): void {
    if (!this.memo.has(place)) throw this.wrong(`recalls place ${place} of its memory, where nothing is`);
    this.stack.push(this.memo.get(place));
  }

  private known(module: string, name: string): Known {
    const full = `${module}.${name}`;
    const found = KNOWN.get(full);
    if (!found) throw new EspalierError([diagnostic('ESP1281', { file: this.file, name: full })]);
    return { kind: 'known', name: full, ...found };
  }

  private reduce(): void {
    const args = this.pop();
    const called = this.pop() as Known;
    if (called?.kind !== 'known' || !called.make || !Array.isArray(args))
      throw this.wrong(`calls ${called?.kind === 'known' ? called.name : 'something'} that is no function`);
    this.stack.push(called.make(args, this.wrong));
  }

  private storage(id: unknown): TorchStorage {
    const [kind, type, key, , size, view] = Array.isArray(id) ? id : [];
    const dtype = (type as Known | undefined)?.kind === 'known' ? (type as Known).dtype : undefined;
    if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !counts([size]))
      throw this.wrong('names something outside of it that is no storage');
    if (Array.isArray(view)) throw this.wrong('has views of storages, as files before PyTorch 0.4 do');
    return { kind: 'storage', key, dtype, size: size as number };
  }
}
