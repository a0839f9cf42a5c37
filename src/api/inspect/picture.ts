/**
 * A picture of a model: its modules as nested boxes in the order data flows, with the shapes that pass between them and the residual
 * connections around them; repeated blocks drawn once with their number; what is grafted, trained and pruned marked. Plain SVG text.
 */

import type { PreprocessStep } from '../../../runtime/program/program.js';
import type { Elaborated, PruneJob, SiteNode } from '../../dsl/elaborated.js';
import { weightsOf } from '../../ir/graph.js';
import { sizeOf } from '../../ir/ops/shapes.js';
import { lastStep } from '../../ir/path.js';
import { type Flow, flowOf } from './flow.js';
import { boxRect, compact, DOCUMENT, escapeXml, pill, text } from './svg.js';

interface Box {
  readonly width: number;
  readonly height: number;
  draw(x: number, y: number): string;
}

/** Several siblings that look the same are drawn as one. */
interface Group {
  readonly box: Box;
  times: number;
  readonly first: SiteNode;
  last: SiteNode;
}

const PAD = 18;
/** Room for an arrow and the shape beside it. */
const GAP = 30;
const LEAF = 264;
const CHIP = 22;
/** One colour for each adapter, in order of appearance. */
const HUES = ['#2f7d4f', '#b4582a', '#5a52a3', '#1f6f8b', '#a03764', '#6b6a1c'];
const TRAINED = '#946a00';
const PRUNED = '#a5321f';

const shown = (shape: readonly number[]): string => (shape.length === 0 ? 'one number' : shape.join(' × '));

/** What makes two subtrees the same to the eye: everything but the indices in their paths. */
function looks(node: SiteNode, own: string): string {
  return JSON.stringify([
    node.path.slice(own.length),
    node.type,
    node.detail,
    node.adapters.map((a) => a.name),
    node.children.map((c) => looks(c, own)),
  ]);
}

function stepText(step: PreprocessStep): string {
  if (step.step === 'colour') return `${step.rule} colors`;
  if (step.step === 'resize') {
    const { size } = step;
    const sides =
      typeof size === 'number'
        ? `${size} (shorter side)`
        : 'longest' in size
          ? `${size.longest} (longest side)`
          : size.join(' × ');
    return `resize ${sides} ${step.filter}`;
  }
  return 'size' in step ? `${step.step} ${step.size.join(' × ')}` : step.step;
}

function pruneText({ criterion, shape, sparsity }: PruneJob): string {
  if (shape.kind === 'nm') return `${criterion} ${shape.keep}:${shape.of}`;
  return sparsity === undefined ? criterion : `${criterion} ${Math.round(1000 * sparsity) / 10}%`;
}

interface Chip {
  readonly label: string;
  readonly note: string;
  readonly fill: string;
}

class Painter {
  private readonly hues = new Map<string, string>();
  private readonly masked = new Map<string, string>();
  private readonly flow: Flow;

  constructor(private readonly model: Elaborated) {
    this.flow = flowOf(model);
    for (const job of model.prune) for (const { param } of job.targets) this.masked.set(param, pruneText(job));
    for (const { name } of model.adapters)
      if (!this.hues.has(name)) this.hues.set(name, HUES[this.hues.size % HUES.length]!);
  }

  sizeOf(names: Iterable<string>): number {
    const { params } = this.model.module;
    return [...names].reduce((sum, n) => sum + sizeOf(params.get(n)?.type.shape ?? [0]), 0);
  }

  /** What each mark means, and how much of the model has it. */
  legend(): { readonly fill: string; readonly label: string }[] {
    const { adapters, module, prune } = this.model;
    const rows = [...this.hues].map(([name, fill]) => {
      const own = adapters.filter((a) => a.name === name);
      const size = compact(this.sizeOf(own.flatMap((a) => Object.values(a.params))));
      return { fill, label: `${name}: ${size} parameters at ${own.length} ${own.length === 1 ? 'site' : 'sites'}` };
    });
    const grafted = new Set(adapters.flatMap((a) => Object.values(a.params)));
    const tuned = [...module.params.values()].filter((p) => p.role === 'trainable' && !grafted.has(p.name));
    if (tuned.length > 0) {
      rows.push({ fill: TRAINED, label: `trained: ${compact(this.sizeOf(tuned.map((p) => p.name)))} parameters` });
    }
    for (const job of prune) {
      const weights = compact(this.sizeOf(job.targets.map((t) => t.param)));
      rows.push({ fill: 'url(#pruned)', label: `pruned by ${pruneText(job)}: ${weights} weights` });
    }
    return rows;
  }

