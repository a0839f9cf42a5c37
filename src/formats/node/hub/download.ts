/**
 * One file from the server into the cache. Bytes go to a partial file beside the blob, which has the process in its name, and takes the blob's name when its
 * hash is right. So two processes never write one file, whoever ends first is as good as the other, and what a process leaves (killed, cut off, a full
 * disk) is claimed, by a rename, by the next one that wants the file, which goes on where it ends.
 */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { mkdir, open, rename, rm, stat, statfs, truncate } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { diagnostic } from '../../../diagnostics/catalogue.js';
import { EspalierError } from '../../../diagnostics/types.js';
import { type HubName, hubText } from '../../huggingface/name.js';
import { isAlive } from '../leftovers.js';
import { cannotWrite } from '../writing.js';
import type { HubCache } from './cache.js';
import { explained, type HubClient, type RemoteFile } from './client.js';
import type { HubSettings } from './settings.js';

const MACHINE = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
/** A partial file of another process that has not grown for this long is not waited for, in milliseconds. */
const STUCK = 60_000;
/** Attempts in a row in which nothing came. */
const IDLE_TRIES = 5;

/** Of which process a partial file is; 0 for none. */
const partialName = (blob: string, pid: number): string =>
  `${blob}.${MACHINE}-${pid}-${Math.random().toString(16).slice(2, 10).padEnd(8, '0')}.incomplete`;

/** Partial files of a blob, by what their process does: those that nobody writes, and whether somebody does. */
function partials(blob: string): { readonly free: readonly string[]; readonly written: boolean } {
  const free: string[] = [];
  let written = false;
  for (const name of readdirSync(dirname(blob))) {
    if (!name.startsWith(`${basename(blob)}.`)) continue;
    const [, machine, pid] = /\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.incomplete$/.exec(name) ?? [];
    if (machine !== MACHINE) continue;
    const path = join(dirname(blob), name);
    if (pid === '0' || !isAlive(Number(pid))) free.push(path);
    else if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < STUCK) written = true;
  }
  const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return { free: free.sort((a, b) => size(b) - size(a)), written };
}

/**
 * Puts a file's blob into the cache unless it is there.
 * @throws EspalierError ESP1297, ESP1300 (not to be had), ESP1301 (network), ESP1302 (other bytes than the hash says), ESP0520 (disk). What came so far is
 * kept, and gone on with next time, but where it is wrong.
 */
export async function fetchBlob(
  name: HubName,
  remote: RemoteFile,
  cache: HubCache,
  client: HubClient,
  settings: HubSettings,
): Promise<void> {
  const blob = cache.blob(remote.hash);
  const isThere = async (): Promise<boolean> => {
    const found = await stat(blob).catch(() => undefined);
    return found !== undefined && (remote.size === undefined || found.size === remote.size);
  };
  try {
    await mkdir(dirname(blob), { recursive: true });
    for (;;) {
      if (await isThere()) return;
      if (!partials(blob).written) break;
      settings.progress(`${remote.file}: another process fetches it`);
      await new Promise((done) => setTimeout(done, Math.min(settings.pause, 500)));
    }
    const partial = await claim(blob);
    try {
      await fill(name, remote, partial, client, settings);
      await rename(partial, blob);
    } catch (error) {
      // For the next who wants it, in this process too.
      await rename(partial, partialName(blob, 0)).catch(() => {});
      throw error;
    }
    for (const left of partials(blob).free) await rm(left, { force: true });
  } catch (error) {
    throw cannotWrite(blob, error);
  }
}

/** A partial file of this process: the largest that nobody writes, or a new one. */
async function claim(blob: string): Promise<string> {
  const own = partialName(blob, process.pid);
  for (const path of partials(blob).free) {
    try {
      await rename(path, own);
      return own;
    } catch {
      // Another process was faster.
    }
  }
  await (await open(own, 'wx')).close();
  return own;
}

