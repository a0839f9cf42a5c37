/** The messages with which something is refused, as `ESP0601 ...`; none where it is not. */
import { EspalierError } from '../src/diagnostics/types.js';

export function refusal(work: () => unknown): string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof EspalierError) return error.diagnostics.map((d) => `${d.code} ${d.message}`);
    throw error;
  }
  return [];
}
