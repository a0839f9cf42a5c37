/** Hugging Face folders: what they say of themselves, and what is no checkpoint at all. */
import { describe, expect, test } from 'vitest';
import { elaborate } from '../../src/dsl/elaborate.js';
import { parse } from '../../src/dsl/parse.js';
import { chooseLayout, type OpenCheckpoint, openCheckpoint } from '../../src/formats/checkpoint.js';
import { withOtherFields } from '../../src/formats/huggingface/json.js';
import { openCheckpointAt } from '../../src/formats/node/open.js';
import { memorySource } from '../../src/formats/tensors/bytes.js';
import { memoryFolder } from '../folders.js';
import { fileOf, floats, type Meaning, meaning } from './support.js';

const STATISTICS = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
/** All that a processor's own defaults would otherwise decide. */
const COMPLETE = {
  image_processor_type: 'DeiTImageProcessor',
  size: 28,
  resample: 3,
  do_center_crop: false,
  ...STATISTICS,
};

describe('a Hugging Face folder', () => {
  test('tells the backbone’s options, the labels and the preprocessing', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-odd');
    expect(c.kind).toBe('huggingface');
    expect(meaning(c)).toEqual({
      options: expect.objectContaining({
        image: '30',
        table_image: '30',
        patch: '6',
        channels: '3',
        dim: '36',
        depth: '3',
        heads: '2',
        hidden: '100',
        eps: '1e-12',
        drop_path_rate: '0',
        qkv_bias: 'true',
        activation: 'gelu',
        position_antialias: 'false',
      }),
      labels: ['class 0', 'class 1', 'class 2', 'class 3', 'class 4', 'class 5', 'class 6'],
      preprocess: [
        { step: 'resize', size: 34, filter: 'bilinear' },
        { step: 'crop', size: [30, 30] },
        { step: 'normalize', mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
      ],
      warnings: [],
    });
    expect(c.store.tensors.get('vit.layernorm.weight')).toMatchObject({ dtype: 'BF16', shape: [36] });
    await c.close();
  });

  test('that is grey, without qkv biases', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-grey');
    const { options, preprocess } = meaning(c);
    expect(options).toMatchObject({ channels: '1', qkv_bias: 'false', eps: '0.000001' });
    expect(preprocess).toEqual([
      { step: 'grayscale' },
      { step: 'resize', size: [20, 20], filter: 'bilinear' },
      { step: 'normalize', mean: [0.1307], std: [0.3081] },
    ]);
    expect(c.store.tensors.has('vit.encoder.layer.0.attention.attention.query.bias')).toBe(false);
    await c.close();
  });

  test('in shards is one', async () => {
    const c = await openCheckpointAt('test/fixtures/vit-shards');
    expect(c.store.tensors.size).toBe(2 * 16 + 8);
    const t = await c.store.tensors.get('classifier.weight')!.read();
    expect(t.type).toEqual({ dtype: 'f32', shape: [5, 32] });
    await c.close();
  });

  test.each([
    ['an index that leads out of the folder', { 'x.weight': '../a.safetensors' }, 'not the name of a file'],
    ...['/etc/passwd', '..\\a.safetensors', 'b/../a.safetensors', '..', '.', ''].map(
      (file): [string, object, string] => [`an index of the shard "${file}"`, { x: file }, 'not the name of a file'],
    ),
    ['an index of a shard that is not there', { 'x.weight': 'b.safetensors' }, 'which is not there'],
    ['an index of a tensor that is not there', { y: 'a.safetensors' }, 'which it does not'],
    ['an index that leaves a tensor out', {}, ''],
    ['an index that leaves one of two out', { x: 'a.safetensors' }, 'does not list "z"'],
  ])('%s', async (_, map, words) => {
    const folder = memoryFolder('f', {
      'config.json': '{"model_type":"vit"}',
      'model.safetensors.index.json': JSON.stringify({ weight_map: map }),
      'a.safetensors': fileOf({ x: floats([1]), z: floats([1]) }),
    });
    if (words === '') expect((await openCheckpoint(folder)).store.tensors.size).toBe(0);
    else await expect(openCheckpoint(folder)).rejects.toThrow(new RegExp(`ESP0507.*${words}`));
  });

  const open = (config: object, preprocessor?: object, labels = true): Promise<OpenCheckpoint> =>
    openCheckpoint(
      memoryFolder('f', {
        'config.json': JSON.stringify({ model_type: 'vit', ...config }),
        ...(preprocessor ? { 'preprocessor_config.json': JSON.stringify(preprocessor) } : {}),
        'model.safetensors': fileOf(
          labels ? { 'classifier.weight': floats([2, 2]) } : { 'embeddings.cls_token': floats([1]) },
        ),
      }),
    );
  const SMALL = { hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 };
  const openWith = async (config: object, preprocessor?: object): Promise<Meaning> =>
    meaning(await open({ ...SMALL, ...config }, preprocessor), 'classify(base, classes: 2)');

  test('what config.json leaves out is what transformers takes', async () => {
    const { options, labels, preprocess, warnings } = meaning(await open({}), 'classify(base, classes: 2)');
    expect(options).toMatchObject({
      image: '224',
      patch: '16',
      dim: '768',
      depth: '12',
      heads: '12',
      hidden: '3072',
      qkv_bias: 'true',
    });
    expect(labels).toBeUndefined();
    // What ViTImageProcessor() does.
    expect(preprocess).toEqual([
      { step: 'resize', size: [224, 224], filter: 'bilinear' },
      { step: 'normalize', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ]);
    expect(warnings.map((d) => [d.code, d.severity, d.message])).toEqual([
      [
        'ESP1304',
        'note',
        '`f` has no preprocessor_config.json: pictures are preprocessed as the image processor of its class does by itself: resized to 224 x 224 (bilinear), normalized by mean 0.5 and std 0.5',
      ],
    ]);
    const said = meaning(await open({}, { do_resize: false, do_normalize: false }), 'classify(base, classes: 2)');
    expect(said.warnings).toEqual([]);
  });

  test('where the class makes pictures of another size, preprocessing is the variant of the library', async () => {
    const { preprocess, warnings } = await openWith({ image_size: 32 });
    expect(preprocess?.map((s) => s.step)).toEqual(['resize', 'crop', 'normalize']);
    expect(warnings.map((d) => d.message)).toEqual([
      expect.stringMatching(
        /as `vit_auto` does: resized by the shorter side to 32 \(bicubic\), cropped to 32 x 32, normalized/,
      ),
    ]);
  });

  test('labels are sorted by number, and belong to a head', async () => {
    const id2label = { 10: 'k', 2: 'c', 0: 'a', 1: 'b', 3: 'd', 4: 'e', 5: 'f', 6: 'g', 7: 'h', 8: 'i', 9: 'j' };
    expect(meaning(await open({ ...SMALL, id2label })).labels?.join('')).toBe('abcdefghijk');
    const headless = await open({ ...SMALL, id2label }, undefined, false);
    expect(() => meaning(headless)).toThrow(/ESP0204.*classes/);
  });

  test('several labels at once are no choice among all, unless the head is another', async () => {
    const id2label = { 0: 'a', 1: 'b' };
    const several = async (config: object, head = 'classify(base)', headed = true) =>
      meaning(await open({ ...SMALL, id2label, ...config }, undefined, headed), head).several;
    const multi = { problem_type: 'multi_label_classification' };
    expect(await several(multi)).toBe(true);
    expect(await several(multi, 'classify(base, classes: ["c", "d"])')).toBeUndefined();
    expect(await several(multi, 'classify(base, classes: 2)', false)).toBeUndefined();
    expect(await several({ problem_type: 'single_label_classification' })).toBeUndefined();
    expect(await several({ problem_type: null })).toBeUndefined();
  });

  test.each([
    [{ hidden_size: '768' }, 'ESP0507', 'hidden_size = "768" is not a positive whole number'],
    [{ num_hidden_layers: 0 }, 'ESP0507', 'num_hidden_layers'],
    [{ hidden_act: 'mish' }, 'ESP0509', 'hidden_act'],
    [{ layer_norm_eps: -1 }, 'ESP0507', 'layer_norm_eps = -1 is negative'],
    [{ model_type: undefined }, 'ESP0508', 'of type ""'],
    [{ image_size: [224, 112] }, 'ESP0509', 'not a square'],
    [{ model_type: 'swin' }, 'ESP0508', 'a model of type "swin", and `vit_auto` reads "vit"'],
    [{ hidden_act: 'gelu_10' }, 'ESP0509', 'what `vit_auto` has: gelu, gelu_tanh, quick_gelu, relu, silu'],
    [{ qkv_bias: 'yes' }, 'ESP0507', 'qkv_bias = "yes" is not true or false'],
    [{ id2label: 3 }, 'ESP0507', 'id2label = 3 is not an object'],
    [{ id2label: { 0: 'a', 2: 'c' } }, 'ESP0507', 'no name for class 1'],
  ])('config %j', async (config, code, words) => {
    await expect(openWith(config)).rejects.toThrow(code);
    await expect(openWith(config)).rejects.toThrow(words);
  });

  test.each([
    [{ size: 224 }, { step: 'resize', size: [224, 224], filter: 'bilinear' }],
    [
      { size: 224, image_processor_type: 'CLIPImageProcessor', resample: 3, ...STATISTICS },
      { step: 'resize', size: 224, filter: 'bicubic' },
    ],
    [
      { size: 224, default_to_square: false },
      { step: 'resize', size: 224, filter: 'bilinear' },
    ],
    [
      { size: { shortest_edge: 256 }, resample: 3 },
      { step: 'resize', size: 256, filter: 'bicubic' },
    ],
    [
      { size: { height: 20, width: 30 }, resample: 0 },
      { step: 'resize', size: [20, 30], filter: 'nearest' },
    ],
  ])('size %j', async (preprocessor, step) => {
    const cropped = { do_center_crop: true, crop_size: 224, ...preprocessor };
    expect((await openWith({}, cropped)).preprocess?.[0]).toEqual(step);
  });

  test('a crop rounds as transformers does, or as its family says', async () => {
    const crop = { ...COMPLETE, size: 256, do_center_crop: true, crop_size: 224 };
    const steps = async (more: object) => (await openWith({}, { ...crop, ...more })).preprocess?.[1];
    expect(await steps({})).toEqual({ step: 'crop', size: [224, 224] });
    expect(await steps({ crop_rounding: 'even' })).toEqual({ step: 'crop', size: [224, 224], rounding: 'even' });
    await expect(steps({ crop_rounding: 'up' })).rejects.toThrow(/crop_rounding = "up".*neither/);
  });

  test.each([
    [{ rescale_factor: 1 / 255 }, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]],
    [{ do_normalize: false }, [0, 0, 0], [1, 1, 1]],
    [{ rescale_factor: 2 / 255, image_mean: [1, 1, 1], image_std: [4, 4, 4] }, [0.5, 0.5, 0.5], [2, 2, 2]],
    [
      { do_rescale: false, image_mean: [127.5, 127.5, 127.5], image_std: [51, 51, 51] },
      [0.5, 0.5, 0.5],
      [0.2, 0.2, 0.2],
    ],
  ])('normalisation %j is one step over x/255', async (preprocessor, mean, std) => {
    const steps = (await openWith({}, { do_resize: false, ...preprocessor })).preprocess;
    expect(steps).toEqual([{ step: 'normalize', mean, std }]);
  });

  test.each([
    [{ resample: 1 }, 'resample = 1'],
    [{ do_flip_channel_order: true }, 'do_flip_channel_order = true is a step that Espalier does not have'],
    [{ crop_pct: 0.9 }, 'crop_pct'],
    [{ size: { longest_edge: 300 } }, 'size = {"longest_edge":300}'],
    [{ size: 224, resample: 2, image_processor_type: 'PvtImageProcessor' }, 'PvtImageProcessor'],
    [{ resample: 4 }, 'resample = 4'],
    [{ resample: 'lanczos' }, 'resample = "lanczos" is a filter that Espalier does not have'],
    [{ size: { height: 0, width: 28 } }, 'size = {"height":0,"width":28}'],
    [{ size: 0 }, 'size = 0'],
    [{ size: 1e9, do_center_crop: true }, 'of at most 16384'],
    [{ size: 256 }, 'size = 256 gives images of 256 x 256, but the model takes 224 x 224'],
    [{ size: { shortest_edge: 256 } }, 'gives images of 256, but the model takes 224 x 224'],
    [{ do_center_crop: true, crop_size: { height: 224, width: 200 } }, 'gives images of 224 x 200'],
    [{ size: [28, 28] }, 'size = [28,28]'],
    [{ do_center_crop: true, crop_size: { longest_edge: 2 } }, 'crop_size'],
    [{ size: { shortest_edge: 224, longest_edge: 300 } }, 'size = {"shortest_edge":224'],
    [{ do_pad: true, pad_size: 224 }, 'before or after normalizing'],
    [{ do_pad: true, pad_after: 'normalize', pad_size: 230 }, 'pad_size = 230 gives images of 230 x 230'],
    [{ do_pad: true, pad_after: 'normalize', pad_size: { longest_edge: 224 } }, 'has to be a height and a width'],
    [{ image_std: [1, 0, 1] }, 'image_std'],
    [{ rescale_factor: 0 }, 'rescale_factor'],
  ])('preprocessing %j is refused, not ignored', async (preprocessor, words) => {
    await expect(openWith({}, preprocessor)).rejects.toThrow('ESP0509');
    await expect(openWith({}, preprocessor)).rejects.toThrow(words);
  });

  test.each([
    [{ do_resize: false, image_mean: [0.5, 0.5] }, 'image_mean has 2 numbers, but the model has 3 channels'],
    [{ do_resize: false, image_mean: 'imagenet' }, 'image_mean = "imagenet" is not a list of numbers'],
    [{ do_resize: 'yes' }, 'do_resize = "yes" is not true or false'],
    // Each class of processor has defaults of its own: bicubic here, other means there.
    ...['size', 'resample', 'do_center_crop', 'image_mean', 'image_std'].map((field) => [
      { ...COMPLETE, [field]: null },
      `leaves out ${field}, and Espalier does not know what DeiTImageProcessor takes then`,
    ]),
    [{ ...COMPLETE, do_center_crop: true }, 'leaves out crop_size'],
  ] as [object, string][])('preprocessing %j is wrong', async (preprocessor, words) => {
    await expect(openWith({ image_size: 28, patch_size: 14 }, preprocessor)).rejects.toThrow('ESP0507');
    await expect(openWith({ image_size: 28, patch_size: 14 }, preprocessor)).rejects.toThrow(words);
  });

  test('a tensor that is there under two names is refused, not lost', async () => {
    const twice = await openCheckpoint(
      memoryFolder('f', {
        'config.json': '{"model_type":"vit"}',
        'model.safetensors': fileOf({
          'encoder.layer.0.output.dense.bias': floats([1]),
          'vit.layers.0.mlp.fc2.bias': floats([1]),
        }),
      }),
    );
    const { value } = elaborate(parse('spec.peft', 'use std\nmodel M {\n  base = vit_auto() from "f"\n}\n').file, {
      readFile: () => undefined,
      facts: () => twice.facts,
    });
    expect(() => chooseLayout(value!.sources[0]!, twice.store)).toThrow(
      /ESP0503.*encoder\.layer\.0\.output\.dense\.bias.*vit\.layers\.0\.mlp\.fc2\.bias.*under another name|ESP0503.*vit\.layers\.0\.mlp\.fc2\.bias.*under another name/,
    );
  });

  test('a field of preprocessing that nobody knows is refused, unless it is off; what changes no picture is passed over', async () => {
    const off = { do_other: false, new_list: [], new_object: {}, nothing: null };
    const labels = { do_reduce_labels: true, _processor_class: null, transformers_version: '4.9' };
    expect((await openWith({}, { ...off, ...labels })).warnings).toEqual([]);
    for (const field of ['some_new_thing', 'size_divisor', 'max_num_patches', 'use_square_size'])
      await expect(openWith({}, { [field]: 3 })).rejects.toThrow(
        new RegExp(`ESP0509.*${field} = 3.*does not know, so what it does to pictures would be left out`),
      );
  });

  test('the names of transformers 4, 5 and a bare ViTModel are one tensor’s', async () => {
    const c = await open(SMALL);
    const { value } = elaborate(
      parse('spec.peft', 'use std\nmodel M {\n  base = vit_auto() from "f"\n  head = classify(base, classes: 2)\n}\n')
        .file,
      { readFile: () => undefined, facts: () => c.facts },
    );
    const { huggingface } = value!.sources[0]!.layouts;
    const of = (tensor: string) => huggingface!.filter((n) => [n.tensor, ...(n.also ?? [])].includes(tensor));
    const query = [
      'vit.encoder.layer.0.attention.attention.query.weight',
      'encoder.layer.0.attention.attention.query.weight',
    ];
    const v5 = ['vit.layers.0.attention.q_proj.weight', 'layers.0.attention.q_proj.weight'];
    for (const name of [...query, ...v5]) {
      expect(of(name)).toEqual([
        { param: 'base.blocks.0.attn.qkv.weight', rows: [0, 8], tensor: query[0], also: [query[1], ...v5] },
      ]);
    }
    expect(of('classifier.bias')).toEqual([{ param: 'head.fc.bias', tensor: 'classifier.bias' }]);
  });
});