/** Fills a partial file, whatever it has, until its hash is right. */
async function fill(
  name: HubName,
  remote: RemoteFile,
  partial: string,
  client: HubClient,
  settings: HubSettings,
): Promise<void> {
  const begun = (await stat(partial)).size;
  await complete(name, remote, partial, client, settings);
  let found = await hashOf(partial, remote.hash);
  if (found !== remote.hash && begun > 0) {
    // What was there before may have been damaged: once more from the start.
    await truncate(partial, 0);
    await complete(name, remote, partial, client, settings);
    found = await hashOf(partial, remote.hash);
  }
  if (found === remote.hash) return;
  const { size } = await stat(partial);
  await rm(partial, { force: true });
  const { hash, file } = remote;
  throw new EspalierError([
    diagnostic('ESP1302', {
      name: hubText(name),
      file,
      hash,
      found,
      size,
      ...(remote.size === undefined ? {} : { expected: remote.size }),
    }),
  ]);
}

/** Requests the rest of a file until all of it is there. */
async function complete(
  name: HubName,
  remote: RemoteFile,
  partial: string,
  client: HubClient,
  settings: HubSettings,
): Promise<void> {
  for (let idle = 0; ; ) {
    const before = (await stat(partial)).size;
    if (remote.size !== undefined && before === remote.size) return;
    if (remote.size !== undefined && before > remote.size) await truncate(partial, 0);
    await requireRoom(partial, (remote.size ?? before) - before);
    try {
      if (await receive(name, remote, partial, client, settings)) return;
    } catch (error) {
      if (error instanceof EspalierError) throw error;
      idle = (await stat(partial)).size > before ? 1 : idle + 1;
      if (idle === IDLE_TRIES) throw client.failed(`${hubText(name)}: ${remote.file}`, explained(error));
      await client.wait(idle, error);
    }
  }
}

/** One request's bytes, behind those that are there. Whether that was all of them. */
async function receive(
  name: HubName,
  remote: RemoteFile,
  partial: string,
  client: HubClient,
  { progress }: HubSettings,
): Promise<boolean> {
  let at = (await stat(partial)).size;
  const answer = await client.read(name, remote, at);
  // A server may give all of it again, or say that what is there is longer than the file.
  const [, from] = /^bytes (\d+)-/.exec([answer.headers['content-range']].flat()[0] ?? '') ?? [];
  if (answer.statusCode === 416 || Number(from ?? 0) !== at) {
    await truncate(partial, 0);
    at = 0;
    if (answer.statusCode === 416 || from !== undefined) {
      await answer.body.dump();
      return false;
    }
  }
  const handle = await open(partial, 'a').catch((error: unknown) => {
    throw cannotWrite(partial, error);
  });
  try {
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      try {
        for (let done = 0; done < piece.byteLength; )
          done += (await handle.write(piece, done, piece.byteLength - done)).bytesWritten;
      } catch (error) {
        throw cannotWrite(partial, error);
      }
      at += piece.byteLength;
      // A longer one is not what was described.
      if (remote.size !== undefined && at > remote.size) break;
      const share = remote.size === undefined ? undefined : at / remote.size;
      progress(
        `${hubText(name)}: ${remote.file}, ${megabytes(at)}${remote.size === undefined ? '' : ` of ${megabytes(remote.size)}`}`,
        share,
      );
    }
    return remote.size === undefined || at >= remote.size;
  } finally {
    await handle.close();
  }
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** @throws EspalierError ESP0520 where a disk has no room for so many more bytes */
async function requireRoom(path: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  if (bytes > bavail * bsize)
    throw cannotWrite(path, new Error(`it takes ${megabytes(bytes)} more, and ${megabytes(bavail * bsize)} are free`));
}

/** The hash of a file, of the kind that another one is: SHA-256, or the SHA-1 that git names a blob by. */
async function hashOf(path: string, like: string): Promise<string> {
  const hash = createHash(like.length === 64 ? 'sha256' : 'sha1');
  if (like.length === 40) hash.update(`blob ${(await stat(path)).size}\0`);
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}
