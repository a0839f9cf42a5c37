/** The parameters of a model while it is put together. */
import type { ParamSlot } from './values.js';

/** All parameters, in the order in which they were made. */
export class ParamStore {
  readonly slots = new Map<string, ParamSlot>();

  get(name: string): ParamSlot | undefined {
    return this.slots.get(name);
  }

  add(slot: ParamSlot): ParamSlot {
    this.slots.set(slot.name, slot);
    return slot;
  }
}