test('a configuration with other fields keeps its numbers as they were written: Python tells 1.0 from 1', async () => {
  const text =
    '{"a": 1.0, "b": 1e-12, "c": "x 1.0 \\" 2.50", "d": [1, 2.50, {"e": -0.0}], "z": 12345678901234567890, "gone": 1.0}';
  const file = memorySource('config.json', new TextEncoder().encode(text));
  const changed = await withOtherFields(file, ({ gone, ...rest }) => ({ ...rest, n: 2 }));
  expect(changed.replace(/\s+/g, ' ').trim()).toBe(
    '{ "a": 1.0, "b": 1e-12, "c": "x 1.0 \\" 2.50", "d": [ 1, 2.50, { "e": -0.0 } ], "z": 12345678901234567890, "n": 2 }',
  );
});

describe('what is no checkpoint', () => {
  test.each([
    ['a pickle of nobody', { 'config.json': '{"model_type":"vit"}', 'pytorch_model.bin': 'x' }, 'ESP1280'],
    [
      'weights of another name',
      { 'config.json': '{"model_type":"vit"}', 'w.pth': 'x' },
      'name the file itself (w.pth)',
    ],
    ['nothing', {}, 'neither config.json nor adapter_config.json'],
    ['a folder of weights', { 'w.safetensors': 'x' }, 'name the file itself'],
    ['broken JSON', { 'config.json': '{' }, 'not JSON'],
  ])('%s', async (_, files, words) => {
    await expect(openCheckpoint(memoryFolder('f', files as unknown as Record<string, string>))).rejects.toThrow(words);
  });

  test('what torch.save wrote', async () => {
    const zip = Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0);
    await expect(openCheckpoint(memorySource('m.pt', zip))).rejects.toThrow(/ESP1280.*cut off/);
  });

  test('a path that leads nowhere', async () => {
    await expect(openCheckpointAt('test/none')).rejects.toThrow('ESP0501');
  });
});
