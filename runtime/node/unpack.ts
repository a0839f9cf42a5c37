/**
 * Unpacks the archives that npm `@sparticuz/chromium` carries (a Vulkan loader with SwiftShader; Chromium itself, for the browser tests)
 * into a cache folder. Several processes may do so at once: each unpacks beside the target and renames.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompress } from 'node:zlib';

const inflate = promisify(brotliDecompress);

/** The installed `@sparticuz/chromium`: its folder and version; undefined if it is not installed. */
export async function carrier(): Promise<{ folder: string; version: string } | undefined> {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'));
    while (basename(folder) !== 'chromium' && dirname(folder) !== folder) folder = dirname(folder);
    const meta = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string };
    return { folder, version: meta.version };
  } catch {
    return undefined;
  }
}

/** Files of a tar archive (ustar, regular files only); a name that leaves the folder is refused. */
export function untar(bytes: Uint8Array): { name: string; mode: number; data: Uint8Array }[] {
  const text = (at: number, length: number) => {
    const raw = bytes.subarray(at, at + length);
    const end = raw.indexOf(0);
    return new TextDecoder().decode(end < 0 ? raw : raw.subarray(0, end));
  };
  const files: { name: string; mode: number; data: Uint8Array }[] = [];
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const prefix = text(at + 345, 155);
    const name = (prefix ? `${prefix}/` : '') + text(at, 100);
    const size = Number.parseInt(text(at + 124, 12).trim() || '0', 8);
    const kind = bytes[at + 156];
    if (!Number.isSafeInteger(size) || at + 512 + size > bytes.length) throw new Error(`damaged archive at ${name}`);
    if (kind === 0 || kind === 48) {
      if (name.startsWith('/') || name.split('/').includes('..')) throw new Error(`archive names ${name}`);
      files.push({
        name,
        mode: Number.parseInt(text(at + 100, 8), 8) || 0o644,
        data: bytes.subarray(at + 512, at + 512 + size),
      });
    }
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}

/** Where unpacked files are kept: beside the installed packages, or, where that is read-only, in a private temporary folder. */
async function cacheRoot(packageFolder: string): Promise<string> {
  const near = join(dirname(dirname(packageFolder)), '.cache', 'espalier');
  try {
    await mkdir(near, { recursive: true });
    const probe = join(near, `.probe-${randomBytes(6).toString('hex')}`);
    await writeFile(probe, '');
    await rm(probe);
    return near;
  } catch {
    // A shared temporary folder is other people's too, and a library is about to be loaded from it: it has to be ours alone.
    // Not `userInfo`, which fails for a user without an entry in the list of users, as in many a container.
    const user = process.getuid?.() ?? -1;
    const own = join(tmpdir(), `espalier-${user}`);
    await mkdir(own, { recursive: true, mode: 0o700 });
    const info = await stat(own);
    if (info.uid !== user && user >= 0) throw new Error(`${own} belongs to another user`);
    await chmod(own, 0o700);
    return own;
  }
}

/**
 * The folder that holds the unpacked archives, unpacking them first if need be. `x.tar.br` gives its files, `x.br` gives the file `x`.
 * Throws if an archive is damaged or nothing can be written.
 */
export async function unpack(
  from: { folder: string; version: string },
  name: string,
  archives: readonly string[],
): Promise<string> {
  const root = await cacheRoot(from.folder);
  const target = join(root, `${name}-${from.version}`);
  if (await exists(target)) return target;
  const work = `${target}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(work, { recursive: true });
    for (const archive of archives) {
      const bytes = await inflate(await readFile(join(from.folder, 'bin', archive)));
      if (!archive.endsWith('.tar.br')) {
        await writeFile(join(work, archive.replace(/\.br$/, '')), bytes, { mode: 0o755 });
        continue;
      }
      for (const file of untar(bytes)) {
        const path = join(work, file.name);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, file.data, { mode: file.mode });
      }
    }
    await rename(work, target);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    // Another process was faster: its folder is complete, since it appeared by a rename.
    if (!(await exists(target))) throw error;
  }
  return target;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
