/** What program.json may not say, two of each kind: every check has programs that only it refuses, so that one that is taken out is noticed. */
import { describe, expect, test } from 'vitest';
import { ProgramFileError } from '../../runtime/errors.js';
import { checkProgram, parseProgram } from '../../runtime/program/check.js';
import type { BufferRef, Dispatch, Entry, Program } from '../../runtime/program/program.js';
import { tinyProgram } from './program.js';

const whole = tinyProgram({ samples: 2 }).program;
const [one] = whole.entries as [Entry];

/** The program with its entry changed. */
const withEntry = (change: Partial<Entry>): object => ({ ...whole, entries: [{ ...one, ...change }] });

/** The same with a dispatch changed. */
const withDispatch = (at: number, change: Partial<Dispatch>): object =>
  withEntry({ dispatches: one.dispatches.map((d, i) => (i === at ? { ...d, ...change } : d)) });

/** The same with a binding changed. */
const withBinding = (at: number, binding: number, ref: object): object =>
  withDispatch(at, {
    bindings: one.dispatches[at]!.bindings.map((b, i) => (i === binding ? (ref as BufferRef) : b)),
  });

const { kernels, weights, files, golden } = whole as Required<Program>;

test('the program that all others are made of is right', () => {
  expect(checkProgram(whole)).toEqual(whole);
  expect(parseProgram(JSON.stringify(whole))).toEqual(whole);
});

