/** Types of jax.mjs. */
export interface JaxRequest {
  readonly depth: number;
  readonly heads: number;
  /** Every parameter, by Espalier's name: its shape and elements. */
  readonly params: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  readonly trained: readonly string[];
  readonly pixels: { readonly shape: readonly number[]; readonly data: Float32Array };
  /** One-hot, [b, classes]. */
  readonly target: { readonly shape: readonly number[]; readonly data: Float32Array };
  readonly adamw: { readonly lr: number; readonly decay: number };
}

export interface JaxTrainer {
  /** One step: the loss before it. */
  step(): Promise<number>;
  /** AdamW's first moments, by parameter. */
  moments(): Promise<Map<string, Float32Array>>;
  readonly device: GPUDevice;
}

/** @param gpu What `navigator.gpu` is for it. */
export function openJax(gpu: GPU, request: JaxRequest): Promise<JaxTrainer>;
