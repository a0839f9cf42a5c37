/**
 * That a program's files are the ones it was compiled to. `program.json` carries the length and the SHA-256 of every file that a session
 * reads, and its own; a file with one bit changed, or one of another compilation, is refused before it is used.
 *
 * The digests are WebCrypto's, which Node and pages have. A page that was not served over https (or from this machine) has no WebCrypto, but
 * then it has no WebGPU either: browsers give both to secure contexts alone, so nothing runs unchecked.
 */

import { NoAdapterError, ProgramFileError } from '../errors.js';
import { checkProgram, FILE, filesReadBy } from './check.js';
import { bytesFile, type ProgramFiles, plainBytes } from './files.js';
import type { FileEntry, Program, Unsealed } from './program.js';

/** SHA-256 in hexadecimal digits. Throws NoAdapterError where there is no WebCrypto. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new NoAdapterError(
      'this page is no secure context, so it has neither WebGPU nor the SHA-256 that a program is checked with',
      'serve the page over https, or from localhost',
    );
  }
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** What `program.json` says about a file: made as soon as the file is, so that no two files need to be in memory. */
export async function fileEntry(name: string, content: string | Uint8Array): Promise<FileEntry> {
  const bytes = typeof content === 'string' ? utf8(content) : plainBytes(name, content);
  return { name, bytes: bytes.byteLength, sha256: await sha256(bytes) };
}

/** The digest of all but the digest itself. Fields are in the order of the schema, since what is checked was put into it. */
async function digestOf({ digest: _, ...program }: Program): Promise<string> {
  return sha256(utf8(JSON.stringify(program)));
}

const NONE = '0'.repeat(64);

/** A program whose form is checked, and that says nothing of its files. Throws ProgramFileError (ESP0707). */
export function unsealed(program: Unsealed): Program {
  const files = filesReadBy(program).map((name) => ({ name, bytes: 0, sha256: NONE }));
  return checkProgram({ ...program, files, digest: NONE });
}

/** The finished program. Throws ProgramFileError (ESP0707) for one that no runtime would load. */
export async function seal(program: Unsealed, files: readonly FileEntry[]): Promise<Program> {
  const whole = checkProgram({ ...program, files, digest: NONE });
  return { ...whole, digest: await digestOf(whole) };
}

/** Throws ProgramFileError (ESP0707) for a program that was changed after it was sealed. */
export async function requireSealed(program: Program): Promise<Program> {
  if ((await digestOf(program)) === program.digest) return program;
  throw new ProgramFileError(FILE, 'was changed or damaged after it was compiled: its SHA-256 differs');
}

/**
 * The same files, each read whole and compared with what the program says before anybody sees a byte of it. Those that this session may not
 * come to read (the kernels of other devices) are compared now, unless they would have to be fetched for that alone.
 */
export async function intactFiles(program: Program, files: ProgramFiles): Promise<ProgramFiles> {
  const entries = new Map(program.files.map((file) => [file.name, file]));
  const intact: ProgramFiles = {
    async open(name) {
      const entry = entries.get(name);
      if (!entry) throw new ProgramFileError(name, `is not in the list of files of ${FILE}`);
      const file = await files.open(name);
      try {
        if (file.size !== entry.bytes) {
          throw new ProgramFileError(name, `has ${file.size} bytes, ${FILE} says ${entry.bytes}`);
        }
        const bytes = plainBytes(name, await file.read(0, file.size));
        if ((await sha256(bytes)) !== entry.sha256) {
          throw new ProgramFileError(name, `was changed or damaged, or is of another compilation: its SHA-256 differs`);
        }
        return bytesFile(bytes);
      } finally {
        await file.close?.();
      }
    },
  };
  if (!files.remote) {
    for (const name of entries.keys()) if (!program.weightFiles.includes(name)) await intact.open(name);
  }
  return intact;
}