  private chipsOf(node: SiteNode): Chip[] {
    const parts = node.children.filter((c) => c.kind === 'part' || c.kind === 'label');
    const chips = [node, ...parts].flatMap((site) =>
      site.adapters.map(({ name, params }) => ({
        label: site === node ? name : `${name} on ${lastStep(site.path)}`,
        note: `+${compact(this.sizeOf(Object.values(params)))}`,
        fill: this.hues.get(name)!,
      })),
    );
    const own = Object.values(node.params);
    const pruned = own.map((param) => this.masked.get(param)).find((p) => p !== undefined);
    if (pruned !== undefined) chips.push({ label: 'pruned', note: pruned, fill: PRUNED });
    if (own.some((param) => this.model.module.params.get(param)?.role === 'trainable'))
      chips.push({ label: 'trained', note: '', fill: TRAINED });
    return chips;
  }

  box(node: SiteNode): Box {
    const inner = node.children.filter((child) => child.kind !== 'part' && child.kind !== 'label');
    return inner.length > 0 ? this.container(node, inner) : this.leaf(node);
  }

  private leaf(node: SiteNode): Box {
    const chips = this.chipsOf(node);
    const own = Object.values(node.params);
    const pruned = own.some((param) => this.masked.has(param));
    const height = 48 + chips.length * CHIP + (chips.length > 0 ? 2 : 0);
    return {
      width: LEAF,
      height,
      draw: (x, y) =>
        [
          boxRect(x, y, LEAF, height, 6, 'class="leaf"'),
          pruned ? boxRect(x + 1, y + 1, 12, height - 2, 5, 'fill="url(#pruned)"') : '',
          text(x + 20, y + 20, lastStep(node.path), 'class="name"'),
          text(x + LEAF - 12, y + 20, compact(this.sizeOf(own)), 'class="detail" text-anchor="end"'),
          text(x + 20, y + 38, `${node.type} ${node.detail}`.trim(), 'class="detail"'),
          ...chips.map((chip, i) => pill(x + 18, y + 46 + i * CHIP, LEAF - 28, chip)),
        ].join('\n'),
    };
  }

  private groups(children: readonly SiteNode[]): Group[] {
    const groups: Group[] = [];
    let before = '';
    for (const child of children) {
      const look = looks(child, child.path);
      const run = groups.at(-1);
      if (run && look === before) {
        run.times++;
        run.last = child;
      } else groups.push({ box: this.box(child), times: 1, first: child, last: child });
      before = look;
    }
    return groups;
  }

  private container(node: SiteNode, unordered: readonly SiteNode[]): Box {
    const children = this.flow.order(unordered);
    const groups = this.groups(children);
    // A list is only its elements; the model has the title of the picture.
    const bare = node.kind === 'list' || node.path === '';
    const chips = this.chipsOf(node);
    const own = Object.entries(node.params);
    const head = bare ? 0 : 34 + chips.length * CHIP + (own.length > 0 ? 16 : 0) + (chips.length > 0 ? 6 : 0);
    const pad = bare ? 0 : PAD;
    // Stacked sheets reach eight pixels past their box.
    const inner = Math.max(...groups.map((g) => g.box.width + (g.times > 1 ? 8 : 0)));
    const width = inner + 2 * pad;
    const heights = groups.map((g) => g.box.height + (g.times > 1 ? 8 : 0));
    const height = head + heights.reduce((sum, h) => sum + h + GAP, 0) - GAP + pad;
    const skips = this.flow.skips(node, children);
    return {
      width,
      height,
      draw: (x, y) => {
        const middle = x + width / 2;
        const parts = bare ? [] : [this.header(node, x, y, width, height, chips, own)];
        /** Where the arrow below each group begins; of the module itself first. */
        const below = [y + head - 26];
        let top = y + head;
        for (const [i, group] of groups.entries()) {
          parts.push(this.sheets(group, middle - group.box.width / 2, top));
          top += heights[i]!;
          below.push(top);
          if (i < groups.length - 1) {
            parts.push(this.arrow(middle, top, this.flow.shapeOf(group.last)));
            top += GAP;
          }
        }
        for (const skip of skips) {
          const at = (child: number) => groups.findIndex((g) => children.indexOf(g.last) >= child) + 1;
          parts.push(this.skip(x + 8, middle, below[skip.from < 0 ? 0 : at(skip.from)]!, below[at(skip.to)]!));
        }
        return parts.join('\n');
      },
    };
  }

  private header(
    node: SiteNode,
    x: number,
    y: number,
    width: number,
    height: number,
    chips: readonly Chip[],
    own: readonly [string, string][],
  ): string {
    const shape = (param: string) => shown(this.model.module.params.get(param)?.type.shape ?? []);
    return [
      boxRect(x, y, width, height, 9, 'class="group"'),
      text(x + PAD, y + 21, lastStep(node.path), 'class="name"'),
      text(x + width - PAD, y + 21, node.type, 'class="detail" text-anchor="end"'),
      own.length > 0
        ? text(x + PAD, y + 37, own.map(([name, param]) => `${name} ${shape(param)}`).join(', '), 'class="detail"')
        : '',
      ...chips.map((chip, i) => pill(x + PAD, y + (own.length > 0 ? 44 : 28) + i * CHIP, width - 2 * PAD, chip)),
    ].join('\n');
  }

