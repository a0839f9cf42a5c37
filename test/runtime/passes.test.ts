/** How a session splits what it is given into passes, and the memory that it makes for them. */
import { describe, expect, test, vi } from 'vitest';
import { InputError } from '../../runtime/errors.js';
import { load } from '../../runtime/session.js';
import { passesOf } from '../../runtime/tensors.js';
import { expected, type Tiny, tinyProgram } from './program.js';
import { failure, ramp, useDevice } from './sessions.js';

const on = useDevice();
const { withSession } = on;

describe('passes', () => {
  test('takes any number of items, in passes', () =>
    withSession(tinyProgram({ samples: 8 }), async (session) => {
      for (const items of [1, 2, 7, 8, 9, 21]) {
        const x = ramp(items);
        const { outputs, shapes } = await session.run({ tensors: { x } });
        expect(outputs.logits).toEqual(expected(x));
        expect(shapes.logits).toEqual([items, 4]);
      }
    }));

  test('splits items over as few passes as there can be, of nearly one size', () => {
    expect(passesOf(21, 8)).toEqual([
      { start: 0, count: 7 },
      { start: 7, count: 7 },
      { start: 14, count: 7 },
    ]);
    expect(passesOf(9, 8).map((p) => p.count)).toEqual([4, 5]);
    expect(passesOf(3, 8)).toEqual([{ start: 0, count: 3 }]);
    expect(passesOf(3, 1).map((p) => p.start)).toEqual([0, 1, 2]);
    expect(passesOf(0, 8)).toEqual([]);
  });

  test('a pass is never longer than the program or the session allows', async () => {
    const passes = (program: Tiny, samples: number | undefined, items: number): Promise<number[]> =>
      withSession(
        program,
        async (session) => {
          const counts: number[] = [];
          const write = vi.spyOn(on.device.queue, 'writeBuffer').mockImplementation(function (this: GPUQueue, ...args) {
            if (args[0].label === 'samples') counts.push((args[2] as Uint32Array)[0]!);
            return GPUQueue.prototype.writeBuffer.apply(this, args);
          });
          const { outputs } = await session.run({ tensors: { x: ramp(items) } });
          write.mockRestore();
          expect(outputs.logits).toEqual(expected(ramp(items)));
          return counts;
        },
        samples === undefined ? {} : { samples },
      );
    expect(await passes(tinyProgram({ samples: 8 }), undefined, 20)).toEqual([6, 7, 7]);
    expect(await passes(tinyProgram({ samples: 8 }), 3, 7)).toEqual([2, 2, 3]);
    expect(await passes(tinyProgram({ samples: 8 }), 100, 9)).toEqual([4, 5]);
    expect(await passes(tinyProgram(), 100, 2)).toEqual([1, 1]);
  });

  test.each([0, -1, 1.5, Number.NaN])('a pass of at most %d items is none', async (samples) => {
    const error = await failure(load(tinyProgram(), { device: on.device, samples }));
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toContain('`samples` is');
  });

  test('memory is made for the largest pass so far, and no more', async () => {
    const made: number[] = [];
    const create = vi.spyOn(on.device, 'createBuffer').mockImplementation(function (this: GPUDevice, d) {
      if (d.label === 'slab 0') made.push(d.size / 512);
      return GPUDevice.prototype.createBuffer.call(this, d);
    });
    await withSession(tinyProgram({ samples: 8 }), async (session) => {
      // The golden rows, one and three; what three took is given back.
      expect(made.splice(0)).toEqual([1, 3]);
      for (const items of [1, 1, 2, 8, 3, 20]) await session.run({ tensors: { x: ramp(items) } });
      expect(made).toEqual([1, 2, 8]);
    });
    create.mockRestore();
  });
});
