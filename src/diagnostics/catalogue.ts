/** Every message that Espalier can give, in one typed table. Numbers: 01 syntax, 02 names and types, 03 shapes, sites and selectors, 04 merging, 05 files and images, 06 code generation, 07 devices and sessions, 08 pruning, 09 command line, 10 data, 11 training, 12 ONNX and counting. */
import { DATA } from './entries/data.js';
import type { Entry } from './entries/define.js';
import { DEVICE } from './entries/device.js';
import { ADAPTER_FILES } from './entries/files/adapters.js';
import { CHECKPOINT_FILES } from './entries/files/checkpoints.js';
import { HUB } from './entries/files/hub.js';
import { IMAGE_FILES } from './entries/files/images.js';
import { TORCH_FILES } from './entries/files/torch.js';
import { GENERATION } from './entries/generation.js';
import { MERGING } from './entries/merging.js';
import { NAMES } from './entries/names.js';
import { ONNX } from './entries/onnx.js';
import { ONNX_IMPORT } from './entries/onnx-import.js';
import { PRUNING, SEARCH } from './entries/pruning.js';
import { SHAPES } from './entries/shapes.js';
import { SYNTAX } from './entries/syntax.js';
import { TRAINING } from './entries/training.js';
import { USAGE } from './entries/usage.js';
import type { Diagnostic, Label, Severity } from './types.js';

export const CATALOGUE = {
  ...SYNTAX,
  ...NAMES,
  ...SHAPES,
  ...MERGING,
  ...CHECKPOINT_FILES,
  ...ADAPTER_FILES,
  ...TORCH_FILES,
  ...IMAGE_FILES,
  ...HUB,
  ...GENERATION,
  ...DEVICE,
  ...PRUNING,
  ...USAGE,
  ...DATA,
  ...TRAINING,
  ...SEARCH,
  ...ONNX,
  ...ONNX_IMPORT,
};

export type Code = keyof typeof CATALOGUE;
/** What the message of a code is made of. */
export type ArgsOf<C extends Code> = (typeof CATALOGUE)[C] extends Entry<infer A> ? A : never;

export interface Place {
  readonly primary?: Label;
  readonly secondary?: readonly Label[];
  readonly help?: readonly string[];
  readonly fix?: Diagnostic['fix'];
  readonly severity?: Severity;
}

/** Makes a diagnostic from its code, its arguments and its place. */
export function diagnostic<C extends Code>(code: C, args: ArgsOf<C>, place: Place = {}): Diagnostic {
  const e = CATALOGUE[code] as unknown as Entry<ArgsOf<C>>;
  return {
    code,
    severity: place.severity ?? e.severity ?? 'error',
    message: e.message(args),
    ...(place.primary ? { primary: place.primary } : {}),
    secondary: place.secondary ?? [],
    help: [...(e.help?.(args) ?? []), ...(place.help ?? [])],
    ...(place.fix ? { fix: place.fix } : {}),
  };
}
