/** Adapters that the library does not have: each is a declaration, has the published number of parameters, and merges if it is affine. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tensor } from '../../../src/ir/run/tensor.js';
import { optimize } from '../../../src/passes/index.js';
import { maxDifference } from '../../tensors.js';
import { count, good, run } from './helper.js';

const ADAPTERS = readFileSync(new URL('./fixtures/siblings.peft', import.meta.url), 'utf8');
const model = (backbone: string, statement: string) =>
  `${ADAPTERS}\nmodel M {\n  base = ${backbone}\n  in base { ${statement} }\n}\n`;
const LARGE = 'vit_base_patch16()';
const TINY = 'vit(image: 8, patch: 4, channels: 1, dim: 32, depth: 2, heads: 2)';
const qv = 'adapt blocks[*].attn.qkv.{q, v} with';
const all = 'adapt blocks[*].{attn.*, mlp.*} with';

describe('adapters of the literature', () => {
  it.each<[name: string, statement: string, parameters: number, small: string, merges: boolean]>([
    ['LoHa', `${qv} loha(rank: 8)`, 589_824, `${qv} loha(rank: 2)`, true],
    ['LoKr', `${qv} lokr(rank: 8)`, 26_112, `${qv} lokr(rank: 2)`, true],
    ['LoKr, factor 8', `${qv} lokr(rank: 8, factor: 8)`, 38_400, `${qv} lokr(rank: 1, factor: 8)`, true],
    [
      'RepAdapter',
      'adapt blocks[*].{attn.qkv, mlp.fc1} with repadapter()',
      239_808,
      'adapt blocks[*].{attn.qkv, mlp.fc1} with repadapter(hidden: 4)',
      true,
    ],
    ['FacT-TT', `${all} fact_train(rank: 16, dim: 768)`, 61_440, `${all} fact_train(rank: 2, dim: 32)`, true],
    ['FacT-TT, rank 8', `${all} fact_train(rank: 8, dim: 768)`, 21_504, `${all} fact_train(rank: 3, dim: 32)`, true],
    ['FacT-TK', `${all} fact_tucker(rank: 16, dim: 768)`, 30_976, `${all} fact_tucker(rank: 2, dim: 32)`, true],
    [
      'BitFit',
      'adapt patch_embed, norm, blocks[*].{norm1, norm2, attn.*, mlp.*} with bitfit()',
      102_912,
      `${all} bitfit()`,
      true,
    ],
    ['OFT', `${qv} oft()`, 285_696, `${qv} oft(block: 4)`, true],
    ['BOFT', `${qv} boft()`, 92_160, `${qv} boft(factors: 2)`, true],
    [
      'Convpass',
      'adapt blocks[*].{attn, mlp} with convpass()',
      327_552,
      'adapt blocks[*].{attn, mlp} with convpass(hidden: 2)',
      false,
    ],
    [
      'Compacter',
      'adapt blocks[*].attn_branch, blocks[*].mlp_branch with compacter()',
      55_936,
      'adapt blocks[*].attn_branch, blocks[*].mlp_branch with compacter(hidden: 4)',
      false,
    ],
    [
      'AdaptFormer',
      'adapt blocks[*].mlp_branch with adaptformer()',
      1_189_632,
      'adapt blocks[*].mlp_branch with adaptformer(hidden: 2)',
      false,
    ],
    ['VPT, shallow', 'adapt blocks with vpt(prompts: 50)', 38_400, 'adapt blocks with vpt(prompts: 2)', false],
    ['VPT, deep', 'adapt blocks[*] with vpt(prompts: 10)', 92_160, 'adapt blocks[*] with vpt(prompts: 2)', false],
    ['DoRA', `${qv} dora(rank: 8)`, 313_344, `${qv} dora(rank: 2)`, true],
    ['LoRA on all layers', `${all} lora(rank: 8)`, 1_179_648, `${all} lora(rank: 2)`, true],
  ])('%s', (_, statement, parameters, small, merges) => {
    expect(count(good(model(LARGE, statement)), (__, role) => role === 'trainable')).toBe(parameters);

    const e = good(model(TINY, small));
    const { module, report } = optimize(e.module, { adapters: 'merged', verify: true });
    expect(new Set(report.adapters.map((a) => a.state))).toEqual(new Set([merges ? 'merged' : 'kept']));
    expect(module.funcs.has('infer')).toBe(true);

    // Parameters that start at zero or one would hide what the adapter does.
    const wave = (shape: readonly number[], name: string) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return tensor(
        [...shape],
        Float64Array.from({ length: size }, (__, i) => 0.3 * Math.sin(1 + i * 0.7 + name.length)),
      );
    };
    const params = Object.fromEntries(
      [...e.module.params.values()]
        .filter((p) => p.role === 'trainable')
        .map((p) => [p.name, wave(p.type.shape, p.name)]),
    );
    const pixels = wave([1, 1, 8, 8], '');
    const adapted = run(e, { pixels }, params).get('base')!;
    const plain = run(good(model(TINY, '')), { pixels }).get('base')!;
    expect(adapted.data.every(Number.isFinite)).toBe(true);
    expect(maxDifference(adapted, plain)).toBeGreaterThan(1e-4);
  });
});
