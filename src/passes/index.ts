/** The passes in their order, and `optimize`, which runs them and says what merged. */
import { adaptersOf } from '../ir/about.js';
import { dependsOnInput } from '../ir/affine/parse.js';
import { rootsOf, topological } from '../ir/graph.js';
import { DEVICES, type Device } from '../ir/ops/cost.js';
import type { About, Func, Module, TextSpan } from '../ir/types.js';
import { verifyModule } from '../ir/verify.js';
import { erase } from './erase.js';
import { factor } from './merge/factor.js';
import { reparameterize } from './merge/reparameterize.js';
import { reportOf } from './merge/report.js';
import { narrow } from './narrow.js';
import type { AdapterMode, MergeReport, Notes, Pass, PassContext } from './pass.js';
import { simplify, tidy } from './simplify.js';
import { split } from './split.js';

export { type RegionCheck, RegionChecks } from './merge/check.js';
export type { AdapterMode, AdapterOutcome, MergeReport, ObstacleNote, Pass, PassContext, Region } from './pass.js';
export { nameAsWritten, PREPARE, standsFor } from './split.js';
export { supportsIn } from './support.js';

export const PASSES: readonly Pass[] = [erase, simplify, reparameterize, factor, tidy, narrow, split];

/** The same for what is handed to other runtimes: each value whole, as the model has it, whatever of it is read. */
export const EXPORTED: readonly Pass[] = PASSES.filter((pass) => pass !== narrow);

/**
 * The same for training: over the loss, before it is differentiated (what is not read has no gradient either, and adapters that are applied by their
 * factors are differentiated by them), and over the functions that are made of it. Nothing merges.
 */
export const TRAINING: Readonly<Record<'loss' | 'step', readonly Pass[]>> = {
  loss: [simplify, factor, tidy, narrow, tidy],
  step: [erase, simplify, tidy, narrow, split],
};

export interface OptimizeOptions {
  /** Names of the functions that the passes work on, one after another (default: `infer`). The others stay as they are. */
  readonly functions?: readonly string[];
  /**
   * merged: adapters become part of the layers where algebra allows, and the Kronecker products that are left are multiplied out. factored:
   * they stay beside the layers, by their factors, and no value of a weight's size is built from a Kronecker product. auto: by the time
   * of one inference on the device (operations, bytes and dispatches, of what is read alone) for each region: merged where a layer takes the
   * adapter in, since that costs nothing; where something stands in the way, its factors or one dense layer, whichever is cheaper.
   */
  readonly adapters: AdapterMode;
  /** What choices are priced for (default: hardware). */
  readonly device?: Device;
  /** The passes, in their order (default: PASSES). What they compute is the same without any of them. */
  readonly passes?: readonly Pass[];
  /** Called after every pass, for `--emit after:<pass>`. */
  readonly after?: (pass: string, module: Module) => void;
  /** Runs the verifier before the first pass and after each. */
  readonly verify?: boolean;
}

export interface Optimized {
  /** `prepare`: parameters -> prepared parameters. The functions that were worked on read both. */
  readonly module: Module;
  readonly report: MergeReport;
}

/**
 * Runs all passes over some functions of the module.
 * @throws RangeError for a function that the module does not have.
 * @throws Error when `verify` is set and a pass breaks a rule of the IR: a defect of the compiler, named after the pass.
 */
export function optimize(module: Module, options: OptimizeOptions): Optimized {
  const names = options.functions ?? ['infer'];
  const absent = names.find((name) => !module.funcs.has(name));
  if (absent !== undefined) throw new RangeError(`the module has no function ${absent}`);
  const notes: Notes = { regions: [], obstacles: new Map(), replaced: new Map() };
  const context: PassContext = {
    adapters: options.adapters,
    device: options.device ?? DEVICES.hardware,
    places: placesOf(names.map((name) => module.funcs.get(name)!)),
    notes,
  };
  let current = module;
  if (options.verify) check(current, 'before the passes');
  for (const pass of options.passes ?? PASSES) {
    for (const name of names) current = pass.run(current, name, context);
    if (options.verify) check(current, `after ${pass.name}`);
    options.after?.(pass.name, current);
  }
  return { module: current, report: reportOf(current, names, context) };
}

const NOTHING: PassContext = {
  adapters: 'factored',
  device: DEVICES.hardware,
  places: new Map(),
  notes: { regions: [], obstacles: new Map(), replaced: new Map() },
};

/** The module as it was written, as far as inference is concerned: what only training needs is gone, nothing is merged or rewritten. */
export const asWritten = (module: Module): Module => erase.run(module, 'infer', NOTHING);

/** What parameters alone compute goes to `prepare`; nothing else changes. */
export const bindingTimes = (module: Module): Module => split.run(module, 'infer', NOTHING);

/** Where each adapter stands in a text: at the first of its values that has a place. */
function placesOf(funcs: readonly Func[]): Map<string, TextSpan> {
  const places = new Map<string, TextSpan>();
  const note = (ids: readonly string[], about: About | undefined): void => {
    for (const id of ids) if (about?.at && !places.has(id)) places.set(id, about.at);
  };
  for (const func of funcs) {
    const order = topological(rootsOf(func));
    // What depends on the input stands nearer to the adapter's last line than what builds its weights.
    for (const v of [...order.filter(dependsOnInput), ...order.filter((x) => !dependsOnInput(x))]) {
      note(adaptersOf(v.about), v.about);
    }
    // One that computes nothing of its own: it gives its layer a parameter for a weight.
    for (const v of order) note(v.about?.inside ?? [], v.about);
  }
  return places;
}

function check(module: Module, when: string): void {
  const problems = verifyModule(module);
  if (problems.length === 0) return;
  throw new Error(`the IR is broken ${when}: ${JSON.stringify(problems[0])}`);
}
