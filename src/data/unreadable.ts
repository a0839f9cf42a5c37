/** What of a data set could not be read: named once, counted, and an error from a share on. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { Dataset, LoaderOptions, SkippedItem } from './types.js';

export class Unreadable {
  private readonly found = new Map<number, SkippedItem>();
  private readonly dataset: Dataset;
  private readonly options: Pick<LoaderOptions, 'corrupt' | 'skipped'>;

  constructor(dataset: Dataset, options: Pick<LoaderOptions, 'corrupt' | 'skipped'>) {
    this.dataset = dataset;
    this.options = options;
  }

  /** In the order in which they were met. */
  get items(): SkippedItem[] {
    return [...this.found.values()];
  }

  has(item: number): boolean {
    return this.found.has(item);
  }

  /** @throws EspalierError ESP1007 if it is one too many */
  skip(index: number, diagnostics: readonly Diagnostic[]): void {
    const { size, name, ids } = this.dataset;
    const { corrupt = 0.1, skipped } = this.options;
    if (this.found.has(index)) return;
    const item = { index, id: ids[index]!, diagnostics };
    this.found.set(index, item);
    skipped?.(item);
    if (this.found.size <= corrupt * size) return;
    const named = this.items.map(({ id, diagnostics: [first] }) => ({ id, why: first!.message }));
    throw new EspalierError([diagnostic('ESP1007', { name, size, share: corrupt, items: named })]);
  }
}
