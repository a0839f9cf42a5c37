/** Things in pictures by a promptable segmentation model: masks from its decoder's logits, which of them are things, and how to show them. Runs in a page. */
export { type AutomaticOptions, automaticOf, type Decoded, findThings, type Thing, type Things } from './automatic.js';
export type { FilterOptions, Reason } from './filters.js';
export type { Box, Mask } from './mask.js';
export { overlaySvg } from './overlay.js';
export type { Prompts } from './prompts.js';
