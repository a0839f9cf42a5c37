/** The kernels of a program, which its entries share. */
import type { Kernel } from '../../../runtime/program/program.js';
import { printKernel } from '../kernel/print.js';
import type { BuiltKernel, BuiltVariant } from '../kernel.js';

/** Kernels by their text: two groups that come to the same WGSL share one. */
export class Kernels {
  readonly list: Kernel[] = [];
  readonly files = new Map<string, string>();
  readonly variants = new Map<string, BuiltVariant>();
  private readonly byText = new Map<string, number>();
  private readonly names = new Set<string>();
  /** The same by the variants themselves, which groups that are alike have in common: their texts are not written again. */
  private readonly byVariants = new Map<BuiltKernel['variants'], number>();

  constructor(private readonly keepPrograms: boolean) {}

  add(k: BuiltKernel): number {
    let at = this.byVariants.get(k.variants);
    if (at === undefined) {
      at = this.written(k);
      this.byVariants.set(k.variants, at);
    }
    return at;
  }

  private written(k: BuiltKernel): number {
    const texts = k.variants.map((v) => printKernel(v.lowered));
    const text = k.variants.map((v, i) => `${v.name}\n${texts[i]}`).join('\n');
    const known = this.byText.get(text);
    if (known !== undefined) return known;
    const base = k.name.length > 80 ? k.name.slice(0, 80) : k.name;
    let name = base;
    for (let i = 2; this.names.has(name); i++) name = `${base}_${i}`;
    this.names.add(name);
    const variants = k.variants.map((v, i) => {
      const file = `${name}.${v.name}.wgsl`;
      this.files.set(file, texts[i]!);
      if (this.keepPrograms) this.variants.set(file, v);
      const { requires, rank, ranks } = v;
      return { name: v.name, requires, file, rank, ...(ranks ? { ranks } : {}) };
    });
    const access = new Map(k.buffers.map((b) => [b.name, b.access]));
    const bindings = k.windows.map((w) => access.get(w.buffer)!);
    this.list.push({ name, archetype: k.archetype, bindings, variants });
    this.byText.set(text, this.list.length - 1);
    return this.list.length - 1;
  }
}
