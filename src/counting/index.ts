/** Counting by programs that give densities, and how to show what they counted. Runs in a page. */
export { type Counted, type Counter, counterOf, countIn } from './count.js';
export { type Drawn, densityOverlay, type OverlayOptions } from './overlay.js';
export { type Density, placedDensity, type Seen } from './placed.js';
