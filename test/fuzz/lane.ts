/** One worker process at a time, watched: what it does not survive, and what does not end, becomes an outcome like any other. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Case, encodeCase, type Outcome } from './case.js';
import { type Ended, type Limits, RESULTS, type Task } from './protocol.js';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
/** A worker is replaced after so many cases: peaks of memory are counted from its own. */
const RECYCLE = 20_000;

/** Processor seconds that a process has used, and whether it waits for something; undefined where the system does not say. */
function stateOf(pid: number): { cpu: number; sleeps: boolean } | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
    return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, sleeps: fields[0] === 'S' };
  } catch {
    return undefined;
  }
}

interface Running {
  index: number;
  kind: string;
  since: number;
  /** Of the process when the case began. */
  cpu: number;
  /** Since when the process has slept without using the processor, and how much it had used then. */
  asleep: { since: number; cpu: number };
}

function begin(index: number, kind: string, pid: number): Running {
  const since = Date.now();
  const cpu = stateOf(pid)?.cpu ?? 0;
  return { index, kind, since, cpu, asleep: { since, cpu } };
}

export class Lane {
  private child: ChildProcess | undefined;
  private ran = 0;
  private stderr = '';
  /** Takes the lines of the worker while a task is under way. */
  private hear: (line: string) => void = () => {};

  constructor(
    private readonly kinds: string,
    private readonly limits: Limits,
  ) {}

  /** Runs cases [from, to) of a seed; `on` hears of each one's end. */
  async range(
    seed: number,
    from: number,
    to: number,
    only: string | undefined,
    on: (ended: Ended) => void,
  ): Promise<void> {
    for (let at = from; at < to; ) {
      const task: Task = { seed, from: at, to, ...(only === undefined ? {} : { only }) };
      at = await this.task(task, (ended) => {
        on(ended);
        at = ended.index + 1;
      }).then((done) => (done ? to : at));
    }
  }

  /** What comes of one case. */
  async one(made: Case): Promise<Ended> {
    let result: Ended | undefined;
    await this.task({ case: encodeCase(made) }, (ended) => {
      result = { ...ended, kind: made.kind };
    });
    return result!;
  }

  stop(): void {
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }

  /** True when the worker did all of it; false when a case ended the worker, which `on` has heard. */
  private async task(task: Task, on: (ended: Ended) => void): Promise<boolean> {
    if (this.ran >= RECYCLE) this.stop();
    const child = this.child ?? (await this.start());
    return new Promise((resolve, reject) => {
      let running: Running | undefined;
      let hung = false;
      const timer = setInterval(() => {
        if (running && !hung && this.isHung(child.pid!, running)) {
          hung = true;
          child.kill('SIGKILL');
        }
      }, 250);
      const finish = (done: boolean): void => {
        clearInterval(timer);
        child.off('exit', onExit);
        this.hear = () => {};
        resolve(done);
      };
      const onExit = (code: number | null, signal: string | null): void => {
        this.child = undefined;
        const heap = /JavaScript heap out of memory/.test(this.stderr) ? 'FATAL ERROR: heap out of memory' : undefined;
        const said = heap ?? /(FATAL ERROR|Error|error)[^\n]{0,160}/.exec(this.stderr)?.[0] ?? '';
        const died = `${code === null ? signal : `exit ${code}`}${said === '' ? '' : `: ${said}`}`;
        const signature = hung ? `hang: more than ${this.limits.seconds} s` : `the process ended: ${died}`;
        const { index = -1, kind = '' } = running ?? {};
        const outcome: Outcome = { kind: 'finding', signature, detail: this.stderr.slice(-4000) };
        // A case that cannot be made is a fault of the campaign, which stops.
        if (kind === '' || kind === '-') {
          clearInterval(timer);
          reject(new Error(`case ${index} cannot be made (${died})\n${this.stderr}`));
          return;
        }
        on({ index, kind, outcome, ms: hung ? 1000 * this.limits.seconds : 0, memory: 0 });
        finish(false);
      };
      child.on('exit', onExit);
      this.hear = (line) => {
        const [word, a, b] = line.split(' ');
        if (word === 'began') running = begin(Number(a), b!, child.pid!);
        else if (word === 'ended') {
          running = undefined;
          this.ran++;
          on(this.judged(JSON.parse(line.slice('ended '.length)) as Ended));
        } else if (word === 'done') finish(true);
      };
      child.send(task);
    });
  }

  /** A busy machine gives a case little of each second: what counts is what it used of the processor, or that it waits for nothing. */
  private isHung(pid: number, running: Running): boolean {
    const now = Date.now();
    const state = stateOf(pid);
    if (!state) return now - running.since > 4000 * this.limits.seconds;
    const { asleep } = running;
    if (!state.sleeps || state.cpu > asleep.cpu + 0.02) running.asleep = { since: now, cpu: state.cpu };
    return (
      state.cpu - running.cpu > this.limits.seconds + 0.5 || now - running.asleep.since > 1000 * this.limits.seconds
    );
  }

  /** Too slow and too large are findings, also where the answer was right. */
  private judged(ended: Ended): Ended {
    const finding = (signature: string): Ended => ({
      ...ended,
      outcome: { kind: 'finding', signature, detail: JSON.stringify(ended.outcome) },
    });
    if (ended.outcome.kind === 'finding') return ended;
    const came = ended.outcome.kind === 'ok' ? 'accepted' : ended.outcome.codes[0];
    if (ended.ms > 1000 * this.limits.seconds) return finding(`slow: more than ${this.limits.seconds} s (${came})`);
    if (ended.memory > this.limits.memory) return finding(`memory: more than ${this.limits.memory} MiB (${came})`);
    return ended;
  }

  private start(): Promise<ChildProcess> {
    this.ran = 0;
    this.stderr = '';
    const options = [`--max-old-space-size=${this.limits.heap}`, '--import', TSX];
    const child = spawn(process.execPath, [...options, WORKER, this.kinds], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    child.stderr!.on('data', (piece: Buffer) => {
      this.stderr = (this.stderr + piece.toString()).slice(-20_000);
    });
    return new Promise((resolve, reject) => {
      const early = (): void => reject(new Error(`the worker did not start\n${this.stderr}`));
      child.once('exit', early);
      this.hear = (line) => {
        if (line !== 'ready') return;
        child.off('exit', early);
        resolve(child);
      };
      createInterface({ input: child.stdio[RESULTS] as Readable }).on('line', (line) => this.hear(line));
    });
  }
}
