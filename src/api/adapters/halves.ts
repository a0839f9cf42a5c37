/** What `weights = f16` costs: each weight that is stored in halves beside what it is in f32, and where the spec has it from. */

import type { HalfRounding, StorageType } from '../../../runtime/program/program.js';
import { diagnostic, type Place } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import { fromHalves, toHalves } from '../../formats/tensors/float16.js';
import { RoundingMeter, type SmallNumbers } from '../../formats/tensors/rounding.js';
import type { Tensor } from '../../ir/types.js';
import { nameAsWritten } from '../../passes/index.js';

/** A weight of which a larger share than this falls below the normal range of f16 is named: of normally distributed ones that is a deviation of 1e-3. */
export const SMALL_SHARE = 0.05;

/** Where the spec has a parameter's numbers from: its adapter and the base's file, or its own file. */
export function placeOfWeight(elaborated: Elaborated, param: string): Place {
  const own = nameAsWritten(param);
  const source = elaborated.sources.find((s) => s.params.includes(own));
  const adapter = own !== param ? elaborated.adapters.find((a) => own.startsWith(`${a.site}.`)) : undefined;
  const from = source && { span: source.span, text: 'its numbers come from here' };
  if (!adapter) return from ? { primary: from } : {};
  const primary = { span: adapter.span, text: 'merged into it' };
  return from ? { primary, secondary: [from] } : { primary };
}

/** Shown every weight as it is packed, it compares f32 with f16 and keeps figures alone. */
export class HalfCost {
  readonly #meter = new RoundingMeter('F16');
  readonly #seen = new Set<string>();
  readonly #small: SmallNumbers[] = [];

  /** A parameter's tensor and what it is stored as. A second time it is the same one in another layout. */
  take(param: string, { type, data }: Tensor, stored: StorageType): void {
    if (stored !== 'f16' || this.#seen.has(param)) return;
    this.#seen.add(param);
    const small = this.#meter.take(nameAsWritten(param), type.shape, data, fromHalves(toHalves(data)));
    if (small && small.share > SMALL_SHARE) this.#small.push({ ...small, tensor: param });
  }

  /** Undefined where nothing is stored in halves. */
  figures(): HalfRounding | undefined {
    if (this.#seen.size === 0) return undefined;
    const small = this.#worst().map(({ tensor, ...rest }) => ({ tensor: nameAsWritten(tensor), ...rest }));
    return { ...this.#meter.figures(), dtype: 'F16', small };
  }

  #worst(): SmallNumbers[] {
    return [...this.#small].sort((a, b) => b.share - a.share);
  }

  /** A warning (ESP1306) for each weight that loses much, the worst first. */
  warnings(elaborated: Elaborated): Diagnostic[] {
    return this.#worst().map(({ tensor: param, ...small }) =>
      diagnostic(
        'ESP1306',
        { name: nameAsWritten(param), ...small, limit: SMALL_SHARE },
        placeOfWeight(elaborated, param),
      ),
    );
  }
}
