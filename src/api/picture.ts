/**
 * A picture of a model: its modules as nested boxes in the order data flows, repeated blocks drawn once with their number, what is
 * grafted in colour, what is pruned hatched. Plain SVG text, readable in light and dark viewers.
 */
import type { Elaborated, SiteNode } from '../dsl/elaborated.js';
import type { Param } from '../ir/types.js';

interface Box {
  readonly width: number;
  readonly height: number;
  draw(x: number, y: number): string;
}

const FONT = 'ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif';
const MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace';
const PAD = 14;
const GAP = 22;
const LEAF = 236;
/** One colour for each adapter, in order of appearance. */
const HUES = ['#2f7d4f', '#b4582a', '#5a52a3', '#9c7a16', '#1f6f8b', '#a03764'];

const escapeXml = (s: string) => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function text(x: number, y: number, content: string, style: string): string {
  return `<text x="${x}" y="${y}" ${style}>${escapeXml(content)}</text>`;
}

function compact(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  if (n >= 1e3) return `${(n / 1e3).toFixed(1)} k`;
  return String(n);
}

/** What makes two subtrees the same to the eye: everything but the indices in their paths. */
function shapeOf(node: SiteNode, own: string): string {
  return JSON.stringify([
    node.path.slice(own.length),
    node.type,
    node.detail,
    node.adapters.map((a) => a.name),
    node.children.map((c) => shapeOf(c, own)),
  ]);
}

class Painter {
  private readonly hues = new Map<string, string>();
  private readonly masked: ReadonlySet<string>;
  readonly adapters: string[] = [];

  constructor(
    private readonly params: ReadonlyMap<string, Param>,
    elaborated: Elaborated,
  ) {
    this.masked = new Set(elaborated.prune.flatMap((job) => job.targets.map((target) => target.param)));
    for (const { name } of elaborated.adapters) {
      if (this.hues.has(name)) continue;
      this.hues.set(name, HUES[this.hues.size % HUES.length]!);
      this.adapters.push(name);
    }
  }

  hue(adapter: string): string {
    return this.hues.get(adapter) ?? HUES[0]!;
  }

  private sizeOf(names: readonly string[]): number {
    return names.reduce((sum, name) => sum + (this.params.get(name)?.type.shape ?? [0]).reduce((a, b) => a * b, 1), 0);
  }

  box(node: SiteNode): Box {
    const inner = node.children.filter((child) => child.kind !== 'part' && child.kind !== 'label');
    if (inner.length > 0) return this.container(node, inner);
    const chips = [
      ...node.adapters,
      ...node.children.flatMap((child) => child.adapters.map((a) => ({ ...a, part: child.path.split('.').at(-1) }))),
    ];
    return this.leaf(node, chips);
  }

  private leaf(
    node: SiteNode,
    chips: readonly { name: string; params: readonly string[]; part?: string | undefined }[],
  ): Box {
    const height = 46 + chips.length * 22;
    const own = Object.values(node.params);
    const masked = own.some((name) => this.masked.has(name));
    return {
      width: LEAF,
      height,
      draw: (x, y) => {
        const parts = [
          `<rect x="${x}" y="${y}" width="${LEAF}" height="${height}" rx="6" class="leaf"/>`,
          masked ? `<rect x="${x}" y="${y}" width="${LEAF}" height="${height}" rx="6" fill="url(#pruned)"/>` : '',
          text(x + 12, y + 19, node.path.split('.').at(-1) ?? node.path, 'class="name"'),
          text(x + LEAF - 12, y + 19, compact(this.sizeOf(own)), 'class="size" text-anchor="end"'),
          text(x + 12, y + 36, `${node.type} ${node.detail}`.trim(), 'class="detail"'),
        ];
        chips.forEach((chip, i) => {
          const top = y + 44 + i * 22;
          const colour = this.hue(chip.name);
          parts.push(
            `<rect x="${x + 8}" y="${top}" width="${LEAF - 16}" height="18" rx="9" fill="${colour}"/>`,
            text(x + 18, top + 13, chip.part ? `${chip.name} on ${chip.part}` : chip.name, 'class="chip"'),
            text(x + LEAF - 18, top + 13, `+${compact(this.sizeOf(chip.params))}`, 'class="chip" text-anchor="end"'),
          );
        });
        return parts.join('\n');
      },
    };
  }

