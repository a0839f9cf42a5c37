/** Names and what they are bound to, innermost first. */
import type { Val } from '../evaluate/values.js';

export class Scope {
  readonly #names = new Map<string, Val>();

  constructor(
    readonly parent?: Scope,
    /** Words of the choices of the declaration around: names that stand for themselves. */
    readonly words?: ReadonlySet<string>,
  ) {}

  get(name: string): Val | undefined {
    return this.#names.get(name) ?? this.parent?.get(name);
  }

  /** Bound in this very scope. */
  own(name: string): Val | undefined {
    return this.#names.get(name);
  }

  set(name: string, value: Val): void {
    this.#names.set(name, value);
  }

  remove(name: string): void {
    this.#names.delete(name);
  }

  isWord(name: string): boolean {
    return (this.words?.has(name) ?? false) || (this.parent?.isWord(name) ?? false);
  }

  /** Every name in reach, for suggestions. */
  names(): string[] {
    return [...new Set([...this.#names.keys(), ...(this.words ?? []), ...(this.parent?.names() ?? [])])];
  }

  /** Names bound in this very scope, in order. */
  ownNames(): string[] {
    return [...this.#names.keys()];
  }
}
