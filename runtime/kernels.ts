/** Compiles a program's kernels: for each the best variant that is legal here, or the next if the driver refuses it. */
import { type DeviceFacts, legalVariants } from './device.js';
import { ValidationError } from './errors.js';
import { type ProgramFiles, readText } from './program/files.js';
import type { Access, Kernel, Program } from './program/program.js';

export interface CompiledKernel {
  /** Index of the variant in use. */
  readonly variant: number;
  readonly pipeline: GPUComputePipeline;
}

/**
 * Bind group layouts, one for each list of accesses: explicit, since a kernel need not use every binding in every variant. Group 1 is that of
 * every kernel: how many samples the pass has.
 */
export class Layouts {
  private readonly made = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();
  readonly run: GPUBindGroupLayout;
  private readonly device: GPUDevice;
  constructor(device: GPUDevice) {
    this.device = device;
    this.run = device.createBindGroupLayout({
      entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } }],
    });
  }

  of(bindings: readonly Access[]): { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    const key = bindings.join();
    let layout = this.made.get(key);
    if (!layout) {
      const group = this.device.createBindGroupLayout({
        entries: bindings.map((access, binding) => ({
          binding,
          visibility: GPUShaderStage.COMPUTE,
          buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' },
        })),
      });
      layout = { group, pipeline: this.device.createPipelineLayout({ bindGroupLayouts: [group, this.run] }) };
      this.made.set(key, layout);
    }
    return layout;
  }
}

/**
 * Compiles all kernels. `portable` takes each kernel's last variant only. Throws ValidationError (ESP0705) if no legal variant of a kernel
 * compiles, ProgramFileError (ESP0707) if its WGSL is missing.
 */
export async function compileKernels(
  device: GPUDevice,
  program: Program,
  files: ProgramFiles,
  facts: DeviceFacts,
  layouts: Layouts,
  portable: boolean,
): Promise<CompiledKernel[]> {
  const texts = new Map<string, Promise<string>>();
  const read = (file: string): Promise<string> => {
    let text = texts.get(file);
    if (!text) {
      text = readText(files, file);
      texts.set(file, text);
    }
    return text;
  };
  const settled = await Promise.allSettled(
    program.kernels.map(async (kernel): Promise<CompiledKernel> => {
      const last = kernel.variants.length - 1;
      const order = portable ? [last] : legalVariants(kernel.variants, facts);
      let failure: unknown = 'no variant is legal on this device';
      for (const variant of order) {
        const code = await read(kernel.variants[variant]!.file);
        try {
          return { variant, pipeline: await pipelineOf(device, kernel, variant, code, layouts) };
        } catch (error) {
          failure = error;
        }
      }
      throw new ValidationError(
        `kernel \`${kernel.name}\` does not compile`,
        failure instanceof Error ? failure.message : String(failure),
      );
    }),
  );
  // Only now: nothing of a failed load goes on in the background.
  return settled.map((s) => {
    if (s.status === 'rejected') throw s.reason;
    return s.value;
  });
}

async function pipelineOf(
  device: GPUDevice,
  kernel: Kernel,
  variant: number,
  code: string,
  layouts: Layouts,
): Promise<GPUComputePipeline> {
  const label = `${kernel.name}/${kernel.variants[variant]!.name}`;
  // The rejected pipeline says what is wrong, so the scope only keeps the module's own report from the console.
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label, code });
  const report = device.popErrorScope();
  const pipeline = device.createComputePipelineAsync({
    label,
    layout: layouts.of(kernel.bindings).pipeline,
    compute: { module, entryPoint: 'main' },
  });
  const [error, made] = await Promise.all([report, pipeline.catch((e: unknown) => e as Error)]);
  if (error) throw new Error(error.message);
  if (made instanceof Error) throw made;
  return made;
}
