/** What the language has without a declaration. */
import { LAYER_PARAMETERS } from './layers.js';
import { OPERATORS } from './operators.js';
import { STEPS } from './steps.js';

export const BUILTINS = { operators: OPERATORS, layers: LAYER_PARAMETERS, steps: STEPS };
