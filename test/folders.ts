/** Folders that lie in memory. */
import { type Folder, memorySource } from '../src/formats/tensors/bytes.js';

/** A folder of named bytes. */
export function memoryFolder(name: string, files: Readonly<Record<string, Uint8Array | string>>): Folder {
  return {
    name,
    list: async () => Object.keys(files),
    open: async (file) => {
      if (!Object.hasOwn(files, file)) return undefined;
      const content = files[file]!;
      return memorySource(`${name}/${file}`, typeof content === 'string' ? new TextEncoder().encode(content) : content);
    },
  };
}
