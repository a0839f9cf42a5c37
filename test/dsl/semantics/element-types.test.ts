/** Inputs and parameters that are whole numbers or truth, inputs that are one for all samples, and models with several results. */
import { describe, expect, test } from 'vitest';
import { loadSources } from '../../../src/formats/checkpoint.js';
import { memorySource } from '../../../src/formats/tensors/bytes.js';
import { storeTensor } from '../../../src/formats/tensors/elements.js';
import { encodeSafetensors } from '../../../src/formats/tensors/safetensors.js';
import { openSafetensors } from '../../../src/formats/tensors/store.js';
import { showType } from '../../../src/ir/ops/shapes.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { DType, TensorType } from '../../../src/ir/types.js';
import { expectOne } from '../marked.js';
import { formatted } from '../syntax/support.js';
import { good, PATH, run, wrongs } from './helper.js';

const LOOKED_UP = `backbone words(count: int) {
  place = param i32[count] zeros
  known = param bool[count] zeros
  vectors = param [count, 2] zeros
  forward(ids: i32[b, 3], shift: []) {
    picked = gather(place, ids)
    {found: gather(vectors, picked) + shift, hit: gather(known, ids), first: place}
  }
}

model M {
  base = words(4)
}
`;

test('whole numbers, truth, an input without samples, and a result for each field', () => {
  const e = good(LOOKED_UP);
  expect(e.inputs.map((i) => showType(i.type))).toEqual(['i32[b,3]', 'f32[]']);
  expect([...e.module.params.values()].map((p) => `${p.name} ${showType(p.type)} ${p.role}`)).toEqual([
    'base.place i32[4] frozen',
    'base.known bool[4] frozen',
    'base.vectors f32[4,2] frozen',
  ]);
  const out = run(
    e,
    { ids: tensor([1, 3], [0, 2, 3], 'i32'), shift: tensor([], [0.5]) },
    {
      'base.place': tensor([4], [3, 2, 1, 0], 'i32'),
      'base.known': tensor([4], [1, 0, 0, 1], 'bool'),
      'base.vectors': tensor([4, 2], [0, 1, 2, 3, 4, 5, 6, 7]),
    },
  );
  expect([...out.keys()]).toEqual(['found', 'hit', 'first']);
  expect([...out.get('found')!.data]).toEqual([6.5, 7.5, 2.5, 3.5, 0.5, 1.5]);
  expect([...out.get('hit')!.data]).toEqual([1, 0, 1]);
  expect([...out.get('first')!.data]).toEqual([3, 2, 1, 0]);
});

test('they are formatted as they are written', () => {
  expect(formatted(LOOKED_UP)).toBe(LOOKED_UP);
  // In parentheses too, and over lines.
  expect(formatted(LOOKED_UP.replace('{found', '({found').replace('place}', 'place})'))).toBe(LOOKED_UP);
  expect(formatted(LOOKED_UP.replace('{found', '{\n found').replace('place}', 'place\n}'))).toBe(LOOKED_UP);
  expect(
    formatted('module A() {\n p = frozen   param   i32 [ 4,2 ]  ones\n forward(x :  bool [b , 3],y) { x }\n}\n'),
  ).toBe('module A() {\n  p = frozen param i32[4, 2] ones\n  forward(x: bool[b, 3], y) { x }\n}\n');
});

test('two ends with a field of one name are told apart', () => {
  const text = `module A() {\n  forward(x: [b, 2]) { ({y: x + 1, z: x}) }\n}\nmodel M {\n  one = A()\n  two = A()\n}\n`;
  expect(
    good(text)
      .module.funcs.get('infer')!
      .results.map((r) => r.name),
  ).toEqual(['y', 'z', 'two_y', 'two_z']);
});

const mod = (body: string, forward = 'x', params = 'x: [k, 4]') =>
  `module A() {\n  ${body}\n  forward(${params}) { ${forward} }\n}\nmodel M {\n  base = A()\n}\n`;

