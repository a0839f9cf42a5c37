/** What the language has without a declaration. */
import { LAYER_PARAMETERS } from './layers.js';
import { OPERATORS } from './operators.js';

export const BUILTINS = { operators: OPERATORS, layers: LAYER_PARAMETERS };
