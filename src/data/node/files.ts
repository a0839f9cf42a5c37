/** Pictures that are files, decoded when they are asked for. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cannotRead, openFile } from '../../formats/node/files.js';
import { decodeImage } from '../../formats/node/images.js';
import { readAll } from '../../formats/tensors/bytes.js';
import type { Pictures } from '../types.js';

/** Collects files; each path has one place, however often it is listed. */
export class PictureFiles {
  private readonly paths: string[] = [];
  private readonly placeOf = new Map<string, number>();

  place(path: string): number {
    let place = this.placeOf.get(path);
    if (place === undefined) {
      place = this.paths.push(path) - 1;
      this.placeOf.set(path, place);
    }
    return place;
  }

  pictures(): Pictures {
    const { paths } = this;
    return {
      async read(place, colour) {
        const { data, width, height } = await decodeImage(paths[place]!, paths[place]!, colour);
        return { data, width, height, channels: 4 };
      },
      file: (place) => paths[place]!,
      async digest(places) {
        const all = createHash('sha256');
        for (const place of places) {
          // One that cannot be read is what it is too.
          const bytes = await openFile(paths[place]!).then(readAll, () => new Uint8Array());
          all.update(createHash('sha256').update(bytes).digest());
        }
        return all.digest('hex');
      },
    };
  }
}

/**
 * The folder that listed paths are relative to: the first in which one of the first listed lies.
 * @throws EspalierError ESP0501 naming the first, if there is none
 */
export function rootOf(folders: readonly string[], listed: readonly string[]): string {
  const some = listed.slice(0, 16);
  const root = folders.find((folder) => some.some((path) => existsSync(join(folder, path))));
  if (root === undefined && some.length > 0) throw cannotRead(join(folders[0]!, some[0]!), { code: 'ENOENT' });
  return root ?? folders[0]!;
}
