/** What an adapter folder of `peft` amounts to on a model: statements `adapt` and `tune`. */
import type { Elaborated, SiteNode } from '../../dsl/elaborated.js';
import type { Fitting } from '../../dsl/fitting.js';
import { type ModelNames, moduleOf, namesOfModel } from '../../formats/adapters/sites.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import { selectorsFor } from './selectors.js';

/** Every site and parameter below a node, by path. */
function* pathsOf(node: SiteNode): Generator<string> {
  if (node.path !== '') yield node.path;
  for (const own of Object.keys(node.params)) yield `${node.path}.${own}`;
  for (const child of node.children) yield* pathsOf(child);
}

function* nodesOf(node: SiteNode): Generator<SiteNode> {
  yield node;
  for (const child of node.children) yield* nodesOf(child);
}

/** Statements for what of the folder has a place in the model; its other modules are said when its tensors are read. */
export function graftLines(
  elaborated: Elaborated,
  { location, opened }: { readonly location: string; readonly opened: OpenCheckpoint },
  known: Pick<Fitting, 'adapter'>,
): string[] {
  const { peft } = opened;
  if (!peft) return [];
  const names = namesOfModel(elaborated.root, elaborated.sources);
  const sites = names.modules;
  const all = [...pathsOf(elaborated.root)];
  const from = `from ${JSON.stringify(location)}`;
  const lines: string[] = [];
  const places = new Map(all.map((path, i) => [path, i]));
  const adapted = [...peft.pairs.keys()]
    .flatMap((module) => sites.get(module)?.site ?? [])
    .sort((a, b) => places.get(a)! - places.get(b)!);
  const [first] = peft.pairs.values();
  const options = Object.entries(opened.facts.options ?? {}).filter(([, v]) => v !== false);
  const own = first ? ['A', 'B', ...(first.m ? ['m'] : []), ...(first.c ? ['c'] : [])] : [];
  const given = options.map(([key, v]) => `${key}: ${v}`).join(', ');
  const types = new Map([...nodesOf(elaborated.root)].map((node) => [node.path, node.type]));
  const ofType = (type: string): string[] => adapted.filter((site) => types.get(site) === type);
  for (const type of new Set(adapted.map((site) => types.get(site)!))) {
    const keys = options.map(([key]) => key);
    const name = known.adapter(type, own, keys);
    if (name !== undefined)
      lines.push(`adapt ${selectorsFor(ofType(type), all).join(', ')} with ${name}(${given}) ${from}`);
  }
  const tuned = tunedBy(elaborated, [...peft.saved.keys()], names);
  if (tuned.length > 0) lines.push(`tune ${selectorsFor(tuned, all).join(', ')} ${from}`);
  return lines;
}

/** What was saved as a whole: the parts of the model of which all is there, and beyond that single parameters. */
function tunedBy({ root, module }: Elaborated, saved: readonly string[], { modules, tensors }: ModelNames): string[] {
  const rows = new Map<string, number>();
  for (const name of saved) {
    const place = tensors.get(name);
    // A parameter of some module that a head calls otherwise.
    const param = place?.param ?? `${modules.get(moduleOf(name))?.site}.${name.slice(moduleOf(name).length + 1)}`;
    const { shape } = module.params.get(param)?.type ?? {};
    if (shape) rows.set(param, (rows.get(param) ?? 0) + (place?.rows ? place.rows[1] - place.rows[0] : shape[0]!));
  }
  const params = new Set([...rows].filter(([p, n]) => n === module.params.get(p)!.type.shape[0]).map(([p]) => p));
  const below = (node: SiteNode): string[] => [...Object.values(node.params), ...node.children.flatMap(below)];
  const covered = (node: SiteNode): string[] => {
    const own = node.kind === 'part' || node.kind === 'label' ? [] : below(node);
    if (node.path !== '' && own.length > 0 && own.every((p) => params.has(p))) return [node.path];
    return [
      ...Object.values(node.params).filter((p) => params.has(p)),
      ...node.children.filter((c) => c.kind !== 'part' && c.kind !== 'label').flatMap(covered),
    ];
  };
  return covered(root);
}
