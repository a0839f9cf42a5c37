/** What nodes give whose inputs are all known: shapes, axes and lengths, worked out when a graph is imported. */
import type { Folds } from '../../rule.js';
import { ARITHMETIC } from './arithmetic.js';
import { LAYOUT_FOLDS } from './layout.js';
import { MADE_FOLDS } from './made.js';
import { SIGNAL_FOLDS } from './signal.js';

export const FOLDS: Folds = { ...ARITHMETIC, ...LAYOUT_FOLDS, ...MADE_FOLDS, ...SIGNAL_FOLDS };
