/**
 * What happened in the folder of a run, and when, in words: `log.txt`. Programs read metrics.jsonl and run.json; this is for whoever asks later why a run is as
 * it is: when it was begun and gone on with and by what, what was warned of, what ended it. A step has no line.
 */
import { appendFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { SkippedItem } from '../../data/types.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import { cannotWrite } from '../../formats/node/writing.js';
import { rateOf } from '../../search/journal.js';
import { bytes, scoreText } from '../report/numbers.js';
import type { TrainEvent } from '../train/events.js';
import type { KeptFeatures } from '../train/kept.js';
import { version } from '../version.js';
import type { RunFacts } from './run-folder.js';

const LOG = 'log.txt';

export class RunLog {
  constructor(private readonly folder: string) {}

  /** @param from steps that were done before: 0 for a run that begins */
  began({ model, hashes }: RunFacts, device: string, from: number): void {
    const what = from === 0 ? 'begins' : `goes on after ${from} steps`;
    const of = (Object.keys(hashes) as (keyof typeof hashes)[]).map((k) => `${k} ${hashes[k].slice(0, 12)}`).join(', ');
    this.line(
      `${model} ${what}: Espalier ${version}, process ${process.pid} of ${hostname()}, ${process.platform}, ${device}; ${of}`,
    );
  }

  warned({ code, severity, message }: Diagnostic): void {
    this.line(`${severity} ${code}: ${message}`);
  }

  skipped({ id, diagnostics }: SkippedItem): void {
    this.line(`left out: ${id}: ${diagnostics.map((d) => `${d.code}: ${d.message}`).join('; ')}`);
  }

  kept({ of, images, bytes: size, path, seconds }: KeptFeatures): void {
    const took = seconds === undefined ? 'were there already' : `took ${seconds.toFixed(1)} s`;
    this.line(`features of ${images} images (${of}, ${bytes(size)}, in ${path ?? 'memory'}) ${took}`);
  }

  event(event: TrainEvent): void {
    const text = textOf(event);
    if (text !== undefined) this.line(text);
  }

  /** What ended it, if it was no ending of its own. A disk that takes no more may be what did: then nothing is written. */
  failed(error: unknown): void {
    const diagnostics = (error as { readonly diagnostics?: readonly Diagnostic[] }).diagnostics;
    try {
      if (diagnostics) for (const d of diagnostics) this.warned(d);
      else this.line(`error: ${error instanceof Error ? error.message : String(error)}`);
    } catch {
      // The error itself is what is told.
    }
  }

  /** @throws EspalierError ESP0520 */
  private line(text: string): void {
    try {
      appendFileSync(join(this.folder, LOG), `${new Date().toISOString()} ${text.replaceAll(/\s*\n\s*/g, ' ')}\n`);
    } catch (error) {
      throw cannotWrite(this.folder, error);
    }
  }
}

function textOf(event: TrainEvent): string | undefined {
  switch (event.kind) {
    case 'step':
      return undefined;
    case 'epoch': {
      const { epoch, steps, train, validation, best, rate } = event;
      const after = validation ? `; validation ${scoreText(validation)}${best ? ', the best so far' : ''}` : '';
      return `epoch ${epoch + 1}, after ${steps} steps: ${scoreText(train)}${after} (${rate.toFixed(1)} images/s)`;
    }
    case 'candidate':
      return `candidate ${event.number}: ${(100 * rateOf(event)).toFixed(2)}% pruned, ${event.accepted ? 'good enough' : 'not good enough'}`;
    case 'pruned':
      return `search: ${event.zeros} of ${event.elements} weights are pruned: ${event.why}`;
    case 'test':
      return `test: ${scoreText(event.score)}; nothing was selected on it`;
    default:
      return `ends (${event.why}): epoch ${event.epoch + 1} by ${event.selected}`;
  }
}
