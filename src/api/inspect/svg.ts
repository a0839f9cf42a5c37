/** Pieces of SVG text, and the looks that all pictures share: readable in light and dark viewers, without fonts of its own. */

const FONT = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace';

export const escapeXml = (s: string): string => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

/** Text at a point; `style` is attributes. */
export function text(x: number, y: number, content: string, style: string): string {
  return `<text x="${x}" y="${y}" ${style}>${escapeXml(content)}</text>`;
}

/** A rectangle with round corners; `style` is attributes. */
export function boxRect(x: number, y: number, width: number, height: number, radius: number, style: string): string {
  return `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="${radius}" ${style}/>`;
}

/** A coloured label of the height 18, with a note at its end. */
export function pill(
  x: number,
  y: number,
  width: number,
  { label, note, fill }: { readonly label: string; readonly note: string; readonly fill: string },
): string {
  return [
    boxRect(x, y, width, 18, 9, `fill="${fill}"`),
    text(x + 10, y + 13, label, 'class="chip"'),
    text(x + width - 10, y + 13, note, 'class="chip" text-anchor="end"'),
  ].join('\n');
}

/** 1234 -> `1.2 k`. */
export function compact(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} M`;
  if (n >= 1e3) return `${(n / 1e3).toFixed(1)} k`;
  return String(n);
}

/** A whole document. `title` is escaped already. */
export const DOCUMENT = (title: string, width: number, height: number, body: string): string =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">
<style>
  text { font-family: ${FONT}; fill: #24302a }
  .title { font-size: 20px; font-weight: 650 }
  .name { font-size: 13px; font-weight: 600 }
  .detail, .shape { font-size: 11px; fill: #5c675f; font-family: ${MONO} }
  .shape { fill: #2c5d8f }
  .times { font-size: 11.5px; font-weight: 600; fill: #5c675f }
  .chip { font-size: 11px; fill: #fff; font-weight: 600 }
  .leaf { fill: #fff; stroke: #c3cac2 }
  .group { fill: #f1f0e9; stroke: #bcc3b9 }
  .terminal { fill: #e4ecf4; stroke: #9db4cb }
  .key { stroke: #bcc3b9 }
  .arrow { stroke: #6d786f; stroke-width: 1.5; fill: none }
  .skip { stroke: #8a958c; stroke-dasharray: 4 3 }
  .plus { fill: #fff; stroke: #6d786f; stroke-width: 1.2 }
</style>
<defs>
  <marker id="head" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#6d786f"/></marker>
  <pattern id="pruned" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="#f7e3df"/><rect width="2.5" height="6" fill="#c2503c"/></pattern>
</defs>
<rect width="${width}" height="${height}" fill="#fcfbf8"/>
${body}
</svg>
`;