describe('what is refused', () => {
  test.each([
    ['ESP0210', /element type.*f64/, mod('p = param «f64»[4] zeros')],
    ['ESP0210', /element type.*int/, mod('', 'x', 'x: «int»[k, 4]')],
    ['ESP0314', /drawn numbers.*i32/, mod('p = param i32[4] «normal(0.1)»')],
    ['ESP0314', /the number 0\.5/, mod('p = param i32[4] «0.5»')],
    ['ESP0314', /the number -1/, mod('p = param u32[4] «(-1)»')],
    ['ESP0314', /the start of `p`.*f32.*i32/, mod('p = param i32[4] «table(i < 4: 0.5 * i)»')],
    [
      'ESP0302',
      /takes ids: i32\[k, 4\].*f32\[b, 4\]/,
      mod('inner = B()', 'inner(«x»)').replace(
        'module A',
        'module B() {\n  forward(ids: i32[k, 4]) { ids }\n}\nmodule A',
      ),
    ],
    ['ESP0205', /`y` of the result of `base`.*a tensor/, mod('', '«({y: "a"})»')],
    [
      'ESP0314',
      /`base.p`.*what is trained is f32/,
      `${mod('p = param i32[4] zeros').replace('A()\n}\n', 'A()\n  tune «base.p»\n}\n')}`,
    ],
  ] as const)('%s %s', (code, words, text) => {
    expectOne(text, code, words, PATH, wrongs);
  });

  test('an adapter that would train whole numbers', () => {
    const text = `adapter a() on base: Linear(in -> out) {\n  p = param «i32»[out] zeros\n  forward(x) { base(x) + cast(p, f32) }\n}\nmodule A() {\n  fc = Linear(4 -> 4)\n  forward(x: [b, 4]) { fc(x) }\n}\nmodel M {\n  base = A()\n  adapt base.fc with a()\n}\n`;
    expectOne(text, 'ESP0314', /what is trained is f32/, PATH, wrongs);
    expect(wrongs(text.replace(/[«»]/g, '').replace('param i32', 'frozen param i32'))).toEqual([]);
  });
});

test('a module that is tuned keeps its whole numbers as they are', () => {
  const e = good(
    mod('p = param i32[4] zeros\n  q = param [4] ones', 'q * x + cast(p, f32)').replace(
      'A()\n}\n',
      'A()\n  tune base\n}\n',
    ),
  );
  expect([...e.module.params.values()].map((p) => p.role)).toEqual(['frozen', 'trainable']);
});

describe('whole numbers of files', () => {
  const load = async (type: TensorType, stored: Parameters<typeof storeTensor>) => {
    const bytes = encodeSafetensors(new Map([['p', storeTensor(...stored)]]));
    const store = await openSafetensors(memorySource('f.safetensors', bytes));
    const source = {
      location: 'f',
      kind: 'tune',
      params: ['p'],
      layouts: { own: [{ param: 'p', tensor: 'p' }] },
    } as const;
    const checkpoint = {
      kind: 'safetensors',
      name: 'f',
      facts: {},
      warnings: [],
      store,
      close: async () => {},
    } as const;
    return (await loadSources([source], checkpoint, { types: new Map([['p', type]]) })).get('p')!;
  };
  const of = (dtype: DType): TensorType => ({ dtype, shape: [2] });

  test.each([
    ['i32', 'u32', [0, 2147483647]],
    ['u32', 'i32', [0, 5]],
    ['bool', 'u32', [0, 1]],
    ['i32', 'bool', [1, 0]],
  ] as const)('%s of %s', async (dtype, stored, data) => {
    const found = await load(of(dtype), [tensor([2], data, stored)]);
    expect([found.type.dtype, ...found.data]).toEqual([dtype, ...data]);
  });

  test.each([
    ['i32', 'u32', [0, 2147483648]],
    ['u32', 'i32', [0, -1]],
    ['bool', 'i32', [0, 2]],
  ] as const)('not %s of %s beyond it', async (dtype, stored, data) => {
    await expect(load(of(dtype), [tensor([2], data, stored)])).rejects.toThrow(`ESP0505`);
  });

  test('not of floats, nor floats of them', async () => {
    await expect(load(of('i32'), [tensor([2], [0, 1], 'f32')])).rejects.toThrow('stored as F32, the model has i32');
    await expect(load(of('f32'), [tensor([2], [0, 1], 'i32')])).rejects.toThrow('stored as I32, the model has f32');
  });
});