  private container(node: SiteNode, children: readonly SiteNode[]): Box {
    const groups: { box: Box; times: number; first: SiteNode; last: SiteNode }[] = [];
    let before = '';
    for (const child of children) {
      const shape = shapeOf(child, child.path);
      const run = groups.at(-1);
      if (run && shape === before) {
        run.times++;
        run.last = child;
      } else groups.push({ box: this.box(child), times: 1, first: child, last: child });
      before = shape;
    }
    const chips = [...node.adapters, ...node.children.filter((c) => c.kind === 'label').flatMap((c) => c.adapters)];
    const head = 32 + chips.length * 22;
    const width = Math.max(...groups.map((g) => g.box.width)) + 2 * PAD;
    const height = head + groups.reduce((sum, g) => sum + g.box.height + (g.times > 1 ? 8 : 0) + GAP, 0) - GAP + PAD;
    return {
      width,
      height,
      draw: (x, y) => {
        const parts = [
          `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="9" class="group"/>`,
          text(x + PAD, y + 20, node.path.split('.').at(-1) || node.type, 'class="name"'),
          text(x + width - PAD, y + 20, node.type, 'class="detail" text-anchor="end"'),
        ];
        chips.forEach((chip, i) => {
          parts.push(
            `<rect x="${x + PAD}" y="${y + 28 + i * 22}" width="${width - 2 * PAD}" height="18" rx="9" fill="${this.hue(chip.name)}"/>`,
            text(x + PAD + 10, y + 41 + i * 22, chip.name, 'class="chip"'),
          );
        });
        let top = y + head;
        groups.forEach((group, i) => {
          const left = x + (width - group.box.width) / 2;
          if (group.times > 1) {
            for (const shift of [8, 4]) {
              parts.push(
                `<rect x="${left + shift}" y="${top + shift}" width="${group.box.width}" height="${group.box.height}" rx="9" class="behind"/>`,
              );
            }
          }
          parts.push(group.box.draw(left, top));
          if (group.times > 1) {
            parts.push(
              text(
                left + group.box.width / 2,
                top + 20,
                `${group.times} × (${indexOf(group.first)} to ${indexOf(group.last)})`,
                'class="times" text-anchor="middle"',
              ),
            );
          }
          top += group.box.height + (group.times > 1 ? 8 : 0);
          if (i < groups.length - 1) {
            const middle = x + width / 2;
            parts.push(`<path d="M${middle} ${top + 3} V${top + GAP - 4}" class="arrow" marker-end="url(#head)"/>`);
          }
          top += GAP;
        });
        return parts.join('\n');
      },
    };
  }
}

function indexOf(node: SiteNode): string {
  return /\[(\d+)\]$/.exec(node.path)?.[1] ?? node.path;
}

/** The model as an SVG document. */
export function drawModel(elaborated: Elaborated): string {
  const painter = new Painter(elaborated.module.params, elaborated);
  const box = painter.box(elaborated.root);
  const margin = 24;
  const legend = painter.adapters.length > 0 || elaborated.prune.length > 0 ? 40 : 0;
  const width = Math.max(box.width + 2 * margin, 420);
  const height = box.height + 2 * margin + 40 + legend;
  const keys = [
    ...painter.adapters.map((name) => ({ name, fill: painter.hue(name) })),
    ...(elaborated.prune.length > 0 ? [{ name: 'pruned', fill: 'url(#pruned)' }] : []),
  ];
  let at = margin;
  const legendParts = keys.map(({ name, fill }) => {
    const part = `<rect x="${at}" y="52" width="14" height="14" rx="3" fill="${fill}" class="key"/>${text(at + 20, 64, name, 'class="detail"')}`;
    at += 36 + name.length * 8;
    return part;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(elaborated.name)}">
<style>
  svg { background: #fbfaf6 }
  text { font-family: ${FONT.replaceAll('"', "'")}; fill: #24302a }
  .title { font-size: 20px; font-weight: 650 }
  .name { font-size: 13px; font-weight: 600 }
  .detail, .size { font-size: 11px; fill: #66716a; font-family: ${MONO} }
  .times { font-size: 11.5px; font-weight: 600; fill: #66716a }
  .chip { font-size: 11px; fill: #fff; font-weight: 600 }
  .leaf { fill: #fff; stroke: #c9cfc8 }
  .group, .behind { fill: #f0efe8; stroke: #c2c8bf }
  .key { stroke: #c2c8bf }
  .arrow { stroke: #7b867e; stroke-width: 1.5; fill: none }
</style>
<defs>
  <marker id="head" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#7b867e"/></marker>
  <pattern id="pruned" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2" height="7" fill="#b9412e" fill-opacity="0.28"/></pattern>
</defs>
${text(margin, 36, elaborated.name, 'class="title"')}
${legendParts.join('\n')}
${box.draw((width - box.width) / 2, margin + 40 + legend)}
</svg>
`;
}
