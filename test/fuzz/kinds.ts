/** The kinds of cases, by name; a campaign draws them by their weights. */
import type { Kinds } from './case.js';
import { config, idx, image, safetensors } from './formats.js';
import { onnx } from './onnx.js';
import { input, program } from './programs.js';
import { spec } from './specs.js';

export const KINDS: Kinds = { spec, safetensors, config, program, input, idx, image, onnx };
