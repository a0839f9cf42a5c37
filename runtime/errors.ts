/**
 * What can go wrong while a program loads and runs, as typed errors. Each has a code of the catalogue (`espalier explain ESP0701`)
 * and `help`, one line that says what to do. The runtime holds no catalogue, so the sentences are here.
 */

export type RuntimeCode =
  | 'ESP0701'
  | 'ESP0702'
  | 'ESP0703'
  | 'ESP0704'
  | 'ESP0705'
  | 'ESP0706'
  | 'ESP0707'
  | 'ESP0708'
  | 'ESP0709'
  | 'ESP0710'
  | 'ESP1142'
  | 'ESP1143';

/** Base of all errors that the runtime throws on purpose. Names are written out, since a minified class has another one. */
export class RuntimeError extends Error {
  override readonly name: string = 'RuntimeError';
  readonly code: RuntimeCode;
  /** What to do, one line; empty if there is nothing general to say. */
  readonly help: string;
  constructor(code: RuntimeCode, message: string, help = '', cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.help = help;
  }
}

/** There is no WebGPU here, or it offers no adapter. */
export class NoAdapterError extends RuntimeError {
  override readonly name = 'NoAdapterError';
  constructor(message: string, help: string, cause?: unknown) {
    super('ESP0701', message, help, cause);
  }
}

/** The program needs more than the adapter has (a limit), so it refuses to run. */
export class LimitError extends RuntimeError {
  override readonly name = 'LimitError';
  readonly limit: string;
  constructor(limit: string, needed: number, available: number) {
    super(
      'ESP0702',
      `the program needs ${limit} = ${needed}, the device has ${available}`,
      'compile it with `limits = baseline`, with a smaller batch, or run it on another adapter',
    );
    this.limit = limit;
  }
}

/** The device was lost, or destroyed, while the session was in use. */
export class DeviceLostError extends RuntimeError {
  override readonly name = 'DeviceLostError';
  constructor(message: string) {
    super(
      'ESP0703',
      `the GPU device was lost: ${message}`,
      'load the program again; with several sessions, load fewer',
    );
  }
}

/** The device ran out of memory. */
export class OutOfMemoryError extends RuntimeError {
  override readonly name = 'OutOfMemoryError';
  constructor(what: string, message: string) {
    super(
      'ESP0704',
      `out of GPU memory ${what}: ${message}`,
      'give fewer images at a time, load with a smaller `samples`, or compile with `weights = f16`',
    );
  }
}

/** WebGPU refused a command or a kernel: the program does not fit this runtime, or one of the two is at fault. */
export class ValidationError extends RuntimeError {
  override readonly name = 'ValidationError';
  constructor(what: string, message: string) {
    super('ESP0705', `${what}: ${message}`, 'compile the program again with this version of Espalier');
  }
}

/** The golden input gave another output than the compiler's, with the portable kernels too. */
export class GoldenMismatchError extends RuntimeError {
  override readonly name = 'GoldenMismatchError';
  /** Largest |difference| / max |expected|; NaN if the output held a NaN. */
  readonly error: number;
  readonly tolerance: number;
  constructor(output: string, rows: number, error: number, tolerance: number) {
    super(
      'ESP0706',
      `the golden input's output \`${output}\` for ${rows} at a time is off by ${error.toExponential(2)} (allowed ${tolerance.toExponential(2)}), with the portable kernels too`,
      "this GPU's driver computes something wrong: update it, or run the program on another adapter",
    );
    this.error = error;
    this.tolerance = tolerance;
  }
}

/** A file of the program's folder is missing, truncated or says something else than `program.json`. */
export class ProgramFileError extends RuntimeError {
  override readonly name = 'ProgramFileError';
  readonly file: string;
  constructor(file: string, message: string, cause?: unknown) {
    super('ESP0707', `${file}: ${message}`, 'compile the program again, or copy its folder completely', cause);
    this.file = file;
  }
}

/** What `run` was given does not fit the program. */
export class InputError extends RuntimeError {
  override readonly name: string = 'InputError';
  constructor(message: string, help = '', code: RuntimeCode = 'ESP0708') {
    super(code, message, help);
  }
}

/** A picture's colors cannot be converted to sRGB, which the program asks for; `message` says why, of the picture. */
export class ColourError extends InputError {
  override readonly name = 'ColourError';
  constructor(message: string) {
    super(message, 'convert the picture to sRGB, or leave `colour(managed)` out of `preprocess`', 'ESP1142');
  }
}

/** `run` after `dispose`. */
export class DisposedError extends RuntimeError {
  override readonly name = 'DisposedError';
  constructor() {
    super('ESP0709', 'the session has been disposed', 'load the program again');
  }
}

/** A driver that was asked for by name is not on this machine. */
export class DriverError extends RuntimeError {
  override readonly name = 'DriverError';
  constructor(message: string, help: string, cause?: unknown) {
    super('ESP0710', message, help, cause);
  }
}
