/** Programs that count brightness, so that anyone can say what comes out: each pixel's mean over its channels, as so many things. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, type Session, writeCompiled } from '../../src/api/index.js';
import { openProgram } from '../../src/api/node/programs.js';
import { storeTensor } from '../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../src/formats/tensors/safetensors.js';
import { tensor } from '../../src/ir/run/tensor.js';

/** Of the program's input. Its map has half as many cells a side. */
export const TILE = { width: 24, height: 16 };

export async function compileCounter(
  folder: string,
  preprocess: string,
  results = 'density: map, count: total',
  channels = 3,
): Promise<string> {
  const weights = join(folder, `weights${channels}.safetensors`);
  writeFileSync(
    weights,
    encodeSafetensors(
      new Map([
        [
          'base.conv.weight',
          storeTensor(tensor([1, channels, 2, 2], new Float32Array(4 * channels).fill(1 / channels))),
        ],
      ]),
    ),
  );
  const text = `
backbone tiny() {
  conv = Conv2d(${channels} -> 1, kernel: 2, stride: 2, bias: false)
  forward(x: [b, ${channels}, ${TILE.height}, ${TILE.width}]) {
    map = conv(x)
    total = sum(rearrange(map, "b c h w -> b (c h w)"), axis: -1)
    { ${results} }
  }
}
variant bright = tiny() {
  preprocess = ${preprocess}
}
model Bright { base = bright() from "${weights}" }
`;
  const program = join(
    folder,
    `program-${preprocess.replaceAll(/\W+/g, '-')}-${results.replaceAll(/\W+/g, '-')}-${channels}`,
  );
  await writeCompiled(await compile({ text, path: 'bright.peft' }, { golden: false }), program);
  return program;
}

export const openCounter = async (folder: string, preprocess: string): Promise<Session> =>
  openProgram(await compileCounter(folder, preprocess));