  /** A group's box, on a stack of others where it stands for several. */
  private sheets({ box, times, first, last }: Group, x: number, y: number): string {
    if (times === 1) return box.draw(x, y);
    const behind = [8, 4].map((by) => boxRect(x + by, y + by, box.width, box.height, 9, 'class="group"'));
    const index = (node: SiteNode) => node.path.split('.').at(-1)!;
    const note = `${times} × (${index(first)} to ${index(last)})`;
    return [
      ...behind,
      box.draw(x, y),
      text(x + box.width / 2, y + 21, note, 'class="times" text-anchor="middle"'),
    ].join('\n');
  }

  /** From one box to the next, which is `GAP` below, with the shape of what passes. */
  arrow(x: number, y: number, shape: readonly number[] | undefined): string {
    return [
      `<path d="M${x} ${y + 2} V${y + GAP - 4}" class="arrow" marker-end="url(#head)"/>`,
      shape ? text(x + 10, y + GAP / 2 + 4, shown(shape), 'class="shape"') : '',
    ].join('\n');
  }

  /** Around some boxes: out of one arrow, down the lane at their left, into another with a plus. */
  private skip(lane: number, middle: number, from: number, to: number): string {
    const [leave, enter] = [from + 20, to + 9];
    return [
      `<path d="M${middle} ${leave} H${lane + 6} Q${lane} ${leave} ${lane} ${leave + 6} V${enter - 6} Q${lane} ${enter} ${lane + 6} ${enter} H${middle - 6}" class="arrow skip"/>`,
      `<circle cx="${middle}" cy="${enter}" r="6" class="plus"/>`,
      `<path d="M${middle - 3.5} ${enter} h7 M${middle} ${enter - 3.5} v7" class="arrow"/>`,
    ].join('\n');
  }
}

/** A box of two lines that is no part of the model: where an image comes in, and what comes out. */
function terminal(title: string, detail: string): Box {
  const width = Math.max(LEAF, 24 + Math.max(title.length * 7.6, detail.length * 6.7));
  return {
    width,
    height: 46,
    draw: (x, y) =>
      [
        boxRect(x, y, width, 46, 23, 'class="terminal"'),
        text(x + width / 2, y + 20, title, 'class="name" text-anchor="middle"'),
        text(x + width / 2, y + 36, detail, 'class="detail" text-anchor="middle"'),
      ].join('\n'),
  };
}

function labelText(labels: readonly string[] | undefined): string {
  if (!labels) return 'no class names';
  const some = labels.slice(0, 4).join(', ');
  return `${labels.length} classes: ${some.length > 40 ? `${some.slice(0, 39)}…` : some}${labels.length > 4 ? ', …' : ''}`;
}

/** The model as an SVG document. */
export function drawModel(model: Elaborated): string {
  const painter = new Painter(model);
  const { results } = model.module.funcs.get('infer')!;
  const [input] = model.inputs;
  const steps = model.preprocess ? model.preprocess.map(stepText).join(', ') : 'as it is';
  const boxes = [
    terminal(model.preprocess ? 'image' : (input?.name ?? 'input'), steps),
    painter.box(model.root),
    terminal(results.map((r) => r.name).join(', '), labelText(model.labels)),
  ];
  const shapes = [input?.type.shape.slice(1), results[0]?.value.type.shape.slice(1)];

  const margin = 28;
  const legend = painter.legend();
  const own = weightsOf(model.module);
  const note = `${painter.sizeOf(own.map((p) => p.name)).toLocaleString('en-US')} parameters`;
  const width = Math.max(440, ...boxes.map((b) => b.width + 2 * margin));
  let y = 70 + legend.length * 22;
  const parts = [
    text(margin, 38, model.name, 'class="title"'),
    text(width - margin, 38, note, 'class="detail" text-anchor="end"'),
    ...legend.map(
      ({ fill, label }, i) =>
        `${boxRect(margin, 54 + i * 22, 14, 14, 3, `fill="${fill}" class="key"`)}${text(margin + 22, 66 + i * 22, label, 'class="detail"')}`,
    ),
  ];
  for (const [i, box] of boxes.entries()) {
    parts.push(box.draw((width - box.width) / 2, y));
    y += box.height;
    if (i === boxes.length - 1) continue;
    parts.push(painter.arrow(width / 2, y, shapes[i]));
    y += GAP;
  }
  return DOCUMENT(escapeXml(model.name), width, y + margin, parts.join('\n'));
}
