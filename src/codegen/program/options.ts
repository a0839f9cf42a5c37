/** What a program is generated for. */
import type { DeviceClass } from '../candidates.js';
import type { Splitting } from '../groups/split-schedules.js';
import type { Limits } from '../schedule.js';
import type { CutRequest } from './cut.js';

export interface GenerateOptions {
  /** Name of the program. */
  readonly name: string;
  /** Version of Espalier. */
  readonly compiler: string;
  /** Limits to keep to (default: what every WebGPU device has). Anything not given is WebGPU's default. */
  readonly limits?: 'baseline' | Partial<Limits>;
  /** The device that runs it here and now, and no other: kernels get the variants that are legal there (default: those of all devices, as files hold them). */
  readonly device?: DeviceClass;
  /** How packed weights are stored. */
  readonly weights: 'f32' | 'f16';
  /** Functions of the module that become entries, the main one first (default: `infer`). */
  readonly entries?: readonly string[];
  /**
   * Prepared weights, and trainable ones that kernels read packed, are written by an entry `prepare` when a program is loaded; files hold what it reads
   * (default: files hold all of them).
   */
  readonly prepare?: boolean;
  /** The entries compute weights of other programs: they read parameters row by row, as files have them (default: as products read them best). */
  readonly prepares?: boolean;
  /** Entries whose unchanging part is to be cut off, as an entry of its own, where that is worth it. */
  readonly cuts?: readonly CutRequest[];
  /** The most samples of one pass (default 1). Fewer fit where they take more than the limits allow. */
  readonly samples?: number;
  /** How long sums are split (default: by the cost model of split-schedules.ts). */
  readonly splitting?: Splitting;
  /**
   * Elements of a parameter that can be anything but 0, as numbers that are not 0: products that read one in which whole tiles are 0 leave these out, where
   * that pays. Undefined for a parameter whose elements all can. It has to hold for whatever the weight files will be. Default: of none anything is known.
   */
  readonly mayHold?: (param: string) => Uint8Array | undefined;
  /** Keeps the kernel programs that the files are the text of (default: not; they are large). */
  readonly keepPrograms?: boolean;
  /** The device here has limits that the program fits, so a message may advise them (default: not known). */
  readonly deviceHelps?: boolean;
}
