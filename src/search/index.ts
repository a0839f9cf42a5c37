/** Searches for pruning rates: the contract (types.ts), the runner (run.ts), and the controllers by their names in specs. */
import { SEARCH_DEFAULTS, type SearchName } from '../ir/prune.js';
import { Amc, type AmcOptions } from './controllers/amc.js';
import { Bisection, type BisectionOptions, fixed, Grid, type GridOptions } from './controllers/plain.js';
import { Recoverability, type RecoverabilityOptions } from './controllers/recoverability.js';
import type { Networks } from './networks.js';
import type { Controller, LayerFacts } from './types.js';

/** What a spec says of a controller: its name, and the options that are given. */
export interface SearchForm {
  readonly form: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface ControllerParts {
  readonly layers: readonly LayerFacts[];
  readonly networks: Networks;
  /** Of a search that does not say its own. */
  readonly seed: number;
}

/**
 * The controller that a spec names, at its beginning.
 * @throws EspalierError ESP1124 for options that do not go together; RangeError for a name that is none
 */
export function makeController({ form, options }: SearchForm, { layers, networks, seed }: ControllerParts): Controller {
  const name = form as SearchName;
  const all = {
    ...SEARCH_DEFAULTS[name],
    ...(name === 'amc' || name === 'recoverability' ? { seed } : {}),
    ...options,
  };
  const as = <O>(): O => all as unknown as O;
  switch (name) {
    case 'fixed':
      return fixed(as());
    case 'grid':
      return new Grid(as<GridOptions>());
    case 'bisection':
      return new Bisection(as<BisectionOptions>());
    case 'recoverability':
      return new Recoverability(as<RecoverabilityOptions>(), networks.q);
    case 'amc':
      return new Amc(as<AmcOptions>(), layers, networks.actorCritic);
    default:
      throw new RangeError(`no search is called ${form}`);
  }
}
