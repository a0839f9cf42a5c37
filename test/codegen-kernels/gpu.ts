/** A device for kernel tests and benchmarks, straight from Dawn, and the one thing they do with it: run one dispatch over given buffers. */
import { openGpu as openDriver } from '../../runtime/node/driver.js';
import type { GeneratedVariant } from '../../src/codegen/problem.js';

export interface Gpu {
  readonly device: GPUDevice;
  readonly name: string;
  /** The size that every subgroup has, if there is just one. */
  readonly subgroupSize: number | undefined;
  close(): void;
}

/** Dawn's objects in use: without a reference they may be collected, and with one Node does not end. */
const open = new Set<GPU>();

/** Opens the driver that `ESPALIER_DRIVER` names, or the best one here. */
export async function openGpu(): Promise<Gpu> {
  const { gpu, adapter } = await openDriver();
  open.add(gpu);
  const wanted: GPUFeatureName[] = ['subgroups' as GPUFeatureName, 'timestamp-query'];
  const device = await adapter.requestDevice({ requiredFeatures: wanted.filter((f) => adapter.features.has(f)) });
  const { subgroupMinSize: min, subgroupMaxSize: max } = adapter.info;
  return {
    device,
    name: `${adapter.info.description || adapter.info.device} (subgroups of ${min === max ? min : `${min}..${max}`})`,
    subgroupSize: adapter.features.has('subgroups' as GPUFeatureName) && min === max ? min : undefined,
    close() {
      device.destroy();
      open.delete(gpu);
    },
  };
}

/** Whether a variant's requirements hold on the adapter. Baseline limits are not asked for here. */
export function legal(gpu: Gpu, variant: GeneratedVariant): boolean {
  const { features = [], subgroupSize } = variant.requires;
  return (
    features.every((f) => gpu.device.features.has(f)) &&
    (subgroupSize === undefined || subgroupSize === gpu.subgroupSize)
  );
}

export interface Prepared {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Compiles WGSL and binds the buffers in order. @throws Error with Dawn's message if it is not valid. */
export async function prepare(
  gpu: Gpu,
  wgsl: string,
  workgroups: readonly [number, number, number],
  buffers: readonly GPUBuffer[],
): Promise<Prepared> {
  const { device } = gpu;
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ code: wgsl });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint: 'main' } });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const error = await device.popErrorScope();
  if (error) throw new Error(error.message);
  return { pipeline, group, workgroups };
}

/** Submits a dispatch, `times` over, and waits for it. */
export async function dispatch(gpu: Gpu, p: Prepared, times = 1): Promise<void> {
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(p.pipeline);
  pass.setBindGroup(0, p.group);
  for (let i = 0; i < times; i++) pass.dispatchWorkgroups(...p.workgroups);
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
  await gpu.device.queue.onSubmittedWorkDone();
}

/** A storage buffer that holds `data`. */
export function upload(gpu: Gpu, data: Float32Array | Uint8Array): GPUBuffer {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const buffer = gpu.device.createBuffer({ size: Math.max(16, Math.ceil(data.byteLength / 16) * 16), usage });
  gpu.device.queue.writeBuffer(buffer, 0, data as GPUAllowSharedBufferSource);
  return buffer;
}

/** The first `count` floats of a buffer. */
export async function download(gpu: Gpu, buffer: GPUBuffer, count: number): Promise<Float32Array> {
  const staging = gpu.device.createBuffer({
    size: count * 4,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, count * 4);
  gpu.device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}
