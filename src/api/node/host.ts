/** Node as the compiler's host: specs and weights are files. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { describe, largestLimits } from '../../../runtime/adapter.js';
import { openGpu } from '../../../runtime/node/driver.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { parseSpec } from '../../dsl/json/index.js';
import { isHubName } from '../../formats/huggingface/name.js';
import { readWhole } from '../../formats/node/files.js';
import type { HubOptions } from '../../formats/node/hub/settings.js';
import { openCheckpointAt } from '../../formats/node/open.js';
import type { Host } from '../host.js';
import { preparedImages } from './images.js';
import { interpretInWorkers } from './workers.js';

/** A spec is text that a person writes; what is larger is another file given by mistake. The parser's own limit is lower. */
const MAX_SPEC_BYTES = 64 * 2 ** 20;

/**
 * Files by path, repositories of Hugging Face by `hf:org/name@revision`; the GPU that `openDevice` finds. What a location in a spec means is relative to the
 * file that it is written in.
 * @param options how repositories are found: without a server, who hears of downloads
 */
export function nodeHost(options: HubOptions = {}): Host {
  return {
    readText(path) {
      if (!existsSync(path)) return undefined;
      const bytes = readWhole(path, MAX_SPEC_BYTES);
      if (!bytes) throw new EspalierError([diagnostic('ESP0917', { path })]);
      return Buffer.from(bytes).toString();
    },
    resolve: (from, location) =>
      isAbsolute(location) || isHubName(location) ? location : join(dirname(from), location),
    openCheckpoint: (path) => openCheckpointAt(path, options),
    images: preparedImages,
    async deviceLimits() {
      // No device is made for it: Dawn does not always survive that the one of an instance is let go and another instance is opened.
      const { adapter } = await openGpu();
      return largestLimits(adapter);
    },
    async openGpu() {
      // Dawn's instance is held until it is released, and then let go, or the process would not end.
      let opened: Awaited<ReturnType<typeof openGpu>> | undefined = await openGpu();
      return {
        adapter: opened.adapter,
        description: describe(opened.adapter),
        release() {
          opened = undefined;
        },
      };
    },
    interpretAll: interpretInWorkers,
    parse: parseSpec,
  };
}
