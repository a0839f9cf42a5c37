/** Where a program's files come from: a folder by URL (or path, in Node), or memory. Reading is by range, so that weights never lie in memory twice. */
import { ordinary } from '../bytes.js';
import { InputError, ProgramFileError } from '../errors.js';
import type { Program } from './program.js';

export interface OpenFile {
  readonly size: number;
  /** Bytes [start, end). */
  read(start: number, end: number): Promise<Uint8Array>;
  close?(): Promise<void>;
}

export interface ProgramFiles {
  /** Whether reading costs a request: then kernels that are not chosen here are not fetched only to be checked. */
  readonly remote?: boolean;
  /** Throws ProgramFileError (ESP0707) if there is no such file. */
  open(file: string): Promise<OpenFile>;
}

/** A compiled folder's address, each file's own address by name (a bundler may have moved them), or a program in memory with its files by name. */
export type Source =
  | string
  | URL
  | { readonly urls: Readonly<Record<string, string | URL>> }
  | { readonly program: Program; readonly files: ProgramFiles | ReadonlyMap<string, Uint8Array | string> };

export function bytesFile(bytes: Uint8Array): OpenFile {
  return { size: bytes.byteLength, read: async (start, end) => bytes.subarray(start, end) };
}

/** Bytes that somebody else made, in memory that WebCrypto and WebGPU take. Throws ProgramFileError (ESP0707) for what is no bytes. */
export function plainBytes(file: string, bytes: unknown): Uint8Array<ArrayBuffer> {
  if (!ArrayBuffer.isView(bytes)) throw new ProgramFileError(file, 'is given as something else than bytes or text');
  return ordinary(bytes);
}

function memoryFiles(files: ReadonlyMap<string, Uint8Array | string>): ProgramFiles {
  return {
    async open(file) {
      const found = files.get(file);
      if (found === undefined) throw new ProgramFileError(file, 'is missing');
      return bytesFile(typeof found === 'string' ? new TextEncoder().encode(found) : plainBytes(file, found));
    },
  };
}

/** The files of what `load` was given. Throws InputError (ESP0708) for anything but a `Source`. */
export function filesOf(source: Source): ProgramFiles {
  if (typeof source === 'string' || source instanceof URL) return urlFiles(source);
  const { files, urls } = (source ?? {}) as { files?: unknown; urls?: Readonly<Record<string, string | URL>> };
  if (files instanceof Map) return memoryFiles(files);
  if (typeof (files as ProgramFiles | undefined)?.open === 'function') return files as ProgramFiles;
  if (typeof urls === 'object' && urls !== null) return addressedFiles(urls);
  throw new InputError(
    '`load` was given neither the address of a compiled folder nor `{ program, files }`',
    'give a path or URL, what `compile` returned, or a program with a Map of its files',
  );
}

/** The folder at a URL; `file:` works in Node. */
function urlFiles(source: string | URL): ProgramFiles {
  const base = folderUrl(source);
  return { remote: base.protocol !== 'file:', open: (file) => openUrl(file, new URL(file, base)) };
}

function addressedFiles(urls: Readonly<Record<string, string | URL>>): ProgramFiles {
  const places = new Map(Object.entries(urls).map(([file, url]) => [file, new URL(url, pageAddress())]));
  return {
    remote: [...places.values()].some(({ protocol }) => protocol !== 'file:'),
    async open(file) {
      const url = places.get(file);
      if (!url) throw new ProgramFileError(file, 'is missing: no address was given for it');
      return openUrl(file, url);
    },
  };
}

async function openUrl(file: string, url: URL): Promise<OpenFile> {
  if (url.protocol === 'file:') return openNodeFile(file, url);
  try {
    if (url.protocol === 'data:') return bytesFile(inlined(url.href));
    const response = await fetch(url);
    if (!response.ok) throw new ProgramFileError(file, `is missing (${url.href}: HTTP ${response.status})`);
    return bytesFile(new Uint8Array(await response.arrayBuffer()));
  } catch (error) {
    if (error instanceof ProgramFileError) throw error;
    throw new ProgramFileError(file, `cannot be fetched from ${url.href.slice(0, 200)}`, error);
  }
}

/** What a bundler wrote into the address itself, as Vite does with small files. Not fetched, which `default-src 'self'` forbids. */
function inlined(address: string): Uint8Array {
  const comma = address.indexOf(',');
  const content = decodeURIComponent(address.slice(comma + 1));
  if (!address.slice(0, comma).endsWith(';base64')) return new TextEncoder().encode(content);
  return Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0));
}

/** The whole of a file as text. */
export async function readText(files: ProgramFiles, name: string): Promise<string> {
  const file = await files.open(name);
  try {
    return new TextDecoder().decode(await file.read(0, file.size));
  } finally {
    await file.close?.();
  }
}

/** A folder's URL ends in a slash. A string is relative to the page, or, where there is none (Node), a path. */
function folderUrl(source: string | URL): URL {
  const slash = (text: string) => (text.endsWith('/') ? text : `${text}/`);
  if (typeof source !== 'string') return new URL(slash(source.href));
  // Two letters at least, or `C:\out` were a URL.
  if (/^[a-z][a-z0-9+.-]+:/i.test(source)) return new URL(slash(source));
  const page = pageAddress();
  if (page !== undefined) return new URL(slash(source), page);
  const from = `file://${process.platform === 'win32' ? '/' : ''}${process.cwd().replaceAll('\\', '/')}/`;
  return new URL(slash(source.replaceAll('%', '%25').replaceAll('#', '%23').replaceAll('?', '%3F')), from);
}

/** What relative addresses are relative to; undefined in Node. */
function pageAddress(): string | undefined {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}

async function openNodeFile(name: string, url: URL): Promise<OpenFile> {
  // Not a literal: a bundler for the web must not try to resolve it.
  const library: string = 'node:fs/promises';
  const { constants, open } = (await import(library)) as typeof import('node:fs/promises');
  const unreadable = (error: unknown) => new ProgramFileError(name, 'is missing or cannot be read', error);
  // Opening a pipe would wait for somebody to write into it.
  const handle = await open(url, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error: unknown) => {
    throw unreadable(error);
  });
  const found = await handle.stat();
  if (!found.isFile()) {
    await handle.close();
    throw new ProgramFileError(name, found.isDirectory() ? 'is a folder' : 'is not a regular file');
  }
  return {
    size: found.size,
    async read(start, end) {
      const bytes = new Uint8Array(end - start);
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at).catch((error: unknown) => {
          throw unreadable(error);
        });
        if (bytesRead === 0) throw new ProgramFileError(name, 'ended while it was being read');
        at += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}
