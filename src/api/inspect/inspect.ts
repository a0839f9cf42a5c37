/** A model as people look at it: a tree of modules with shapes, sites, adapters and the checkpoint's own names; a picture; any stage as text. */

import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { Elaborated, SiteNode } from '../../dsl/elaborated.js';
import { peftAsStore } from '../../formats/adapters/peft-store.js';
import { namesOfModel } from '../../formats/adapters/sites.js';
import { chooseLayout } from '../../formats/checkpoint.js';
import { isAdapters } from '../../ir/about.js';
import { lastStep, showPath } from '../../ir/path.js';
import { printModule } from '../../ir/text/print.js';
import { optimize } from '../../passes/index.js';
import { type Analysis, analyseModel, type Spec, type SpecOptions } from '../analyse.js';
import { stageName } from '../compile.js';
import { drawModel } from './picture.js';

/** Where a parameter comes from in a checkpoint: a tensor, for all of it or for a half open range of its rows. */
export interface TensorPlace {
  readonly tensor: string;
  readonly rows?: readonly [start: number, end: number];
}

export interface InspectedParam {
  /** Its name in its module or adapter: `weight`, `down.weight`. */
  readonly name: string;
  /** Its name in the model: `base.blocks.0.attn.qkv.weight`. */
  readonly param: string;
  readonly shape: readonly number[];
  /** Whether training would change it. */
  readonly trained: boolean;
  readonly pruned: boolean;
  /** Set for an adapter's. */
  readonly adapter?: true;
  /** How many adapters read it, where it is one tensor for several. */
  readonly shared?: number;
  /** The checkpoint's own names, where they differ from ours. */
  readonly from: readonly TensorPlace[];
}

/** A module, a layer, some rows of one, or a labelled stretch: everything that an adapter can be grafted onto. */
export interface InspectedNode {
  /** As selectors write it: `base.blocks[3].attn.qkv`; empty for the model. */
  readonly path: string;
  readonly kind: SiteNode['kind'];
  /** `Linear`, `Block`, ... */
  readonly type: string;
  /** Sizes and options for people: `768 -> 2304`. */
  readonly detail: string;
  readonly params: readonly InspectedParam[];
  readonly adapters: readonly { readonly name: string; readonly params: readonly InspectedParam[] }[];
  readonly children: readonly InspectedNode[];
}

export interface InspectOptions extends SpecOptions {
  /** `after:<pass>`: also the program's text after that pass. */
  readonly emit?: string;
}

export interface Inspected {
  readonly elaborated: Elaborated;
  /** The model as plain data. */
  readonly tree: InspectedNode;
  /** The tree as text. */
  text(): string;
  /** The model as an SVG document. */
  svg(): string;
  /** The program after the pass that was asked for. */
  readonly emitted?: string;
  readonly warnings: readonly Diagnostic[];
}

/** Places of parameters in the checkpoints that the spec names, for those that have other names there. */
function checkpointPlaces({
  elaborated: { sources, root },
  checkpoints,
}: Analysis & { readonly elaborated: Elaborated }): Map<string, TensorPlace[]> {
  const places = new Map<string, TensorPlace[]>();
  const model = namesOfModel(root, sources);
  for (const source of sources) {
    const opened = checkpoints.get(source.location);
    if (!opened) continue;
    if (opened.peft) {
      const names = peftNames(
        opened.peft,
        model,
        sources.filter((s) => s.location === source.location),
      );
      for (const param of source.params) {
        const tensor = names.get(param);
        if (tensor !== undefined) places.set(param, [{ tensor }]);
      }
      continue;
    }
    for (const { param, tensor, rows } of chooseLayout(source, opened.store).names) {
      if (tensor === param) continue;
      places.set(param, [...(places.get(param) ?? []), rows ? { tensor, rows } : { tensor }]);
    }
  }
  return places;
}

/** Our names -> those in a PEFT folder. One that does not fit the model is refused by what reads its tensors, not here. */
function peftNames(...folder: Parameters<typeof peftAsStore>): Map<string, string | undefined> {
  try {
    return new Map([...peftAsStore(...folder).store.tensors].map(([name, { original }]) => [name, original]));
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return new Map();
  }
}

