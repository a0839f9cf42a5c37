/** What the table of methods is made from: PyTorch's half of it, and the files that both halves start from (test/reference/methods_table.py). */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openFile } from '../../src/formats/node/files.js';
import { openSafetensors } from '../../src/formats/tensors/store.js';

/** Of all runs. */
export interface Settings {
  readonly epochs: number;
  readonly batch: number;
  readonly weight_decay: number;
  /** The share of the steps that warms up, and the rate that it starts from and the cosine ends at. */
  readonly warm_up: number;
  readonly least_rate: number;
  /** Images of the test set, from its beginning. */
  readonly tested: number;
}

/** One method from one seed; both halves say the same of it. */
export interface Run {
  readonly method: string;
  readonly seed: number;
  /** The learning rate at its highest. */
  readonly rate: number;
  /** Share of the tested images, after the last step. */
  readonly accuracy: number;
  /** Before each step. */
  readonly losses: readonly number[];
  /** That are trained, the head's among them. */
  readonly parameters: number;
  readonly seconds_per_step: number;
  /** Processor time, of all threads. */
  readonly cpu_seconds_per_step: number;
  /** The most that a step holds at a time beside weights and the optimiser's states. */
  readonly peak_bytes: number;
}

/** One half of the table, as its file holds it. */
export interface Half {
  readonly settings: Settings;
  readonly runs: readonly Run[];
}

const FASHION = join(dirname(fileURLToPath(import.meta.url)), '../../examples/fashion');
/** What locations in the specs of methods are relative to. */
export const SPEC_PATH = join(FASHION, 'methods.peft');

/** PyTorch's half: which runs there are, and their settings. */
export const pytorchHalf = (): Half =>
  JSON.parse(readFileSync(join(FASHION, 'methods', 'pytorch.json'), 'utf8')) as Half;

/** What a seed's runs start from. */
export interface Start {
  /** What a spec says of a method after its head. */
  readonly statements: Readonly<Record<string, string>>;
  /** Images of the training set. */
  readonly images: Uint16Array;
  /** Which of these each step reads, [steps, batch]. */
  readonly order: Uint16Array;
  /** How the head and the method's adapters start, by their names in the model; what is not there starts as 0. */
  values(method: string): Promise<ReadonlyMap<string, Float32Array>>;
}

export async function startOf(seed: number): Promise<Start> {
  const source = await openFile(join(FASHION, 'methods', `seed-${seed}.safetensors`));
  try {
    const { tensors, metadata } = await openSafetensors(source);
    const read = async (name: string) => (await tensors.get(name)!.read()).data;
    const all = new Map<string, Float32Array>();
    for (const name of tensors.keys()) all.set(name, Float32Array.from(await read(name)));
    return {
      statements: JSON.parse(metadata.methods!) as Record<string, string>,
      images: Uint16Array.from(all.get('images')!),
      order: Uint16Array.from(all.get('order')!),
      values: async (method) =>
        new Map(
          [...all].flatMap(([name, data]) => {
            if (name.startsWith('head.')) return [[name, data] as const];
            return name.startsWith(`${method}/`) ? [[name.slice(method.length + 1), data] as const] : [];
          }),
        ),
    };
  } finally {
    await source.close?.();
  }
}

/** The spec of a method's run. */
export function specOf(statements: string, rate: number, steps: number, settings: Settings): string {
  const { weight_decay, warm_up, least_rate, batch } = settings;
  const warm = Math.floor(steps * warm_up);
  return `use std

// timm's cosine with a warm-up, by step.
function by_step(lr: float, step: int, epochs: int) = cosine(
  lr: lr,
  epoch: step,
  epochs: ${steps},
  warmup: ${warm},
  warmup_lr: ${least_rate},
  lr_min: ${least_rate}
)

model Digits {
  base = vit_auto() from "./vit-fashion"
  head = classify(base, classes: 10)
  ${statements}
}

train Digits {
  optimizer = adamw(lr: ${rate}, weight_decay: ${weight_decay})
  schedule = by_step(epochs: 1)
  batch = ${batch}
}
`;
}
