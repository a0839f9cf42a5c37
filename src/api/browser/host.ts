/** A page (or a worker of one) as the compiler's host: weights are fetched from beside it or given, and the GPU is the browser's. */
import { adapterOf, describe, largestLimits } from '../../../runtime/adapter.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { openCheckpoint } from '../../formats/checkpoint.js';
import { isHubName } from '../../formats/huggingface/name.js';
import { type ByteSource, type Folder, memorySource } from '../../formats/tensors/bytes.js';
import type { Host } from '../host.js';

export interface BrowserHostOptions {
  /** What locations are relative to: a folder, or a page's address. Default: that of the page or the worker. */
  readonly base?: string | URL;
  /** Files that are not fetched, by location: specs that others `use` have to be among them, and what a person picked may be. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** What the folder of a model or an adapter is known by: nobody lists the files of an address. */
const KNOWN = ['config.json', 'adapter_config.json'];

/**
 * The host for `compile`, `trainInMemory` and the like in a page. A location that ends in `.safetensors` or `.onnx` is a file, any other a folder, of which
 * `config.json` or `adapter_config.json` is asked for. Each file is fetched whole, once for each time that a spec is opened.
 */
export function browserHost(options: BrowserHostOptions = {}): Host {
  const base = new URL(options.base ?? globalThis.location?.href ?? 'file:///', globalThis.location?.href);
  const files = new Map(
    Object.entries(options.files ?? {}).map(([location, content]) => [new URL(location, base).href, content]),
  );
  const open = async (address: string): Promise<ByteSource | undefined> => {
    const given = files.get(address);
    if (given === undefined) return fetched(address);
    return memorySource(address, typeof given === 'string' ? new TextEncoder().encode(given) : given);
  };
  const openOne = async (address: string): Promise<ByteSource> => {
    const file = await open(address);
    if (!file) throw new EspalierError([diagnostic('ESP0501', { path: address, reason: 'there is no such file' })]);
    // Written out, so that nothing in it means anything but a name.
    const named = (location: string) => location.split('/').map(encodeURIComponent).join('/');
    return { ...file, beside: (location) => open(new URL(named(location), address).href) };
  };
  return {
    readText(path) {
      const given = files.get(new URL(path, base).href);
      return given === undefined || typeof given === 'string' ? given : new TextDecoder().decode(given);
    },
    resolve: (from, location) => (isHubName(location) ? location : new URL(location, new URL(from, base)).href),
    async openCheckpoint(path) {
      if (isHubName(path)) throw new EspalierError([diagnostic('ESP1303', { name: path })]);
      const address = new URL(path, base).href;
      return openCheckpoint(/\.(safetensors|onnx)$/.test(address) ? await openOne(address) : folderAt(address, open));
    },
    deviceLimits: async () => largestLimits(await adapterOf(globalThis.navigator?.gpu)),
    async openGpu() {
      // One for each device: an adapter that has given one gives no other.
      const adapter = await adapterOf(globalThis.navigator?.gpu);
      return { adapter, description: describe(adapter), release() {} };
    },
  };
}

function folderAt(address: string, open: (address: string) => Promise<ByteSource | undefined>): Folder {
  const asked = new Map<string, Promise<ByteSource | undefined>>();
  const once = (file: string) => {
    let found = asked.get(file);
    if (!found) {
      found = open(`${address.replace(/\/$/, '')}/${encodeURIComponent(file)}`);
      asked.set(file, found);
    }
    return found;
  };
  return {
    name: address,
    open: once,
    // The first that is there says what the folder is.
    async list() {
      for (const file of KNOWN) if (await once(file)) return [file];
      return [];
    },
  };
}

/** Undefined where there is none. @throws EspalierError ESP0501 if the server gives something else */
async function fetched(address: string): Promise<ByteSource | undefined> {
  const cannot = (reason: string) => new EspalierError([diagnostic('ESP0501', { path: address, reason })]);
  let response: Response;
  try {
    response = await fetch(address);
    if (response.status === 404 || response.status === 410) return undefined;
    if (!response.ok) throw cannot(`the server answered ${response.status}`);
    // Servers of single pages give their page for whatever they do not have.
    if (response.headers.get('content-type')?.startsWith('text/html')) return undefined;
    return memorySource(address, new Uint8Array(await response.arrayBuffer()));
  } catch (error) {
    if (error instanceof EspalierError) throw error;
    throw cannot(`it cannot be fetched: ${(error as Error).message}`);
  }
}
