/** The passes in their order, and `optimize`, which runs them and says what merged. */
import { dependsOnInput } from '../ir/affine/parse.js';
import { resultValues, topological } from '../ir/graph.js';
import type { Module, Origin } from '../ir/types.js';
import { verifyModule } from '../ir/verify.js';
import { erase } from './erase.js';
import { kronecker } from './merge/kronecker.js';
import { reparameterize } from './merge/reparameterize.js';
import { reportOf } from './merge/report.js';
import { narrow } from './narrow.js';
import { adaptersOf } from './owners.js';
import type { AdapterMode, MergeReport, Notes, Pass, PassContext } from './pass.js';
import { simplify, tidy } from './simplify.js';
import { split } from './split.js';

export { checkRegions, type RegionCheck, RegionChecks } from './merge/check.js';
export type { AdapterMode, AdapterOutcome, MergeReport, ObstacleNote, Pass, PassContext, Region } from './pass.js';

export const PASSES: readonly Pass[] = [erase, simplify, reparameterize, kronecker, tidy, narrow, split];

export interface OptimizeOptions {
  /**
   * merged: adapters become part of the layers where algebra allows, and the Kronecker products that are left are multiplied out. factored:
   * they stay beside the layers, by their factors, and no value of a weight's size is built from a Kronecker product. auto: by the cost
   * of one inference, operations and bytes, for each region: merged where a layer takes the adapter in, since that costs nothing; where
   * something stands in the way, its factors or one dense layer, whichever is cheaper.
   */
  readonly adapters: AdapterMode;
  /** `keep` (default): the operators of the plain model are kept apart, which a merged checkpoint needs. `free`: see PassContext. */
  readonly layout?: 'keep' | 'free';
  /** Called after every pass, for `--emit after:<pass>`. */
  readonly after?: (pass: string, module: Module) => void;
  /** Runs the verifier before the first pass and after each. */
  readonly verify?: boolean;
}

export interface Optimized {
  /** `prepare`: parameters -> prepared parameters. `infer` reads both. */
  readonly module: Module;
  readonly report: MergeReport;
}

/**
 * Runs all passes over the module's `infer`.
 * @throws Error when `verify` is set and a pass breaks a rule of the IR: a defect of the compiler, named after the pass.
 */
export function optimize(module: Module, options: OptimizeOptions): Optimized {
  const notes: Notes = { regions: [], obstacles: new Map(), replaced: new Map() };
  const context: PassContext = {
    adapters: options.adapters,
    layout: options.layout ?? 'keep',
    scopes: scopesOf(module),
    notes,
  };
  let current = module;
  if (options.verify) check(current, 'before the passes');
  for (const pass of PASSES) {
    current = pass.run(current, context);
    if (options.verify) check(current, `after ${pass.name}`);
    options.after?.(pass.name, current);
  }
  return { module: current, report: reportOf(current, context) };
}

const NOTHING: PassContext = {
  adapters: 'factored',
  layout: 'keep',
  scopes: new Map(),
  notes: { regions: [], obstacles: new Map(), replaced: new Map() },
};

/** The module as it was written, as far as inference is concerned: what only training needs is gone, nothing is merged or rewritten. */
export const asWritten = (module: Module): Module => erase.run(module, NOTHING);

/** What parameters alone compute goes to `prepare`; nothing else changes. */
export const bindingTimes = (module: Module): Module => split.run(module, NOTHING);

/** Every adapter that the module holds, with the first of its values' origins that has a place in a text. */
function scopesOf(module: Module): Map<string, Origin> {
  const scopes = new Map<string, Origin>();
  const note = (scope: string, origin: Origin): void => {
    // Masks have scopes too; they are no adapters.
    if (scope.includes('@') && (!scopes.has(scope) || scopes.get(scope)!.file === undefined)) scopes.set(scope, origin);
  };
  for (const func of module.funcs.values()) {
    const order = topological(resultValues(func));
    // What depends on the input stands nearer to the adapter's last line than what builds its weights.
    for (const v of [...order.filter(dependsOnInput), ...order.filter((x) => !dependsOnInput(x))]) {
      for (const scope of adaptersOf(v.origin)) note(scope, v.origin!);
    }
    // One that computes nothing of its own: it gives its layer a parameter for a weight.
    for (const v of order) for (const scope of v.origin?.inside ?? []) note(scope, v.origin!);
  }
  return scopes;
}

function check(module: Module, when: string): void {
  const problems = verifyModule(module);
  if (problems.length === 0) return;
  throw new Error(`the IR is broken ${when}: ${JSON.stringify(problems[0])}`);
}
