/** Entries that change states on a driver, through a session: twenty steps, with batches of other sizes, give what the interpreter computes. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../runtime/errors.js';
import { elements } from '../../runtime/program/check.js';
import { bytesFile } from '../../runtime/program/files.js';
import { loadUnsealed, type Session } from '../../runtime/session.js';
import type { TensorData } from '../../runtime/tensors.js';
import { WeightFiles } from '../../src/api/weight-files.js';
import { type Generated, generate } from '../../src/codegen/generate.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { Module, Tensor } from '../../src/ir/types.js';
import { type Choice, OPTIONS, type Runner } from './harness.js';
import { calls, ENTRIES, interpreted, learner, starts, statesOf, worst } from './states.js';
import { type Driver, withDriver } from './suite.js';

/** A session of a program that a test has generated, on a device of its own. */
export function sessionOf(
  run: Runner,
  g: Generated,
  data: (name: string) => Tensor,
  portable = false,
): Promise<Session> {
  const files = new WeightFiles(g);
  for (const name of files.missing()) files.put(name, data(name));
  const all = new Map<string, string | Uint8Array>([...g.files, ...files.files]);
  const open = async (name: string) => {
    const content = all.get(name)!;
    return bytesFile(typeof content === 'string' ? new TextEncoder().encode(content) : content);
  };
  const program = { ...g.program, weightFiles: [...files.files.keys()] };
  return loadUnsealed(program, { open }, { device: run.open.device, portable });
}

/** A tensor's elements as a session takes them. */
export const given = ({ type, data }: Tensor): TensorData =>
  type.dtype === 'i32' ? Int32Array.from(data) : new Float32Array(data);

const TOLERANCE = 1e-4;