describe('refuses', () => {
  test.each<[kind: string, programs: readonly unknown[], message: RegExp]>([
    ['what is no program', [null, 7, 'program', [], { ...whole, format: undefined }], /^.*is not an Espalier program/],
    [
      'another version',
      [
        { ...whole, version: 5 },
        { ...whole, version: 8 },
        { ...whole, version: '7' },
      ],
      /has version [578]; this runtime reads version 7/,
    ],
    [
      'no version',
      [
        { ...whole, version: undefined },
        { ...whole, version: { toString: 3 } },
      ],
      /has no version number/,
    ],
    [
      'unknown fields',
      [
        { ...whole, more: 1 },
        { ...whole, summary: { ...whole.summary, more: 1 } },
      ],
      /unknown field `(summary\.)?more`/,
    ],
    [
      'a wrong form',
      [
        { ...whole, kernels: {} },
        { ...whole, entries: [] },
      ],
      /malformed at `(kernels|entries)`/,
    ],
    [
      'values of a wrong kind, of which it shows the beginning',
      [
        { ...whole, name: 7 },
        { ...whole, weightFiles: 'x'.repeat(200) },
      ],
      /malformed at `(name|weightFiles)`: expected (string|Array), found (7|"x{79}\.\.\.)$/,
    ],
    [
      'weights of one name',
      [
        { ...whole, weights: [...weights, weights[0]!] },
        { ...whole, weights: weights.map((w) => ({ ...w, name: 'a' })) },
      ],
      /names the weight `a` twice/,
    ],
    [
      'files of one name',
      [
        { ...whole, files: [...files, files[0]!] },
        { ...whole, files: [files[1]!, ...files] },
      ],
      /names the file `.*` twice/,
    ],
    [
      'an entry that is there twice',
      [
        { ...whole, entries: [one, one] },
        { ...whole, entries: [one, { ...one, name: 'step' }, { ...one, name: 'step' }] },
      ],
      /names the entry `(infer|step)` twice/,
    ],
    [
      'an entry `prepare` that a load cannot call',
      [
        { ...whole, entries: [one, { ...one, name: 'prepare' }] },
        { ...whole, entries: [{ ...one, name: 'prepare' }, one] },
      ],
      /its entry `prepare` has inputs/,
    ],
    [
      'weights that nothing prepares',
      [
        { ...whole, weights: weights.map((w) => ({ ...w, start: 'prepare' })) },
        {
          ...whole,
          weights: weights.map((w) => ({ ...w, start: 'prepare' })),
          entries: [one, { ...one, name: 'prepare', inputs: [], dispatches: [] }],
        },
      ],
      /the weight `.*` starts as `prepare` writes it, which does not/,
    ],
    [
      'weights in others that have no buffer',
      [
        { ...whole, weights: weights.map((w) => ({ ...w, within: { weight: 'nowhere', offset: 0 } })) },
        { ...whole, weights: weights.map((w) => ({ ...w, within: { weight: w.name, offset: 0 } })) },
      ],
      /lies in `.*`, which has no buffer/,
    ],
    [
      'weights that reach out of others, or begin where no binding can',
      [256, 4].map((offset) => ({
        ...whole,
        weights: [weights[0]!, { ...weights[1]!, within: { weight: weights[0]!.name, offset } }],
      })),
      /lies outside of `.*`, or where no binding can begin/,
    ],
    [
      'updates that take effect where there is nothing to wait for, or to copy',
      [
        withEntry({ updates: [{ weight: weights[0]!.name, copied: true, after: 99 }] }),
        withEntry({ updates: [{ weight: weights[0]!.name, copied: false, after: 1 }] }),
      ],
      /updates the weight `.*` after (99|1) dispatches/,
    ],
    [
      'updates of what is not there',
      [true, false].map((copied) => withEntry({ updates: [{ weight: 'nowhere', copied }] })),
      /updates the weight `nowhere`, which is not there/,
    ],
    [
      'two updates of a weight',
      [true, false].map((copied) =>
        withEntry({
          updates: [
            { weight: weights[0]!.name, copied },
            { weight: weights[0]!.name, copied: false },
          ],
        }),
      ),
      /updates a weight twice/,
    ],
    [
      'golden rows of a run that changes a state',
      [true, false].map((copied) => withEntry({ updates: [{ weight: weights[0]!.name, copied }] })),
      /has a golden input, and running `infer` changes states/,
    ],
    [
      'golden rows of what holds no samples',
      [
        {
          ...withEntry({ outputs: one.outputs.map((t) => ({ ...t, samples: false })) }),
          golden: { ...golden, rows: 2 },
        },
        { ...withEntry({ inputs: one.inputs.map((t) => ({ ...t, samples: false })) }), golden: { ...golden, rows: 3 } },
      ],
      /has [23] golden rows, and `.*` is one for all/,
    ],
    [
      'samples without an axis',
      [
        withEntry({ outputs: one.outputs.map((t) => ({ ...t, shape: [] })) }),
        withEntry({ inputs: one.inputs.map((t) => ({ ...t, shape: [] })) }),
      ],
      /holds samples and has no axis/,
    ],
    [
      'a program without `infer` that has golden rows',
      [withEntry({ name: 'other' }), withEntry({ name: 'step' })],
      /has a golden input and no entry `infer`/,
    ],
    [
      'writes to what kernels update beside it, or not at all',
      ['a', 'b'].map((weight) => ({
        ...withEntry({ updates: [{ weight, copied: weight === 'a' }] }),
        kernels: kernels.map((k) => ({ ...k, bindings: k.bindings.map(() => 'read_write') })),
      })),
      /writes to the weight `a`, which its entry does not update in place/,
    ],
    [
      'files that are not listed',
      [
        { ...whole, files: files.filter((f) => f.name !== 'shift.wgsl') },
        { ...whole, files: files.filter((f) => f.name !== whole.weightFiles[0]) },
        { ...whole, files: files.filter((f) => !f.name.startsWith('golden')) },
      ],
      /names a file `(shift\.wgsl|weights.*|golden\.safetensors)` that its list of files lacks/,
    ],
    [
      'a file of weights twice',
      [
        { ...whole, weightFiles: [whole.weightFiles[0]!, whole.weightFiles[0]!] },
        { ...whole, weightFiles: [...whole.weightFiles, ...whole.weightFiles] },
      ],
      /names a file of weights twice/,
    ],
    [
      'kernels without a portable variant',
      kernels.map((_, at) => ({
        ...whole,
        kernels: kernels.map((k, i) =>
          i === at ? { ...k, variants: k.variants.map((v) => ({ ...v, requires: { subgroupSize: 8 } })) } : k,
        ),
      })),
      /kernel `(scale|shift)` has no portable variant/,
    ],
    [
      'golden tensors of other entries',
      [
        { ...whole, golden: { ...golden, inputs: [] } },
        { ...whole, golden: { ...golden, outputs: [...golden.outputs, 'more'] } },
      ],
      /other inputs or outputs than the entries|malformed at `golden/,
    ],
    [
      'golden tensors of one name',
      [
        { ...whole, golden: { ...golden, outputs: golden.inputs } },
        { ...whole, golden: { ...golden, inputs: golden.outputs } },
      ],
      /names golden tensor `.*` twice/,
    ],
    [
      'inputs or outputs of one name',
      [
        withEntry({ inputs: [one.inputs[0]!, one.inputs[0]!] }),
        withEntry({ outputs: [one.outputs[0]!, one.outputs[0]!] }),
      ],
      /names the (input `x`|output `logits`) twice/,
    ],
    [
      'slabs whose samples begin where no binding can',
      [
        withEntry({ slabs: [{ bytes: 272, samples: true }] }),
        withEntry({ slabs: [...one.slabs, { bytes: 4, samples: true }] }),
      ],
      /slab [01] has (272|4) bytes for each sample, no multiple of 256/,
    ],
    [
      'slabs that are larger than anything',
      [
        withEntry({ slabs: [{ bytes: 2 ** 53 - 256, samples: true }] }),
        withEntry({ samples: 2 ** 50, slabs: [{ bytes: 512, samples: false }] }),
      ],
      /slab 0 is larger than anything|is larger than anything/,
    ],
    [
      'counts of workgroups that are none',
      [
        withDispatch(0, { workgroups: [{ tiles: [0, 1, 1] }] }),
        withDispatch(1, { workgroups: [{ tiles: [{ samples: 1, by: 0 }, 1, 1] }] }),
      ],
      /malformed at `entries/,
    ],
    [
      'tensors that are larger than anything',
      [
        withEntry({ inputs: [{ ...one.inputs[0]!, shape: [1, 2 ** 31, 2 ** 31] }] }),
        withEntry({ outputs: [{ ...one.outputs[0]!, shape: [1, 2 ** 31, 2 ** 31] }] }),
      ],
      /is larger than anything/,
    ],
    [
      'kernels that are not there',
      [withDispatch(0, { kernel: 2 }), withDispatch(1, { kernel: 99 })],
      /names kernel (2|99) of 2/,
    ],
    [
      'other bindings than the kernel has',
      [
        withDispatch(0, { bindings: one.dispatches[0]!.bindings.slice(1) }),
        withDispatch(1, { bindings: [...one.dispatches[1]!.bindings, one.dispatches[1]!.bindings[0]!] }),
      ],
      /dispatch [01] \((scale|shift)\) does not fit kernel `(scale|shift)`/,
    ],
    [
      'other counts of workgroups than the kernel has variants',
      [
        withDispatch(0, { workgroups: [] }),
        withDispatch(1, {
          workgroups: [{ tiles: [1, 1, 1] }, { tiles: [1, 1, 1] }],
        }),
      ],
      /does not fit kernel `(scale|shift)`|malformed at `entries/,
    ],
    [
      'inputs and arenas that are not there',
      [
        withBinding(0, 0, { kind: 'input', index: 1, offset: 0, bytes: 16 }),
        withBinding(0, 2, { kind: 'arena', slab: 1, offset: 256, bytes: 16 }),
      ],
      /binds an (input|arena) that is not there/,
    ],
    [
      'weights that are not there',
      [
        withBinding(0, 1, { kind: 'weight', name: 'c', offset: 0, bytes: 16 }),
        withBinding(1, 1, { kind: 'weight', name: '', offset: 0, bytes: 16 }),
      ],
      /binds a weight that is not there|malformed at `entries/,
    ],
    [
      'bytes past a buffer',
      [
        withBinding(0, 1, { kind: 'weight', name: 'a', offset: 0, bytes: 32 }),
        withBinding(0, 0, { kind: 'input', index: 0, offset: 256, bytes: 16 }),
      ],
      /binds bytes (0\.\.32|256\.\.272) of the 16 of its (weight|input)/,
    ],
    [
      'places that no device can bind',
      [
        withBinding(0, 2, { kind: 'arena', slab: 0, offset: 128, bytes: 16 }),
        withBinding(1, 0, { kind: 'arena', slab: 0, offset: 4, bytes: 16 }),
      ],
      /binds bytes (128\.\.144|4\.\.20) of the 512 of its arena|malformed at `entries/,
    ],
    [
      'kernels that write to weights',
      [
        withBinding(0, 2, { kind: 'weight', name: 'a', offset: 0, bytes: 16 }),
        withBinding(1, 0, { kind: 'weight', name: 'b', offset: 0, bytes: 16 }),
      ],
      /writes to the weight `[ab]`/,
    ],
  ])('%s', (_, programs, message) => {
    expect(programs.length).toBeGreaterThan(1);
    for (const program of programs) {
      const refused = (): unknown => checkProgram(program);
      expect(refused).toThrow(ProgramFileError);
      expect(refused).toThrow(message);
    }
  });

  test('text that is no JSON', () => {
    for (const text of ['', '{', 'program']) expect(() => parseProgram(text)).toThrow(/is not JSON/);
  });
});
