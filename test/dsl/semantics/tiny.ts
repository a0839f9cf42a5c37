/** A ViT of four small blocks, for tests of what a model says about it. */
import type { Elaborated } from '../../../src/dsl/elaborated.js';
import { good, type Setup } from './helper.js';

export const TINY = 'variant tiny = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 4, heads: 2)';

/** A model with `body` below its backbone, and `more` below the model. */
export const tiny = (body: string, setup: Setup = {}, more = ''): Elaborated =>
  good(`use std\n${TINY}\nmodel M {\n  base = tiny() from "./tiny"\n${body}\n}\n${more}`, setup);