export async function statesSuite(driver: Driver): Promise<void> {
  const module = learner();
  const g = generate(module, { ...OPTIONS, entries: ENTRIES, samples: 7 });
  const start = starts(module);
  await withDriver(driver, (run) => {
    const open = (portable = false): Promise<Session> => sessionOf(run, g, (name) => start.get(name)!, portable);

    describe('states', () => {
      it.each<Choice>(['best', 'portable'])('twenty steps, %s', async (choice) => {
        const session = await open(choice === 'portable');
        const wanted = interpreted(module);
        for (const [i, { entry, inputs }] of calls().entries()) {
          const args = Object.fromEntries([...inputs].map(([name, t]) => [name, given(t)]));
          const { outputs, shapes } = await session.call(entry, args);
          const found = new Map(
            Object.entries(outputs).map(([name, data]) => [name, tensor(shapes[name]!, data)] as const),
          );
          for (const [name, t] of wanted.given[i]!) expect(shapes[name], name).toEqual(t.type.shape);
          expect(worst(found, wanted.given[i]!).difference, `${i}: ${entry}`).toBeLessThan(TOLERANCE);
        }
        expect(worst(await held(session, module), wanted.states).difference).toBeLessThan(TOLERANCE);
        session.dispose();
      });

      it('are put back by whoever kept them', async () => {
        const session = await open();
        const [first] = calls();
        const args = Object.fromEntries([...first!.inputs].map(([name, t]) => [name, given(t)]));
        const before = await held(session, module);
        const one = await session.call('step', args);
        const two = await session.call('step', args);
        expect(two.outputs.loss![0]).not.toBe(one.outputs.loss![0]);
        const back = session.replace(Object.fromEntries([...before].map(([name, t]) => [name, given(t)])));
        // Asked for without waiting, and done after it.
        const again = session.call('step', args);
        await back;
        expect((await again).outputs.loss).toEqual(one.outputs.loss);
        session.dispose();
      });

      it('and passes take the memory that was planned, whatever is called first', async () => {
        const { device } = run.open;
        const create = device.createBuffer.bind(device);
        let alive = 0;
        device.createBuffer = (wanted) => {
          const buffer = create(wanted);
          const destroy = buffer.destroy.bind(buffer);
          alive += wanted.size;
          buffer.destroy = () => {
            alive -= wanted.size;
            return destroy();
          };
          return buffer;
        };
        const { entries, summary } = g.program;
        const most = ({ inputs }: (typeof entries)[number], samples: number) =>
          Object.fromEntries(
            inputs.map((t) => [t.name, new Float32Array(elements(t.shape) * (t.samples ? samples : 1))]),
          );
        try {
          for (const order of [entries, entries.toReversed()]) {
            const session = await open();
            // Where slabs grow, what was bound to them is made again by its next call.
            for (const entry of [...order, ...order]) await session.call(entry.name, most(entry, 7));
            expect(alive).toBe(summary.peakBytes);
            for (const entry of order) await session.call(entry.name, most(entry, 1));
            expect(alive).toBe(summary.peakBytes);
            session.dispose();
            expect(alive).toBe(0);
          }
        } finally {
          device.createBuffer = create;
        }
      });

      it('belong to their session', async () => {
        const [one, two] = [await open(), await open()];
        const inputs = calls()[0]!.inputs;
        const args = Object.fromEntries([...inputs].map(([name, t]) => [name, given(t)]));
        await one.call('step', args);
        expect(await two.read('count')).toEqual(Int32Array.of(0));
        expect(await one.read('count')).toEqual(Int32Array.of(1));
        one.dispose();
        await two.call('step', args);
        expect(await two.read('count')).toEqual(Int32Array.of(1));
        two.dispose();
        await expect(two.call('step', args)).rejects.toMatchObject({ code: 'ESP0709' });
      });

      it('calls that do not fit change nothing, and say why', async () => {
        const session = await open();
        const x = new Float32Array(20);
        const wanted = new Float32Array(6);
        const rate = Float32Array.of(0.1);
        const refused = async (call: () => Promise<unknown>, message: string): Promise<void> => {
          const error = await call().then(
            () => undefined,
            (e: unknown) => e,
          );
          expect(error).toBeInstanceOf(InputError);
          expect((error as InputError).message).toContain(message);
        };
        await refused(() => session.call('train'), 'the program has no entry `train`');
        await refused(() => session.call('step', { x, wanted }), 'the input `rate` is missing');
        await refused(() => session.call('step', { x, wanted, rate: x }), '`rate` has 20 elements, not 1 ([])');
        await refused(
          () => session.call('step', { x, wanted: x, rate }),
          '`wanted` has 20 elements, not a multiple of 3',
        );
        await refused(() => session.call('reset', { x }), 'the entry `reset` has no input `x`');
        await refused(
          () => session.call('step', { x: new Float32Array(80), wanted: new Float32Array(24), rate }),
          'the entry `step` takes 7 items at a time, given 8',
        );
        await refused(() => session.replace({ W: x }), '`W` has 20 elements, not 30 ([3,10])');
        await refused(() => session.replace({ count: x }), '`count` takes i32, given Float32Array');
        await refused(() => session.replace({ scale: new Float32Array(10) }), '`scale` is fixed in this program');
        await refused(() => session.replace({ W: new Float32Array(30), V: x }), 'the program has no parameter `V`');
        await refused(() => session.read('V'), 'the program has no parameter `V`');
        expect(worst(await held(session, module), statesOf(module, start)).difference).toBe(0);
        // More than a pass holds, where each gives its own result.
        const many = await session.call('infer', { x: new Float32Array(170) });
        expect(many.shapes.y).toEqual([17, 3]);
        session.dispose();
      });
    });
  });
}

/** All states as they are now. */
async function held(session: Session, module: Module): Promise<Map<string, Tensor>> {
  const found = new Map<string, Tensor>();
  for (const { name, role, type, parts } of module.params.values())
    if (role === 'state' && !parts) found.set(name, { type, data: await session.read(name) });
  return found;
}
