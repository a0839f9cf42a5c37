/** A few of what `npm run check:kills` does many of, and every place that a kill may hit, hit on purpose. On whatever GPU driver there is. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockName } from '../../src/api/node/lock.js';
import { temporary } from '../../src/formats/node/leftovers.js';
import { cli } from '../cli/support.js';
import { attempt, campaign, differences, leftBy } from './kills.js';

const folder = mkdtempSync(join(tmpdir(), 'espalier-kills-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a process that trains', { timeout: 600_000 }, () => {
  const whole = join(folder, 'whole');
  const spec = join(folder, 'small.peft');
  beforeAll(async () => {
    const { kills, runs, failed } = await campaign(folder, { kills: 3, seed: 2 });
    expect(failed).toEqual([]);
    expect(kills).toBe(3);
    expect(runs.flatMap((run) => run.differ)).toEqual([]);
  }, 600_000);

  it('keeps checkpoints inside of an epoch', () => {
    const names = readdirSync(whole).filter((name) => name.startsWith('checkpoint'));
    // 23 steps an epoch: the last of three is 69.
    expect(names).toEqual([
      'checkpoint-0000060.safetensors',
      'checkpoint-0000065.safetensors',
      'checkpoint-0000069.safetensors',
    ]);
  });

  it('finishes its step at Ctrl-C, saves it, and says how to go on', async () => {
    const out = join(folder, 'interrupted');
    const { code, said, killed } = await attempt(spec, out, { events: 10, milliseconds: 0, signal: 'SIGINT' });
    expect({ code, killed }).toEqual({ code: 0, killed: false });
    expect(said).toContain('stopping after this step; once more ends at once');
    const events = readFileSync(join(out, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.at(-1)).toMatchObject({ kind: 'end', why: 'stopped' });
    const steps = events.filter((e) => e.kind === 'step').length;
    expect(steps).toBeLessThan(69);
    expect(readdirSync(out)).toContain(`checkpoint-${String(steps).padStart(7, '0')}.safetensors`);
    expect((await attempt(spec, out)).code).toBe(0);
    const other = differences(leftBy(whole), leftBy(out)).filter((n) => !n.startsWith('checkpoint'));
    expect(other).toEqual([]);
    expect(leftBy(out).get('checkpoint-0000069.safetensors')).toBe(leftBy(whole).get('checkpoint-0000069.safetensors'));
  });

  /** The folder as it is after some steps, with what a kill at some instant has left besides. */
  async function goesOn(name: string, kill: (out: string) => void): Promise<void> {
    const out = join(folder, name);
    cpSync(whole, out, { recursive: true });
    // As it was after step 67.
    rmSync(join(out, 'checkpoint-0000069.safetensors'));
    rmSync(join(out, 'predictions.json'));
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').split('\n');
    writeFileSync(join(out, 'metrics.jsonl'), `${lines.slice(0, 69).join('\n')}\n`);
    kill(out);
    const { code, err } = await cli('train', spec, '-o', out, '--resume');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    // What older checkpoints were removed meanwhile is made no more.
    const [a, b] = [leftBy(whole), leftBy(out)];
    expect(differences(a, b).filter((n) => n !== 'checkpoint-0000060.safetensors')).toEqual([]);
    expect(readdirSync(out).filter((n) => n.endsWith('.tmp') || n.startsWith('lock'))).toEqual([]);
  }
  const half = (from: string): Buffer => {
    const bytes = readFileSync(from);
    return bytes.subarray(0, bytes.length / 2);
  };
  // Of this machine, and of no process: numbers of processes end below.
  const dead = 999999999;
  const unfinished = (path: string): string => temporary(path).replace(`-${process.pid}-`, `-${dead}-`);

  it('goes on after it was killed in a line of the metrics and in a checkpoint, with the lock of the dead process', () =>
    goesOn('lines', (out) => {
      appendFileSync(join(out, 'metrics.jsonl'), '{"kind":"step","step":67,"ep');
      writeFileSync(
        unfinished(join(out, 'checkpoint-0000069.safetensors')),
        half(join(whole, 'checkpoint-0000065.safetensors')),
      );
      // One that is not written again.
      writeFileSync(unfinished(join(out, 'checkpoint-0000067.safetensors')), 'half');
      writeFileSync(unfinished(join(out, 'adapter.safetensors')), 'half');
      writeFileSync(join(out, lockName(dead)), '');
    }));

  it('goes on from the last checkpoint that is whole, with half a letter in the metrics and without its spec', () =>
    goesOn('damaged', (out) => {
      appendFileSync(join(out, 'metrics.jsonl'), Buffer.of(0x7b, 0xc3));
      writeFileSync(join(out, 'checkpoint-0000066.safetensors'), '');
      writeFileSync(join(out, 'checkpoint-0000067.safetensors'), half(join(whole, 'checkpoint-0000065.safetensors')));
      rmSync(join(out, 'spec.peft'));
    }));

  it('begins where one was killed before it had begun', async () => {
    const out = join(folder, 'unborn');
    cpSync(whole, out, { recursive: true });
    for (const name of readdirSync(out)) rmSync(join(out, name));
    writeFileSync(unfinished(join(out, 'run.json')), '{"format":');
    writeFileSync(join(out, lockName(dead)), '');
    expect((await cli('train', spec, '-o', out)).code).toBe(0);
    expect(differences(leftBy(whole), leftBy(out))).toEqual([]);
    expect(readdirSync(out).filter((n) => n.endsWith('.tmp') || n.startsWith('lock'))).toEqual([]);
  });

  it('says of a run that was killed before its spec was written that it cannot be compiled yet', async () => {
    const out = join(folder, 'no-spec-yet');
    cpSync(whole, out, { recursive: true });
    rmSync(join(out, 'spec.peft'));
    const { code, err } = await cli('compile', out, '-o', join(folder, 'compiled'));
    expect(err).toContain('[ESP1104]');
    expect(code).toBe(1);
    expect(existsSync(join(folder, 'compiled'))).toBe(false);
  });
});
