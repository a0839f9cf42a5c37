/** What the names of a spec mean. Each is found once, before anything is worked out; evaluation reads it here. */
import type { NameExpr } from '../../ast.js';
import type { Named } from './library.js';

export type Meaning =
  /** Bound where it stands: an option, a parameter, a statement's name, a size. What it is bound to is in the scope. */
  | { readonly kind: 'local' }
  /** A word of a choice: it stands for itself. */
  | { readonly kind: 'word' }
  | { readonly kind: 'operator' }
  | { readonly kind: 'layer' }
  | { readonly kind: 'declaration'; readonly decl: Named }
  /** Nothing that is in reach. */
  | { readonly kind: 'unknown'; readonly choice?: Choice };

/** Where a word of a choice is expected: the option, and what it may be. */
export interface Choice {
  readonly option: string;
  readonly words: readonly string[];
}

const LOCAL: Meaning = { kind: 'local' };

export class Meanings {
  readonly #found = new Map<NameExpr, Meaning>();

  set(e: NameExpr, meaning: Meaning): void {
    this.#found.set(e, meaning);
  }

  /** Names that no text holds, as those of arguments that a variant hands on, are local. */
  of(e: NameExpr): Meaning {
    return this.#found.get(e) ?? LOCAL;
  }

  /** The declaration that a name stands for, if it is one's. */
  declared(e: NameExpr): Named | undefined {
    const meaning = this.of(e);
    return meaning.kind === 'declaration' ? meaning.decl : undefined;
  }
}
