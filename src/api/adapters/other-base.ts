/** Adapters of peft that say they were trained on another base than the one that a spec puts them on. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import type { Elaborated } from '../../dsl/elaborated.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';

/** `org/name`, as repositories are called; a path of somebody's machine says nothing of what lay there. */
const REPOSITORY = /^\w[\w.-]*\/[\w.-]+$/;

/** A warning for each folder whose base is called otherwise. Where a base does not say what it is called, nothing can be told. */
export function otherBases(
  { sources }: Pick<Elaborated, 'sources'>,
  checkpoints: ReadonlyMap<string, OpenCheckpoint>,
): Diagnostic[] {
  const bases = sources.filter((s) => s.kind === 'backbone').flatMap((s) => checkpoints.get(s.location) ?? []);
  const names = new Set(bases.flatMap(namesOf).map((name) => name.toLowerCase()));
  if (names.size === 0) return [];
  const seen = new Set<string>();
  return sources.flatMap(({ location, span }) => {
    const trained = checkpoints.get(location)?.peft?.base;
    if (seen.has(location) || trained === undefined || !REPOSITORY.test(trained)) return [];
    seen.add(location);
    if (names.has(trained.toLowerCase())) return [];
    const about = { file: location, trained, base: [...names].join(' or ') };
    return [diagnostic('ESP1286', about, { primary: { span, text: 'put on another base' } })];
  });
}

/** What a base is called: by who fetched it, or by its own configuration. */
function namesOf({ hub, facts }: OpenCheckpoint): string[] {
  const own = facts.config?.json._name_or_path;
  return [hub?.repository, own].filter((x): x is string => typeof x === 'string' && REPOSITORY.test(x));
}
