/** Which colors a program takes pictures by. */
import type { PreprocessStep } from '../../program/program.js';

/** `raw`: a file's own numbers, whatever its color profile says. `managed`: converted by it to sRGB. */
export type Colour = 'raw' | 'managed';

/** How pictures are to be decoded for these steps. */
export const colourOf = (steps: readonly PreprocessStep[] | undefined): Colour =>
  steps?.some(({ step }) => step === 'colour') ? 'managed' : 'raw';
