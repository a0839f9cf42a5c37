/** Runs an imported graph by its kernels on this machine's GPU. */

import { runPortable } from '../../../src/api/golden/on-gpu.js';
import { nodeHost } from '../../../src/api/index.js';
import { optimize } from '../../../src/passes/index.js';
import type { Run } from './cases.js';

const host = nodeHost();

export const onGpu: Run = async (module, inputs, params) => {
  const { module: small } = optimize(module, { adapters: 'merged' });
  const options = { name: 'graph', compiler: 'conformance', weights: 'f32', samples: 1 } as const;
  return runPortable({ host, module: small, params, options }, async (run) => run(inputs));
};
