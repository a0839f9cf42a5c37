/** Opening a checkpoint by its path, or by the name of a repository. */
import { type OpenCheckpoint, openCheckpoint } from '../checkpoint.js';
import { kindOfPath, openFile, openFolder } from './files.js';
import { locate } from './hub/resolve.js';
import type { HubOptions } from './hub/settings.js';
import { restoreFolder } from './leftovers.js';

/**
 * Opens the file or folder at `path`, or the repository that `hf:org/name@revision` names; the caller closes it.
 * @throws EspalierError ESP0501 when nothing is there, what `locate` throws for a repository, and what `openCheckpoint` throws.
 */
export async function openCheckpointAt(path: string, options: HubOptions = {}): Promise<OpenCheckpoint> {
  const { path: place, hub, warnings } = await locate(path, options);
  restoreFolder(place);
  const opened = await openCheckpoint(
    (await kindOfPath(place)) === 'folder' ? openFolder(place) : await openFile(place),
  );
  return hub ? { ...opened, hub, warnings: [...warnings, ...opened.warnings] } : opened;
}
