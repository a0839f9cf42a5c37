/** What is removed when the process is told to end (Ctrl-C) while something is half written. */
import { rmSync } from 'node:fs';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const unfinished = new Set<string>();

function end(signal: NodeJS.Signals): void {
  for (const path of unfinished) rmSync(path, { recursive: true, force: true });
  for (const s of SIGNALS) process.off(s, end);
  // The default, which the listener stood in front of: the process ends, and its parent sees by which signal.
  process.kill(process.pid, signal);
}

/**
 * Says that `path` is to be removed if a signal ends the process; the result says that it no longer is. Whoever handles signals already
 * decides alone, and listeners are there only while something is unfinished: they would hold a signal back during long computations.
 */
export function removeOnInterrupt(path: string): () => void {
  if (unfinished.size === 0) {
    for (const signal of SIGNALS) if (process.listenerCount(signal) === 0) process.on(signal, end);
  }
  unfinished.add(path);
  return () => {
    unfinished.delete(path);
    if (unfinished.size === 0) for (const signal of SIGNALS) process.off(signal, end);
  };
}
