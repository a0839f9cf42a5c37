/** Adapter folders of the library peft that are refused, and what is not. */
import { describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/formats/checkpoint.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import type { Tensor } from '../../src/ir/types.js';
import { memoryFolder } from '../folders.js';
import { DIM, filled, folder, module, pair } from './peft-folders.js';

describe('a folder of peft that is refused', () => {
  const one = { [module(0, 'query')]: pair(2, 1) };
  test.each([
    [{ peft_type: 'LOKR' }, 'ESP0512', 'peft_type = "LOKR"'],
    [{ use_dora: true }, 'ESP0507', 'has no magnitude, and use_dora is true'],
    [{ peft_type: 'IA3' }, 'ESP0512', 'adapters of the type IA3 are not imported'],
    [{ bias: 'some' }, 'ESP0507', 'bias = "some" is not'],
    [{ bias: 1 }, 'ESP0507', 'bias = 1 is not a string'],
    [{ trainable_token_indices: [1] }, 'ESP0512', 'trainable_token_indices = [1]'],
    [{ r: null }, 'ESP0507', 'r is null, and has to be a number'],
    [{ lora_alpha: null }, 'ESP0507', 'lora_alpha is null, and has to be a number'],
    [{ peft_type: undefined }, 'ESP0507', 'no peft_type'],
    [{ target_parameters: ['mlp.w'] }, 'ESP0512', 'target_parameters'],
    [{ layer_replication: [[0, 1]] }, 'ESP0512', 'layer_replication'],
    [{ modules_to_save: ['classifier', 'score'] }, 'ESP0507', 'saves the modules classifier, score, of which'],
    [{ modules_to_save: 'classifier' }, 'ESP0507', 'modules_to_save = "classifier" is not a list of strings'],
    [{ alpha_pattern: [1] }, 'ESP0507', 'alpha_pattern = [1] is not an object'],
    [{ lora_bias: true }, 'ESP0507', 'has no bias of its pair, and lora_bias is true'],
    [{ init_lora_weights: 'pissa_niter_4' }, 'ESP1291', 'found by chance'],
    [{ init_lora_weights: 'corda' }, 'ESP1291', 'init_lora_weights = "corda" took numbers out of the base'],
    [{ init_lora_weights: 'loftq', loftq_config: { loftq_bits: 4 } }, 'ESP1291', 'quantised'],
    [{ init_lora_weights: 'lora_ga' }, 'ESP1291', 'gradients'],
    [{ init_lora_weights: 'brand-new' }, 'ESP0512', 'init_lora_weights = "brand-new"'],
    [{ init_lora_weights: 3 }, 'ESP0512', 'not known whether'],
    [{ rank_pattern: { 'a(?=b)': 3 } }, 'ESP0512', 'not matched in linear time'],
    [{ alpha_pattern: { '(q)\\1': 3 } }, 'ESP0512', 'refers back'],
    [{ rank_pattern: { '(': 3 } }, 'ESP0512', 'not a regular expression'],
    [{ rank_pattern: { query: '3' } }, 'ESP0507', 'not mapped to a number'],
    [{ r: 4 }, 'ESP0507', 'has rank 4, but its tensors have rank 2'],
    [{ r: 0 }, 'ESP0507', 'r = 0 is not a positive whole number'],
    [{ lora_alpha: 'x' }, 'ESP0507', 'lora_alpha'],
    [{ lora_alpha: 0 }, 'ESP0507', 'alpha of 0'],
  ])('%j', async (config, code, words) => {
    await expect(openCheckpoint(folder(config, one))).rejects.toThrow(code);
    await expect(openCheckpoint(folder(config, one))).rejects.toThrow(words);
  });

  test.each([
    { target_modules: 'all-linear' },
    { target_modules: '.*(query|value)' },
    { target_modules: ['query'], exclude_modules: ['key'] },
    { layers_to_transform: [0], layers_pattern: 'layer' },
    { init_lora_weights: 'gaussian', lora_dropout: 0.5, task_type: 'SEQ_CLS' },
    { rank_pattern: {}, alpha_pattern: {}, bias: 'none', use_dora: false, fan_in_fan_out: false },
    { rank_pattern: null, alpha_pattern: null, bias: null, use_dora: null, use_rslora: null, modules_to_save: null },
    { fan_in_fan_out: true },
    ...['eva', 'orthogonal', 'mica', true, false, null].map((init_lora_weights) => ({ init_lora_weights })),
    { init_lora_weights: true, corda_config: { corda_method: 'kpm' }, eva_config: { rho: 2 } },
  ])('but not %j: which modules are adapted, the tensors say', async (config) => {
    const c = await openCheckpoint(folder(config, one));
    expect(c.warnings).toEqual([]);
    expect([...c.peft!.pairs.keys()]).toEqual([module(0, 'query')]);
  });

  test('two adapters in one file', async () => {
    const [A, B] = pair(2, 1);
    const more = (name: string) => ({
      [`${module(0, 'query')}.lora_A.${name}.weight`]: A,
      [`${module(0, 'query')}.lora_B.${name}.weight`]: B,
    });
    await expect(openCheckpoint(folder({}, {}, { ...more('default'), ...more('other') }))).rejects.toThrow(
      /ESP0503.*holds several adapters/,
    );
  });

  test('half a pair, and tensors of other kinds', async () => {
    const half = { [`${module(0, 'query')}.lora_A.weight`]: filled([2, DIM], 1) };
    await expect(openCheckpoint(folder({}, {}, half))).rejects.toThrow('only one half of its pair (A)');
    const other = { [`${module(0, 'query')}.lora_embedding_A`]: filled([1, DIM], 1) };
    await expect(openCheckpoint(folder({}, one, other))).rejects.toThrow(/ESP0512.*lora_embedding_A/);
    const odd: [Tensor, Tensor] = [filled([2, DIM], 1), filled([DIM, 3], 1)];
    await expect(openCheckpoint(folder({}, { [module(0, 'query')]: odd }))).rejects.toThrow(
      'not a pair for a linear layer',
    );
  });

  test('pairs of convolutions in groups, and those that began as a part of the base', async () => {
    const kernelOf = (shape: number[]): Tensor => ({
      type: { dtype: 'f32', shape },
      data: new Float32Array(sizeOf(shape)).fill(1),
    });
    const kernel = (groups: number): [Tensor, Tensor] => [kernelOf([4, 3, 2, 2]), kernelOf([DIM, 4 / groups, 1, 1])];
    const c = await openCheckpoint(folder({ r: 4 }, { [module(0, 'query')]: kernel(1) }));
    expect([...c.peft!.pairs.values()].map(({ A, read }) => [A.shape, read])).toEqual([
      [
        [4, 12],
        [3, 2, 2],
      ],
    ]);
    await expect(openCheckpoint(folder({ r: 4 }, { [module(0, 'query')]: kernel(2) }))).rejects.toThrow(
      /ESP0507.*A \[4, 3, 2, 2\] and B \[\d+, 2, 1, 1\] are not a pair.*2 groups, and convolutions in groups are not imported/,
    );
    const started = folder({ r: 4, init_lora_weights: 'pissa' }, { [module(0, 'query')]: kernel(1) });
    await expect(openCheckpoint(started)).rejects.toThrow(/ESP0507.*started as a part of the base are not imported/);
  });

  test('a pickle, and no weights', async () => {
    const config = { 'adapter_config.json': '{"peft_type":"LORA"}' };
    await expect(openCheckpoint(memoryFolder('f', { ...config, 'adapter_model.bin': 'x' }))).rejects.toThrow('ESP1280');
    await expect(openCheckpoint(memoryFolder('f', config))).rejects.toThrow('no adapter_model.safetensors');
  });

  test('unknown fields are reported unless they are off', async () => {
    const c = await openCheckpoint(folder({ brand_new: 'on', other_new: null, third_new: {} }, one));
    expect(c.warnings.map((w) => [w.severity, w.message])).toEqual([
      ['warning', 'lora/adapter_config.json has fields that Espalier does not know and ignores: brand_new'],
    ]);
  });
});
