/** What training is measured on: ViT-S/16 and ViT-B/16 at their real sizes under some methods, with random weights, as programs that train them. */
import { type Analysis, analyseModel } from '../../src/api/analyse.js';
import { nodeHost } from '../../src/api/index.js';
import { loadParameters } from '../../src/api/parameters.js';
import type { TrainerRequest } from '../../src/api/train/trainer.js';
import type { Elaborated, TrainSettings } from '../../src/dsl/elaborated.js';
import { normalStream } from '../../src/ir/run/init.js';
import type { Tensor } from '../../src/ir/types.js';
import { UsageError } from '../arguments.js';

/** Every linear layer of every block. */
const SITES = 'base.blocks[*].{attn.*, mlp.*}';

/** What a spec says after its head. */
const STATEMENTS = {
  lora: `adapt ${SITES} with lora(rank: 8)\n  tune head`,
  karst: `adapt ${SITES} with karst(rank: 8)\n  tune head`,
  full: 'tune base, head',
} as const;

/** What a spec calls the models, at their real sizes. */
export const VIT_S = 'vit_small_patch16()';
export const VIT_B = 'vit_base_patch16()';

export type Method = keyof typeof STATEMENTS;
export const METHODS = Object.keys(STATEMENTS) as Method[];

export interface Trained {
  /** What a spec calls it. */
  readonly model: string;
  readonly method: Method;
  readonly batch: number;
  /** Further lines of the `train` block. */
  readonly settings?: readonly string[];
}

const text = ({ model, method, batch, settings = [] }: Trained): string => `use std
model Bench {
  base = ${model}
  head = classify(base, pool: cls, classes: 102)
  ${STATEMENTS[method]}
}
train Bench {
  optimizer = adamw()
  schedule = constant(epochs: 1)
  batch = ${[batch, ...settings].join('\n  ')}
}
`;

/** A model with its settings of training; no parameter has a value yet. */
export async function specOf(trained: Trained): Promise<Analysis & { elaborated: Elaborated; train: TrainSettings }> {
  const analysis = await analyseModel({ text: text(trained), path: 'bench.peft' }, { host: nodeHost() });
  const { train, ...elaborated } = analysis.elaborated;
  return { ...analysis, elaborated, train: train! };
}

/** What a trainer is opened with: every parameter as it starts, but that no product of an adapter is zero. */
export async function requestOf(trained: Trained): Promise<TrainerRequest> {
  const analysis = await specOf(trained);
  const { elaborated, train, host } = analysis;
  const { get } = await loadParameters(analysis);
  const drawn = new Map<string, Tensor>();
  const params = (name: string): Tensor => {
    const start = get(name);
    if (!name.includes('@') || start.data.some((x) => x !== 0)) return start;
    const next = normalStream(1, name);
    const made = { type: start.type, data: Float32Array.from(start.data, () => 0.02 * next()) };
    drawn.set(name, drawn.get(name) ?? made);
    return drawn.get(name)!;
  };
  return { elaborated, train, params, host };
}

/** @throws UsageError */
export function methodOf(text: string): Method {
  const found = METHODS.find((m) => m === text);
  if (!found) throw new UsageError(`a method is ${METHODS.join(' or ')}, not ${text}`);
  return found;
}
