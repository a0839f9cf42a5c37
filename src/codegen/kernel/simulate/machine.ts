/** What all parts of the simulator share while a kernel runs: which threads are on, what was found wrong, and how much was done. */

export type FaultKind =
  /** An index outside a window, a workgroup or private array, or a vector. */
  | 'out-of-bounds'
  /** Two threads at one element, at least one of them writing, with nothing that orders them. */
  | 'race'
  /** Workgroup memory that is read before this workgroup has written it. */
  | 'unwritten'
  /** Two threads wrote one element of a buffer; of a result, also one thread twice. */
  | 'written-twice'
  /** An element of a result that no thread wrote. */
  | 'never-written'
  | 'divergent-collective'
  | 'divergent-barrier'
  /** The hardware's subgroups are not as large as the kernel was made for. */
  | 'wrong-lanes'
  /** A value of a lane that does not exist or does not take part. */
  | 'absent-lane'
  | 'division-by-zero'
  /** A function with a result that ends without one. */
  | 'no-result'
  /** A loop that goes on and on, as one whose end has wrapped does. */
  | 'endless-loop';

/** One thing that is wrong, however often it happened. */
export interface Fault {
  readonly kind: FaultKind;
  /** The first time: buffer or array, index, thread, workgroup and statement. */
  readonly what: string;
  readonly count: number;
}

/** How much a dispatch did. Loads and stores count words of 4 bytes, one for each component and active thread. */
export interface Stats {
  loads: number;
  stores: number;
  sharedLoads: number;
  sharedStores: number;
  /** Operators and functions (fma is one) on a component in an active thread; a dot product counts its components. */
  operations: number;
}

/** The statement that is run, for messages. */
export interface Place {
  readonly text: string;
}

export class Machine {
  /** Which threads of the workgroup are on. Whoever replaces the array puts the old one back. */
  mask: Uint8Array;
  /** Ones in `mask`. */
  active: number;
  workgroup: readonly [number, number, number] = [0, 0, 0];
  /** Number of the workgroup's first thread in the dispatch. */
  firstThread = 0;
  /** Number of the present stretch between two barriers; never used again, in no workgroup. */
  interval = 0;
  /** That of the workgroup's start. */
  firstInterval = 0;
  readonly stats: Stats = { loads: 0, stores: 0, sharedLoads: 0, sharedStores: 0, operations: 0 };
  readonly #faults = new Map<string, { kind: FaultKind; what: string; count: number }>();

  constructor(
    /** Threads of a workgroup. */
    readonly threads: number,
    readonly maxFaults: number,
  ) {
    this.mask = new Uint8Array(threads);
    this.active = 0;
  }

  /** Faults of one kind at one subject (a buffer, an array) and place are one. */
  report(kind: FaultKind, subject: string, place: Place | undefined, thread: number, detail: string, times = 1): void {
    const key = `${kind} ${subject} ${place?.text}`;
    const known = this.#faults.get(key);
    if (known) {
      known.count += times;
      return;
    }
    if (this.#faults.size >= this.maxFaults) return;
    const who = thread < 0 ? '' : `, thread ${thread} of workgroup (${this.workgroup.join(', ')})`;
    const where = place ? `, in ${place.text}` : '';
    this.#faults.set(key, { kind, what: `${detail}${who}${where}`, count: times });
  }

  /** In the order in which they were first seen. */
  get faults(): Fault[] {
    return [...this.#faults.values()];
  }

  /** Turns on all threads, for a new workgroup. */
  start(workgroup: readonly [number, number, number], firstThread: number): void {
    this.workgroup = workgroup;
    this.firstThread = firstThread;
    this.firstInterval = ++this.interval;
    this.mask.fill(1);
    this.active = this.threads;
  }
}
