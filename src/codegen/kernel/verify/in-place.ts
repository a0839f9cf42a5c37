/** Buffers that a kernel both reads and writes: no thread may read what another may have written. */
import { notInPlace } from '../in-place.js';
import type { Kernel } from '../types.js';
import { eachExpr, eachStmt } from '../walk.js';
import type { Report } from './report.js';

export function checkInPlace(kernel: Kernel, report: Report): void {
  const written = new Set<string>();
  /** Buffers, and a function that reads each. */
  const read = new Map<string, string>();
  for (const { name, body } of [...kernel.functions, { name: 'main', body: kernel.main }]) {
    eachStmt(body, (s) => {
      if (s.kind === 'store') written.add(s.buffer);
      eachExpr(s, (e) => {
        if (e.kind === 'load') read.set(e.buffer, name);
      });
    });
  }
  for (const [buffer, fn] of read) {
    const why = written.has(buffer) ? notInPlace(kernel, buffer, buffer) : undefined;
    if (why === undefined) continue;
    report.enter(fn);
    report.say('in-place', `${buffer} is read and written, and ${why}`);
    report.leave();
  }
}
