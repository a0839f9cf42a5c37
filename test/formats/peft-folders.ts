/** Folders of peft in memory, on a ViT's layout of two blocks. */
import { namesOfModel } from '../../src/formats/adapters/sites.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { NamedTensor, SiteLike } from '../../src/formats/types.js';
import type { Tensor } from '../../src/ir/types.js';
import { memoryFolder } from '../folders.js';

export const DIM = 4;
export const filled = (shape: [number, number], seed: number): Tensor => ({
  type: { dtype: 'f32', shape },
  data: Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.sin(seed + i)),
});

/** A ViT's layout, of two blocks. */
export const LAYOUT: NamedTensor[] = [0, 1].flatMap((i) => [
  ...['query', 'key', 'value'].map((part, p) => ({
    param: `base.blocks.${i}.attn.qkv.weight`,
    tensor: `vit.encoder.layer.${i}.attention.attention.${part}.weight`,
    also: [`vit.layers.${i}.attention.${part[0]}_proj.weight`],
    rows: [p * DIM, (p + 1) * DIM] as const,
  })),
  { param: `base.blocks.${i}.mlp.fc1.weight`, tensor: `vit.encoder.layer.${i}.intermediate.dense.weight` },
]);
export const node = (path: string, kind: string, children: SiteLike[] = []): SiteLike => ({ path, kind, children });
export const ROOT = node(
  'base',
  'module',
  [0, 1].map((i) => {
    const qkv = `base.blocks.${i}.attn.qkv`;
    const parts = ['q', 'k', 'v'].map((p) => node(`${qkv}.${p}`, 'part'));
    return node(`base.blocks.${i}`, 'module', [node(qkv, 'layer', parts), node(`base.blocks.${i}.mlp.fc1`, 'layer')]);
  }),
);
export const NAMES = namesOfModel(ROOT, [
  { location: 'base', kind: 'backbone', params: [], layouts: { huggingface: LAYOUT } },
]);
export const SITES = NAMES.modules;

/** A folder with these pairs by module. */
export function folder(config: object, pairs: Record<string, [Tensor, Tensor]>, more: Record<string, Tensor> = {}) {
  const tensors = new Map(Object.entries(more).map(([n, t]) => [`base_model.model.${n}`, storeTensor(t)]));
  for (const [module, [A, B]] of Object.entries(pairs)) {
    tensors.set(`base_model.model.${module}.lora_A.weight`, storeTensor(A));
    tensors.set(`base_model.model.${module}.lora_B.weight`, storeTensor(B));
  }
  return memoryFolder('lora', {
    'adapter_config.json': JSON.stringify({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 6,
      target_modules: ['query'],
      ...config,
    }),
    'adapter_model.safetensors': encodeSafetensors(tensors),
  });
}
export const pair = (rank: number, seed: number): [Tensor, Tensor] => [
  filled([rank, DIM], seed),
  filled([DIM, rank], seed + 50),
];
export const module = (layer: number, part: string): string => `vit.encoder.layer.${layer}.attention.attention.${part}`;
