/** Adapters of peft's on modules that a network in Python passes by: it reads their weights itself, and never calls what peft put there. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic, Span } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import { matches } from '../../ir/glob.js';

type Model = Pick<Elaborated, 'sources'>;
type Checkpoints = ReadonlyMap<string, OpenCheckpoint>;

/** A warning for each folder of peft that adapts such modules of the base that a spec puts it on. */
export function bypassedModules(model: Model, checkpoints: Checkpoints): Diagnostic[] {
  const seen = new Set<string>();
  return model.sources.flatMap(({ location, span }) => {
    const peft = checkpoints.get(location)?.peft;
    if (!peft || seen.has(location)) return [];
    seen.add(location);
    return warningOf(location, [...peft.pairs.keys()], model, checkpoints, span);
  });
}

/**
 * A warning where a folder for peft adapts such modules, or none.
 * @param file the folder, in messages
 * @param modules that it adapts, as the network in Python calls them
 */
export function warningOf(
  file: string,
  modules: readonly string[],
  { sources }: Model,
  checkpoints: Checkpoints,
  span?: Span,
): Diagnostic[] {
  const bases = sources.flatMap(({ location, bypassed = [] }) => {
    const store = checkpoints.get(location)?.store;
    return store && bypassed.length > 0 ? [{ location, bypassed, tensors: [...store.tensors.keys()] }] : [];
  });
  for (const { location, bypassed, tensors } of bases) {
    const found = modules.flatMap((module) => {
      const by = bypassed.find((b) => matches(b.module, module) && holds(tensors, neighbour(module, b.beside)));
      return by ? [{ module, beside: by.beside }] : [];
    });
    const [first] = found;
    if (!first) continue;
    const about = { file, ...first, count: found.length, base: location };
    return [diagnostic('ESP1287', about, span && { primary: { span, text: 'put on these' } })];
  }
  return [];
}

const neighbour = (module: string, name: string): string => `${module.slice(0, module.lastIndexOf('.') + 1)}${name}`;

/** Whether a file has a tensor, with the prefix of a larger model or without it. */
const holds = (tensors: readonly string[], name: string): boolean =>
  tensors.some((t) => t === name || t.endsWith(`.${name}`) || name.endsWith(`.${t}`));
