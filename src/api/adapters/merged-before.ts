/** Adapters that a base holds already: by what its file says was merged into it (formats/merged.ts), and the digests of the adapters that a spec puts on it. */
import { sha256 } from '../../../runtime/program/digest.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import { mergedIn } from '../../formats/merged.js';

/** A warning for each file of a spec whose adapter is in the weights of its base. Adapters are read whole only where a base has such a record. */
export async function mergedBefore(
  { sources }: Pick<Elaborated, 'sources'>,
  checkpoints: ReadonlyMap<string, OpenCheckpoint>,
): Promise<Diagnostic[]> {
  const bases = sources.filter((s) => s.kind === 'backbone');
  const records = new Map(
    bases.flatMap(({ location }) => {
      const found = mergedIn(checkpoints.get(location)?.store.metadata ?? {}) ?? [];
      return found.flatMap(({ sha256: digest, method }) => (digest ? [[digest, { location, method }] as const] : []));
    }),
  );
  if (records.size === 0) return [];
  const found: Diagnostic[] = [];
  const seen = new Set(bases.map((s) => s.location));
  for (const { location, kind, span } of sources) {
    const bytes = kind === 'mask' ? undefined : checkpoints.get(location)?.bytes;
    if (seen.has(location) || !bytes) continue;
    seen.add(location);
    const record = records.get(await sha256(Uint8Array.from(await bytes())));
    if (!record) continue;
    const about = { file: location, base: record.location, method: record.method };
    found.push(diagnostic('ESP1285', about, { primary: { span, text: 'put on it again' } }));
  }
  return found;
}
