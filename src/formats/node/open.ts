/** Opening a checkpoint by its path. */
import { type OpenCheckpoint, openCheckpoint } from '../checkpoint.js';
import { kindOfPath, openFile, openFolder } from './files.js';
import { restoreFolder } from './leftovers.js';

/**
 * Opens the file or folder at `path`; the caller closes it.
 * @throws EspalierError ESP0501 when nothing is there, and what `openCheckpoint` throws.
 */
export async function openCheckpointAt(path: string): Promise<OpenCheckpoint> {
  restoreFolder(path);
  return openCheckpoint((await kindOfPath(path)) === 'folder' ? openFolder(path) : await openFile(path));
}
