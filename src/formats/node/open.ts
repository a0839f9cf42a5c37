/** Opening a checkpoint by its path. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { type OpenCheckpoint, openCheckpoint } from '../checkpoint.js';
import { kindOfPath, openFile, openFolder } from './files.js';
import { restoreFolder } from './leftovers.js';

/**
 * Opens the file or folder at `path`; the caller closes it.
 * @throws EspalierError ESP0501 when nothing is there, and what `openCheckpoint` throws.
 */
export async function openCheckpointAt(path: string): Promise<OpenCheckpoint> {
  restoreFolder(path);
  const kind = await kindOfPath(path);
  if (kind === undefined) {
    throw new EspalierError([diagnostic('ESP0501', { path, reason: 'there is no such file or folder' })]);
  }
  return openCheckpoint(kind === 'folder' ? openFolder(path) : await openFile(path));
}
