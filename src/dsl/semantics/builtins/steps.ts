/** Steps of preprocessing: what a variant may say is done to a picture. */
import type { PreprocessStep } from '../../../../runtime/program/program.js';
import type { Signature } from '../names/signature.js';

export const FILTERS = ['nearest', 'bilinear', 'bicubic'] as const;
/** How half of an odd margin of a crop is rounded. */
export const ROUNDINGS = ['down', 'even'] as const;

/** What becomes of a picture's color profile. */
export const COLOURS = ['raw', 'managed'] as const;

const SIGNATURES: Readonly<Record<PreprocessStep['step'], Omit<Signature, 'name'>>> = {
  colour: {
    doc: 'Which colors a picture is decoded to: colour(managed) converts it by its ICC profile to sRGB, colour(raw), as Pillow and by default, takes its own numbers. Comes first; alone, the other steps are those of what the variant fills in, or of the files beside the weights.',
    params: ['rule'],
    words: { rule: COLOURS },
  },
  resize: {
    doc: 'Resizes the image: resize(224, bicubic) by its shorter side, resize([224, 320]) to both, resize(longest: 1024) by its longest one.',
    params: ['size?', 'filter?', 'longest?'],
    words: { filter: FILTERS },
  },
  crop: {
    doc: 'Cuts out the middle: crop(224). Of an odd margin the smaller half comes first, as transformers has it; crop(224, even) rounds half of it to even, as torchvision and timm do.',
    params: ['size', 'rounding?'],
    words: { rounding: ROUNDINGS },
  },
  pad: { doc: 'Fills up below and on the right: pad(1024), with black, or with 0 after normalize.', params: ['size'] },
  normalize: { doc: '(x - mean) / std: normalize(mean: 0.5, std: 0.5).', params: ['mean', 'std'] },
  grayscale: { doc: 'One channel, the luma.', params: [] },
};

export const STEPS: ReadonlyMap<string, Signature> = new Map(
  Object.entries(SIGNATURES).map(([name, signature]) => [name, { name, ...signature }]),
);
