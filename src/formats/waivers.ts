/** Tensors that a spec says nobody wants. */
import { matches } from '../ir/glob.js';
import type { StoreEntry } from './tensors/store.js';

/** What became of the tensors that a pattern matches. */
export interface Waived {
  readonly pattern: string;
  /** Those that would have been unexpected. */
  readonly tensors: readonly string[];
  /** Those that are read, or passed over anyhow. */
  readonly others: readonly string[];
}

/** Patterns of a spec, and which tensors of its files they match: by the names of the file, or as it is read. */
export class Waivers {
  private readonly found: Map<string, { readonly tensors: Set<string>; readonly others: Set<string> }>;

  constructor(patterns: readonly string[]) {
    this.found = new Map(patterns.map((p) => [p, { tensors: new Set(), others: new Set() }]));
  }

  /** Whether some pattern matches what nobody takes. */
  covers(name: string, entry?: Pick<StoreEntry, 'original'>): boolean {
    return this.note('tensors', name, entry);
  }

  /** Of a tensor that is taken or passed over whatever patterns say. */
  seen(name: string, entry?: Pick<StoreEntry, 'original'>): void {
    this.note('others', name, entry);
  }

  results(): Waived[] {
    return [...this.found].map(([pattern, { tensors, others }]) => ({
      pattern,
      tensors: [...tensors],
      others: [...others],
    }));
  }

  private note(kind: 'tensors' | 'others', name: string, entry: Pick<StoreEntry, 'original'> | undefined): boolean {
    const original = entry?.original ?? name;
    let covered = false;
    for (const [pattern, sets] of this.found) {
      if (!matches(pattern, name) && !matches(pattern, original)) continue;
      sets[kind].add(original);
      covered = true;
    }
    return covered;
  }
}
