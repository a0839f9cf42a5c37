/**
 * A WebGPU device that computes nothing. What the runtime asks of it is checked as WebGPU checks it (sizes, ranges, alignment, limits), so that
 * programs are loaded and run here as on a GPU, many in a second and without one.
 */

const USAGE = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128, QUERY_RESOLVE: 512 };
const LIMITS = {
  maxBufferSize: 268435456,
  maxStorageBufferBindingSize: 134217728,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupsPerDimension: 65535,
};

class Buffer_ {
  readonly size: number;
  constructor({ size }: { size: number }) {
    this.size = size;
  }
  async mapAsync(): Promise<void> {}
  getMappedRange(offset = 0, bytes = this.size - offset): ArrayBuffer {
    if (offset % 8 !== 0 || bytes % 4 !== 0 || offset + bytes > this.size)
      throw new Error('getMappedRange outside of the buffer');
    return new ArrayBuffer(bytes);
  }
  unmap(): void {}
  destroy(): void {}
}

/** A new device; what it finds wrong goes into the error scopes that the runtime opens, as WebGPU's does. */
export function nullDevice(): GPUDevice {
  const scopes: (string | undefined)[] = [];
  const wrong = (message: string): void => {
    if (scopes.length === 0) throw new Error(`outside of an error scope: ${message}`);
    scopes[scopes.length - 1] ??= message;
  };
  const need = (holds: boolean, message: string): void => {
    if (!holds) wrong(message);
  };
  const count = (n: unknown): boolean => typeof n === 'number' && Number.isSafeInteger(n) && n >= 0;
  // WebGPU's bindings convert to 64 bits, and throw for what is no such number.
  const requireCount = (n: unknown, what: string): void => {
    if (!count(n)) throw new TypeError(`${what} is not a count: ${String(n)}`);
  };
  const pipeline = { getBindGroupLayout: () => ({}) };
  const pass = {
    setPipeline() {},
    setBindGroup() {},
    dispatchWorkgroups(...groups: number[]) {
      for (const n of groups) {
        requireCount(n, 'a number of workgroups');
        need(n <= LIMITS.maxComputeWorkgroupsPerDimension, `${n} workgroups`);
      }
    },
    end() {},
  };
  const encoder = {
    beginComputePass: () => pass,
    copyBufferToBuffer(from: Buffer_, at: number, to: Buffer_, offset: number, bytes: number) {
      need(bytes % 4 === 0 && at + bytes <= from.size && offset + bytes <= to.size, 'a copy outside of its buffers');
    },
    finish: () => ({}),
  };
  const device = {
    limits: LIMITS,
    features: new Set<string>(),
    adapterInfo: { subgroupMinSize: 4, subgroupMaxSize: 8 },
    lost: new Promise(() => {}),
    pushErrorScope: () => void scopes.push(undefined),
    async popErrorScope() {
      const message = scopes.pop();
      return message === undefined ? null : { message };
    },
    createBuffer(descriptor: { size: number }) {
      requireCount(descriptor.size, 'a size');
      need(descriptor.size <= LIMITS.maxBufferSize, `a buffer of ${descriptor.size} bytes`);
      return new Buffer_(descriptor);
    },
    createBindGroupLayout({ entries }: { entries: unknown[] }) {
      need(entries.length <= LIMITS.maxStorageBuffersPerShaderStage, `${entries.length} bindings`);
      return {};
    },
    createPipelineLayout: () => ({}),
    createShaderModule: () => ({}),
    createComputePipelineAsync: async () => pipeline,
    createBindGroup({ entries }: { entries: { resource: { buffer: Buffer_; offset?: number; size?: number } }[] }) {
      for (const { resource } of entries) {
        const { buffer, offset = 0, size = buffer.size - offset } = resource;
        requireCount(offset, 'an offset');
        requireCount(size, 'a size');
        need(size > 0 && offset % 256 === 0 && offset + size <= buffer.size, 'a binding outside of its buffer');
        need(size <= LIMITS.maxStorageBufferBindingSize, `a binding of ${size} bytes`);
      }
      return {};
    },
    createCommandEncoder: () => encoder,
    queue: {
      writeBuffer(buffer: Buffer_, offset: number, data: ArrayBufferView) {
        if (!ArrayBuffer.isView(data)) throw new TypeError('writeBuffer takes bytes');
        need(offset % 4 === 0 && data.byteLength % 4 === 0, 'a write that is not whole words');
        need(offset + data.byteLength <= buffer.size, 'a write outside of its buffer');
      },
      submit() {},
      async onSubmittedWorkDone() {},
    },
    destroy() {},
  };
  return device as unknown as GPUDevice;
}

/** WebGPU's constants, where no GPU library has put them. */
export function defineConstants(): void {
  const globals = globalThis as unknown as Record<string, unknown>;
  globals.GPUBufferUsage ??= USAGE;
  globals.GPUMapMode ??= { READ: 1 };
  globals.GPUShaderStage ??= { COMPUTE: 4 };
}
