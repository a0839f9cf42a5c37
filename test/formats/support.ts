/** Small files of tensors, and what folders mean for the library's ViT, for the tests of the formats. */
import type { PreprocessStep } from '../../runtime/program/program.js';
import { type Diagnostic, EspalierError } from '../../src/diagnostics/types.js';
import { elaborate } from '../../src/dsl/elaborate.js';
import { parse } from '../../src/dsl/parse.js';
import type { OpenCheckpoint } from '../../src/formats/checkpoint.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import type { Tensor } from '../../src/ir/types.js';

/** Elements `from`, `from + 1`, ... */
export const floats = (shape: number[], from = 0): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { type: { dtype: 'f32', shape }, data: Float32Array.from({ length: size }, (_, i) => from + i) };
};

/** A safetensors file of the tensors. */
export const fileOf = (tensors: Record<string, Tensor>, metadata: Record<string, string> = {}): Uint8Array =>
  encodeSafetensors(new Map(Object.entries(tensors).map(([n, t]) => [n, storeTensor(t)])), metadata);

/** What the library's ViT makes of the files beside a folder's weights. */
export interface Meaning {
  readonly options: Readonly<Record<string, string>>;
  readonly labels: readonly string[] | undefined;
  readonly several: boolean | undefined;
  readonly preprocess: readonly PreprocessStep[] | undefined;
  readonly warnings: readonly Diagnostic[];
}

/** Reads a folder as `vit_auto() from "f"` does. @throws EspalierError with all that is wrong */
export function meaning(
  checkpoint: Pick<OpenCheckpoint, 'facts'>,
  head = 'classify(base)',
  variant = 'vit_auto',
): Meaning {
  const text = `use std\nmodel M {\n  base = ${variant}() from "f"\n  head = ${head}\n}\n`;
  const { file } = parse('spec.peft', text);
  const { value, diagnostics } = elaborate(file, { readFile: () => undefined, facts: () => checkpoint.facts });
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length > 0) throw new EspalierError(errors);
  const base = value!.root.children.find((c) => c.path === 'base')!;
  const options = Object.fromEntries(base.detail.split(', ').map((o) => o.split(': ') as [string, string]));
  return {
    options,
    labels: value!.labels,
    several: value!.several,
    preprocess: value!.preprocess,
    warnings: diagnostics,
  };
}
