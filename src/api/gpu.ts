/** Programs that are run where they are compiled: on the host's GPU, with weights that are made one at a time while they are uploaded. */
import type { DeviceFacts } from '../../runtime/device.js';
import { NoAdapterError } from '../../runtime/errors.js';
import { bytesFile, type ProgramFiles } from '../../runtime/program/files.js';
import { type LoadOptions, loadUnsealed, type Result, type Session } from '../../runtime/session.js';
import type { DeviceClass } from '../codegen/candidates.js';
import type { Generated } from '../codegen/generate.js';
import { encodeSafetensors } from '../formats/tensors/safetensors.js';
import type { Tensor } from '../ir/types.js';
import type { Host, HostGpu } from './host.js';
import { asBytes, packWeight } from './weight-files.js';

type Params = (name: string) => Tensor;

const weightFile = (i: number): string => `weight-${i}.safetensors`;

/** What is known of a device: its variants for subgroups of a size are those that `isLegal` lets run. */
export function classOf({ features, subgroupMinSize: least, subgroupMaxSize: most }: DeviceFacts): DeviceClass {
  return features.has('subgroups') && least === most ? { subgroupSize: least } : {};
}

/** Loads what was generated, without files of it. Throws what `load` throws. */
export function loadGenerated(generated: Generated, params: Params, options: LoadOptions): Promise<Session> {
  const weightFiles = generated.weights.flatMap((r, i) => (r.entry.start === 'file' ? [weightFile(i)] : []));
  return loadUnsealed({ ...generated.program, weightFiles }, lazyFiles(generated, params), options);
}

/** The program's files, each made when it is opened. */
function lazyFiles(generated: Generated, params: Params): ProgramFiles {
  const weights = new Map(generated.weights.map((recipe, i) => [weightFile(i), recipe]));
  return {
    async open(name) {
      const text = generated.files.get(name);
      if (text !== undefined) return bytesFile(new TextEncoder().encode(text));
      const recipe = weights.get(name)!;
      const data = packWeight(recipe, params(recipe.param));
      return bytesFile(encodeSafetensors(new Map([[recipe.entry.name, { ...asBytes(data.byteLength), data }]])));
    },
  };
}

/**
 * Loads a program on the host's GPU, hands it over with the GPU's name, and frees everything.
 * @throws RuntimeError where there is no GPU, or it fails
 */
export async function withSession<T>(
  host: Host,
  open: (options: LoadOptions) => Promise<Session>,
  body: (session: Session, device: string) => Promise<T>,
): Promise<T> {
  if (!host.openGpu)
    throw new NoAdapterError(
      'this host of the compiler has no GPU',
      'compute in f64, by `--golden f64` and `--prepare cpu`',
    );
  let gpu: HostGpu | undefined = await host.openGpu();
  try {
    const session = await open({ adapter: gpu.adapter, golden: false });
    try {
      return await body(session, gpu.description);
    } finally {
      session.dispose();
    }
  } finally {
    gpu.release();
    gpu = undefined;
  }
}

/** What a call gave, as tensors. */
export function tensorsOf({ outputs, shapes }: Result): Map<string, Tensor> {
  return new Map(
    Object.entries(outputs).map(([name, data]) => {
      const dtype = data instanceof Float32Array ? 'f32' : data instanceof Int32Array ? 'i32' : 'u32';
      return [name, { type: { dtype, shape: shapes[name]! }, data }] as const;
    }),
  );
}
