/** A model as people look at it: a tree of modules with shapes, sites, adapters and the checkpoint's own names; a picture; any stage as text. */
import type { Diagnostic } from '../diagnostics/types.js';
import type { Elaborated, SiteNode } from '../dsl/elaborated.js';
import { chooseLayout } from '../formats/checkpoint.js';
import { printModule } from '../ir/text.js';
import { optimize } from '../passes/index.js';
import { type Analysis, analyseModel, type Spec, type SpecOptions } from './analyse.js';
import { stageName } from './compile.js';
import { drawModel } from './picture.js';

export interface Inspected {
  readonly elaborated: Elaborated;
  readonly tree: SiteNode;
  /** The tree as text. */
  text(): string;
  svg(): string;
  /** The program after the pass that was asked for. */
  readonly emitted?: string;
  readonly warnings: readonly Diagnostic[];
}

/** Names of parameters in the checkpoints that the spec names: `query[0..768]` for a range of rows. */
function checkpointNames(analysis: Analysis & { readonly elaborated: Elaborated }): Map<string, string[]> {
  const names = new Map<string, string[]>();
  for (const source of analysis.elaborated.sources) {
    const opened = analysis.checkpoints.get(source.location);
    if (!opened || opened.kind === 'peft') continue;
    for (const { param, tensor, rows } of chooseLayout(source, opened.store).names) {
      if (tensor === param) continue;
      const list = names.get(param) ?? [];
      list.push(rows ? `${tensor} -> rows ${rows[0]}..${rows[1]}` : tensor);
      names.set(param, list);
    }
  }
  return names;
}

function describeTree(analysis: Analysis & { readonly elaborated: Elaborated }): string {
  const { elaborated } = analysis;
  const names = checkpointNames(analysis);
  const masked = new Set(elaborated.prune.flatMap((job) => job.targets.map((t) => t.param)));
  const lines: string[] = [];
  const shapeOf = (param: string) => `[${elaborated.module.params.get(param)?.type.shape.join(', ') ?? '?'}]`;
  const visit = (node: SiteNode, indent: string): void => {
    const short = node.kind === 'module' && node.path === '' ? elaborated.name : (node.path.split('.').at(-1) ?? '');
    const kind = node.kind === 'part' ? 'rows' : node.kind === 'label' ? 'site' : node.type;
    lines.push(`${indent}${short}  ${kind} ${node.detail}`.trimEnd());
    const inner = `${indent}  `;
    for (const [own, param] of Object.entries(node.params)) {
      const places = names.get(param);
      const marks = `${masked.has(param) ? ' pruned' : ''}${elaborated.module.params.get(param)?.role === 'trainable' ? ' trained' : ''}`;
      lines.push(`${inner}.${own} ${shapeOf(param)}${marks}${places ? `  <- ${places.join(', ')}` : ''}`);
    }
    for (const adapter of node.adapters) {
      lines.push(`${inner}+ ${adapter.name}`);
      for (const param of adapter.params) lines.push(`${inner}    .${param.split('.').at(-1)} ${shapeOf(param)}`);
    }
    for (const child of node.children) visit(child, inner);
  };
  visit(elaborated.root, '');
  return lines.join('\n');
}

/** @throws EspalierError when the spec is wrong; reads no weights */
export async function inspect(spec: Spec, options: SpecOptions & { readonly emit?: string }): Promise<Inspected> {
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
  return {
    elaborated,
    tree: elaborated.root,
    text: () => describeTree(analysis),
    svg: () => drawModel(elaborated),
    ...(emitted === undefined ? {} : { emitted }),
    warnings: analysis.warnings,
  };
}