function inspectedTree(analysis: Analysis & { readonly elaborated: Elaborated }): InspectedNode {
  const { module, prune, root, adapters: all } = analysis.elaborated;
  const places = checkpointPlaces(analysis);
  const masked = new Set(prune.flatMap((job) => job.targets.map((t) => t.param)));
  const readers = new Map<string, number>();
  for (const param of all.flatMap((a) => Object.values(a.params))) readers.set(param, (readers.get(param) ?? 0) + 1);
  const describe = (name: string, param: string): InspectedParam => ({
    name,
    param,
    shape: module.params.get(param)?.type.shape ?? [],
    trained: module.params.get(param)?.role === 'trainable',
    pruned: masked.has(param),
    ...(isAdapters(module.params.get(param) ?? {}) ? { adapter: true as const } : {}),
    ...((readers.get(param) ?? 0) > 1 ? { shared: readers.get(param)! } : {}),
    from: places.get(param) ?? [],
  });
  const visit = ({ path, kind, type, detail, params, adapters, children }: SiteNode): InspectedNode => ({
    path: showPath(path),
    kind,
    type,
    detail,
    params: Object.entries(params).map(([name, param]) => describe(name, param)),
    adapters: adapters.map((a) => ({
      name: a.name,
      params: Object.entries(a.params).map(([name, param]) => describe(name, param)),
    })),
    children: children.map(visit),
  });
  return visit(root);
}

/** A line for the parameter, and one for each range of rows where it is put together from several tensors. */
function paramLines({ name, param, shape, trained, pruned, shared, adapter, from }: InspectedParam): string[] {
  const marks = `${pruned ? ' pruned' : ''}${trained ? ' trained' : ''}${shared ? ` shared by ${shared} sites` : ''}`;
  // What a checkpoint calls it, and what an adapter file does: the path above says neither.
  const tensor = from[0]?.tensor ?? (adapter ? param : undefined);
  const whole = tensor !== undefined && !from[0]?.rows ? `  <- ${tensor}` : '';
  const rows = from.filter((f) => f.rows).map((f) => `    rows ${f.rows![0]}..${f.rows![1]}  <- ${f.tensor}`);
  return [`.${name} [${shape.join(', ')}]${marks}${whole}`, ...rows];
}

function treeText(root: InspectedNode, model: string): string {
  const lines: string[] = [];
  const visit = (node: InspectedNode, indent: string): void => {
    const short = lastStep(node.path) || model;
    const kind = node.kind === 'part' ? 'rows' : node.kind === 'label' ? 'site' : node.type;
    lines.push(`${indent}${short}  ${kind} ${node.detail}`.trimEnd());
    const inner = `${indent}  `;
    lines.push(...node.params.flatMap(paramLines).map((line) => inner + line));
    for (const adapter of node.adapters) {
      lines.push(`${inner}+ ${adapter.name}`);
      lines.push(...adapter.params.flatMap(paramLines).map((line) => `${inner}  ${line}`));
    }
    for (const child of node.children) visit(child, inner);
  };
  visit(root, '');
  return lines.join('\n');
}

/**
 * Looks at a spec without compiling it; reads no weights.
 * @throws EspalierError with everything that is wrong with the spec; ESP0904 for a pass that there is not
 */
export async function inspect(spec: Spec, options: InspectOptions): Promise<Inspected> {
  const stage = options.emit === undefined ? undefined : stageName(options.emit);
  const analysis = await analyseModel(spec, options);
  const { elaborated } = analysis;
  let emitted: string | undefined;
  if (stage === 'elaborate') emitted = printModule(elaborated.module);
  else if (stage !== undefined) {
    const after = (pass: string, module: Parameters<typeof printModule>[0]) => {
      if (pass === stage) emitted = printModule(module);
    };
    optimize(elaborated.module, { adapters: elaborated.deploy.adapters, after });
  }
  const tree = inspectedTree(analysis);
  return {
    elaborated,
    tree,
    text: () => treeText(tree, elaborated.name),
    svg: () => drawModel(elaborated),
    ...(emitted === undefined ? {} : { emitted }),
    warnings: analysis.warnings,
  };
}
