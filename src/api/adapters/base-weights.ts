/** The weights that adapters are trained on: recorded where adapters are written, and compared where they are put on a base. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Label } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import { otherWeights, TRAINED_ON, type TrainedOn, trainedOn, trainedOnIn } from '../../formats/adapters/trained-on.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import type { Tensor } from '../../ir/types.js';
import { nameOf } from './written.js';

type Part = Pick<Elaborated, 'sources' | 'module'>;

/** Frozen matrices and kernels of a model's bases, our name of each by its name in records: without the name that the spec gives the one base that it has. */
function weightsOf({ sources, module }: Part): ReadonlyMap<string, string> {
  const bases = sources.filter((s) => s.kind === 'backbone');
  const found = bases.flatMap(({ params }) => {
    const prefix = `${params[0]?.split('.')[0]}.`;
    return params.flatMap((name): [string, string][] => {
      const param = module.params.get(name);
      const known = param?.role === 'frozen' && param.type.shape.length >= 2 && name.startsWith(prefix);
      return known ? [[bases.length === 1 ? name.slice(prefix.length) : name, name]] : [];
    });
  });
  return new Map(found);
}

/**
 * What an adapter file says of the base of this model.
 * @param get a parameter as the base's own files have it
 * @returns undefined for a model without a base that comes from a file
 */
export function baseRecord(
  elaborated: Part,
  checkpoints: ReadonlyMap<string, Pick<OpenCheckpoint, 'hub'>>,
  get: (param: string) => Tensor,
): TrainedOn | undefined {
  const base = elaborated.sources.find((s) => s.kind === 'backbone');
  const weights = weightsOf(elaborated);
  if (!base || weights.size === 0) return undefined;
  const name = checkpoints.get(base.location)?.hub?.repository ?? nameOf(base.location);
  return trainedOn(name, new Map([...weights].map(([short, param]) => [short, get(param)])));
}

/**
 * A warning for each file whose adapter was trained on other weights than those of the base at hand, and for each record that cannot be read.
 * @param ofRun what the run says whose result is put on the base
 * @param get a parameter as the base's own files have it
 */
export function otherBaseWeights(
  elaborated: Part,
  checkpoints: ReadonlyMap<string, OpenCheckpoint>,
  ofRun: TrainedOn | undefined,
  get: (param: string) => Tensor | undefined,
): Diagnostic[] {
  const weights = weightsOf(elaborated);
  const base = elaborated.sources.find((s) => s.kind === 'backbone');
  if (!base || weights.size === 0) return [];
  const compare = (file: string, on: TrainedOn, place?: Label): Diagnostic[] => {
    const other = otherWeights(on, (short) => get(weights.get(short) ?? ''));
    if (!other) return [];
    const { compared, differing, apart } = other;
    const about = { file, trained: on.name, base: nameOf(base.location), compared, differing, apart };
    return [diagnostic('ESP1144', about, place ? { primary: place } : {})];
  };
  const seen = new Set([base.location]);
  const found = elaborated.sources.flatMap(({ location, span }) => {
    const { metadata } = checkpoints.get(location)?.store ?? {};
    if (!metadata || seen.has(location)) return [];
    seen.add(location);
    const on = trainedOnIn(metadata);
    if (on !== 'unreadable') return on ? compare(location, on, { span, text: 'put on other weights' }) : [];
    const about = { file: location, text: metadata[TRAINED_ON]! };
    return [diagnostic('ESP1145', about, { primary: { span, text: 'loaded here' } })];
  });
  return [...found, ...(ofRun ? compare('The run', ofRun) : [])];
}
