/** Writing adapter folders as the Python library `peft` loads them: `adapter_config.json` and `adapter_model.safetensors`. */
import type { Tensor } from '../../ir/types.js';
import { storeTensor } from '../tensors/elements.js';
import { encodeSafetensors, type StoredTensor, WRITER } from '../tensors/safetensors.js';
import { labelsEntry } from './adapter.js';
import { type TrainedOn, trainedOnEntry } from './trained-on.js';

/** One adapted module: W + scale · B A, A [rank, in] or [rank, in, kh, kw], B [out, rank]; with m [out], its rows scaled to these norms; with c [out], scale · c more. */
export interface PeftLayer {
  /** As the network in Python calls it: `vit.layers.0.attention.q_proj`. */
  readonly module: string;
  readonly A: Tensor;
  readonly B: Tensor;
  readonly m?: Tensor;
  readonly c?: Tensor;
  readonly scale: number;
  /** How many axes a convolution's kernel has, none of a linear layer; A has them, or is a matrix where it is of one place. */
  readonly units: number;
}

/** Modules that were trained as a whole, and their tensors by name. */
export interface SavedModules {
  readonly modules: readonly string[];
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * The two files by name. The layers all have magnitudes, or none has; they all have biases of their pairs, or none has.
 * @param biases of the base's layers, by name, where they are others than the base's
 * @param labels names of the classes of a head that is saved
 * @param on the base that they were trained on
 */
export function peftFiles(
  layers: readonly PeftLayer[],
  saved: SavedModules,
  biases: ReadonlyMap<string, Tensor> = new Map(),
  labels?: readonly string[],
  on?: TrainedOn,
): Map<string, string | Uint8Array> {
  const tensors = new Map<string, StoredTensor>();
  const put = (name: string, tensor: Tensor) => tensors.set(`base_model.model.${name}`, storeTensor(tensor));
  for (const { module, A, B, m, c, units } of layers) {
    const ones = Array.from({ length: units }, () => 1);
    const shaped = ({ type, data }: Tensor, shape: readonly number[]): Tensor => ({ type: { ...type, shape }, data });
    put(`${module}.lora_A.weight`, A.type.shape.length > 2 ? A : shaped(A, [...A.type.shape, ...ones]));
    put(`${module}.lora_B.weight`, shaped(B, [...B.type.shape, ...ones]));
    if (m) put(`${module}.lora_magnitude_vector.weight`, units > 0 ? shaped(m, [1, ...m.type.shape, ...ones]) : m);
    if (c) put(`${module}.lora_B.bias`, c);
  }
  const adapted = new Set(layers.map((l) => `${l.module}.bias`));
  for (const [name, tensor] of biases) put(adapted.has(name) ? name.replace(/bias$/, 'base_layer.bias') : name, tensor);
  for (const [name, tensor] of saved.tensors) put(name, tensor);
  const ranks = layers.map((l) => l.A.type.shape[0]!);
  const { rslora, alphas } = alphasOf(layers, ranks);
  const rank = commonest(ranks);
  const alpha = commonest(alphas);
  const config = {
    peft_type: 'LORA',
    task_type: null,
    base_model_name_or_path: null,
    inference_mode: true,
    bias: biases.size === 0 ? 'none' : [...biases.keys()].every((name) => adapted.has(name)) ? 'lora_only' : 'all',
    ...(layers.some((l) => l.c) ? { lora_bias: true } : {}),
    lora_dropout: 0,
    r: rank,
    lora_alpha: alpha,
    use_rslora: rslora,
    use_dora: layers.some((l) => l.m),
    target_modules: layers.map((l) => l.module),
    rank_pattern: patternOf(layers, ranks, rank),
    alpha_pattern: patternOf(layers, alphas, alpha),
    modules_to_save: saved.modules.length > 0 ? saved.modules : null,
  };
  return new Map<string, string | Uint8Array>([
    ['adapter_config.json', `${JSON.stringify(config, null, 2)}\n`],
    [
      'adapter_model.safetensors',
      encodeSafetensors(tensors, { format: 'pt', writer: WRITER, ...labelsEntry(labels), ...trainedOnEntry(on) }),
    ],
  ]);
}

/** scale = alpha / rank, or alpha / sqrt(rank) where that makes whole numbers of what were none. */
function alphasOf(layers: readonly PeftLayer[], ranks: readonly number[]): { rslora: boolean; alphas: number[] } {
  // A scale was measured, so its last digits are rounding errors.
  const by = (f: (rank: number) => number) =>
    layers.map(({ scale }, i) => Number((scale * f(ranks[i]!)).toPrecision(9)));
  const [plain, roots] = [by((r) => r), by(Math.sqrt)];
  const rslora = !plain.every(Number.isInteger) && roots.every(Number.isInteger);
  return { rslora, alphas: rslora ? roots : plain };
}

function commonest(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const n of numbers) counts.set(n, (counts.get(n) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]![0];
}

/** The modules whose number is not the common one. */
const patternOf = (layers: readonly PeftLayer[], numbers: readonly number[], common: number) =>
  Object.fromEntries(layers.flatMap(({ module }, i) => (numbers[i] === common ? [] : [[module, numbers[i]!]])));
