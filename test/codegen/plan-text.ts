/** A memory plan as text. */
import type { MemoryPlan } from '../../src/passes/memory.js';

/** The plan as a table: one line for each tensor that ever lies in memory, in the order in which they are written. */
export function describeMemory(plan: MemoryPlan): string {
  const rows = [...plan.tenants]
    .sort((a, b) => a.first - b.first || a.slab - b.slab || a.offset - b.offset)
    .map((t) => [t.name, `[${t.shape.join(', ')}]`, `${t.bytes}`, `${t.first}..${t.last}`, `${t.slab}:${t.offset}`]);
  const table = [['tensor', 'shape', 'bytes', 'dispatches', 'slab:offset'], ...rows];
  const widths = table[0]!.map((_, c) => Math.max(...table.map((row) => row[c]!.length)));
  const lines = table.map((row) =>
    row
      .map((cell, c) => (c === 2 ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
      .join('  ')
      .trimEnd(),
  );
  const total = plan.slabs.reduce((a, b) => a + b, 0);
  return [...lines, `${plan.slabs.length} slabs, ${total} bytes; ${plan.live} bytes alive at most`].join('\n');
}
