/** What `export --onnx` says beside the graph, read back: a file that is a base again has its classes and takes the same pictures. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { compile, decodeImage, exportOnnx, importModel, writeCompiled, writeImported } from '../../../src/api/index.js';
import { writeOnnx } from '../../../src/api/node/write.js';
import { openCheckpoint } from '../../../src/formats/checkpoint.js';
import { openCheckpointAt } from '../../../src/formats/node/open.js';
import { memorySource } from '../../../src/formats/tensors/bytes.js';
import { host, scratch, type TextSpec } from '../../api/support.js';
import { FASHION } from '../../cli/support.js';
import { withProgram } from '../../e2e/support.js';
import { bytesOf, relu, value } from '../../formats/onnx/support.js';

const folder = scratch();
const file = join(folder, 'digits.onnx');
const spec = (options = '', more = ''): TextSpec => ({
  text: `use std\n\nmodel Digits {\n  base = onnx(${options}) from "./digits.onnx"\n${more}}\n`,
  path: join(folder, 'digits.peft'),
});
const described = async (of: TextSpec | string) => {
  const { program } = await compile(of, { host, golden: false });
  return { labels: program.labels, preprocess: program.preprocess };
};

beforeAll(async () => {
  const { model } = await exportOnnx(join(FASHION, 'karst.peft'), { host });
  await writeOnnx({ model }, file);
});

describe('a file that was exported', () => {
  test('has the classes and the preprocessing of the model, and gives its logits of a picture', async () => {
    const original = join(FASHION, 'karst.peft');
    expect(await described(spec())).toEqual(await described(original));
    const picture = await decodeImage(join(FASHION, 'images/digits/5/00015.png'));
    const run = async (of: TextSpec | string, name: string) => {
      await writeCompiled(await compile(of, { host, golden: false }), join(folder, name));
      return withProgram(join(folder, name), async (session) => {
        const { outputs, classes } = await session.run({ image: picture });
        return { logits: Object.values(outputs)[0] as Float32Array, likeliest: classes![0]!.label };
      });
    };
    const [before, after] = [await run(original, 'before'), await run(spec(), 'after')];
    expect(after.likeliest).toBe(before.likeliest);
    expect(after.logits).toHaveLength(10);
    for (const [i, x] of after.logits.entries()) expect(x).toBeCloseTo(before.logits[i]!, 4);
  });

  test('keeps them as a spec, which is the same program', async () => {
    const model = await importModel(file, { host });
    const written = await writeImported(model, folder);
    await model.close();
    const text = readFileSync(written.spec, 'utf8').replace(/model \w+ \{/, 'model Digits {');
    const [own, direct] = await Promise.all([
      compile({ text, path: written.spec }, { host, golden: false }),
      compile(spec(), { host, golden: false }),
    ]);
    for (const [name, bytes] of own.files) expect(direct.files.get(name), name).toEqual(bytes);
  });

  test('has others where the spec says so', async () => {
    const names = Array.from({ length: 10 }, (_, i) => `class \\"${i}\\"`);
    const said = spec(`classes: [${names.map((n) => `"${n}"`).join(', ')}], preprocess: [resize([28, 28])]`);
    expect(await described(said)).toEqual({
      labels: Array.from({ length: 10 }, (_, i) => `class "${i}"`),
      preprocess: [{ step: 'resize', size: [28, 28], filter: 'bilinear' }],
    });
    // Which colors pictures have is said beside the file's steps, not in their place; an export says it again, and an import reads it.
    const managed = await exportOnnx(spec('preprocess: [colour(managed)]'), { host });
    const steps = [{ step: 'colour', rule: 'managed' }, ...(await described(spec())).preprocess!];
    const again = join(folder, 'managed.onnx');
    await writeOnnx({ model: managed.model }, again);
    expect(
      (await described({ ...spec(), text: spec().text.replace('digits.onnx', 'managed.onnx') })).preprocess,
    ).toEqual(steps);
    const imported = await importModel(again, { host });
    expect(imported.spec).toMatch(/preprocess = colour\(managed\),\n/);
    await imported.close();
    await expect(compile(spec('classes: ["one"]'), { host })).rejects.toThrow(
      /ESP1233: `classes`, 1 names, does not fit the graph: the first result of .*digits\.onnx has 2 axes and is of 10/,
    );
  });
});

describe('metadata', () => {
  const open = (metadata: Readonly<Record<string, string>>, producer_name = 'espalier') => {
    const metadata_props = Object.entries(metadata).map(([key, text]) => ({ key, value: text }));
    const graph = { input: [value('x', ['n', 3, 4, 4])], output: [value('y', ['n', 3, 4, 4])] };
    return openCheckpoint(memorySource('m.onnx', bytesOf(relu(graph, { producer_name, metadata_props }))));
  };

  test('of other producers mean something else', async () => {
    expect((await open({ labels: 'cat, dog', preprocess: 'none' }, 'pytorch')).facts).toEqual({});
    expect((await open({ labels: '["cat"]' })).facts).toEqual({ labels: ['cat'] });
  });

  test.each([
    [{ labels: 'cat, dog' }, 'ESP1236: m.onnx: `labels` of its metadata is not a list of names'],
    [{ labels: '[]' }, '`labels` of its metadata is not a list of names'],
    [{ labels: '[1]' }, '`labels` of its metadata is not a list of names'],
    [{ preprocess: '[{"step":"blur"}]' }, '`preprocess` of its metadata is not a list of steps'],
    [{ preprocess: '{}' }, '`preprocess` of its metadata is not a list of steps'],
  ])('%j', async (metadata, message) => {
    await expect(open(metadata)).rejects.toThrow(message);
  });

  test.each([
    ['[{"step":"resize","size":[8,8],"filter":"bilinear"}]', 'makes pictures of 8 x 8, and the model takes 4 x 4'],
    ['[{"step":"normalize","mean":[0],"std":[1]}]', 'is for pictures of 1 channels, and the model takes 3'],
  ])('steps to another picture: %s', async (preprocess, message) => {
    const { facts } = await open({ preprocess });
    const { processor } = facts;
    expect(() => processor!.steps(processor!, 3, [4, 4])).toThrow(message);
  });
});

test('a file with its preprocessing inside says none', async () => {
  const { model } = await exportOnnx(join(FASHION, 'karst.peft'), {
    host,
    picture: { height: 40, width: 40, layout: 'nchw' },
  });
  expect(Object.keys(model.metadata)).toEqual(['labels']);
  await writeOnnx({ model }, join(folder, 'inside.onnx'));
  expect(Object.keys((await openCheckpointAt(join(folder, 'inside.onnx'))).facts)).toEqual(['labels']);
});
