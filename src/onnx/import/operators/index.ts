/** What each ONNX operator is in the language, and what is worked out at once where all of it is known. */
import type { Rules } from '../rule.js';
import { CONTRACTIONS } from './contract.js';
import { LAYOUT } from './layout.js';
import { LOSSES } from './loss.js';
import { MADE } from './made.js';
import { NORMS } from './normalisation.js';
import { RESIZES } from './places/resize.js';
import { SAMPLINGS } from './places/sampling.js';
import { SCATTERS } from './places/scatter.js';
import { POINTWISE } from './pointwise.js';
import { QUANTISED } from './quantised.js';
import { REDUCTIONS } from './reduce.js';
import { SIGNALS } from './signal.js';
import { CONVOLUTIONS } from './windows/convolution.js';
import { POOLS } from './windows/pooling.js';

export { FOLDS } from './folds/index.js';
export { onnxTypes } from './types.js';

export const RULES: Rules = {
  ...POINTWISE,
  ...REDUCTIONS,
  ...LAYOUT,
  ...CONTRACTIONS,
  ...CONVOLUTIONS,
  ...POOLS,
  ...NORMS,
  ...RESIZES,
  ...SCATTERS,
  ...SAMPLINGS,
  ...SIGNALS,
  ...MADE,
  ...QUANTISED,
  ...LOSSES,
};
