/** How a report's page looks, and the script in it: it draws each chart from the data that stand in the page. Plain text, since a browser runs it as it is. */

export const STYLE = `
:root { --ink: #1d2430; --soft: #5b6675; --line: #e2e6ec; --card: #fff; --back: #f5f6f8; --accent: #1f5fbf; --wrong: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 60px; }
header h1 { margin: 0; font-size: 28px; line-height: 1.2; overflow-wrap: anywhere; }
header p { margin: 6px 0 0; color: var(--soft); overflow-wrap: anywhere; }
.state { display: inline-block; padding: 1px 10px; border-radius: 99px; font-size: 13px; color: #fff; background: #2e7d4f; vertical-align: 5px; margin-left: 8px; }
.state.open { background: #9a6700; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 14px; margin: 22px 0; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px; }
.tile b { display: block; font-size: 26px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 13px; display: block; }
section { padding: 16px 20px 20px; margin: 0 0 16px; }
h2 { margin: 0 0 10px; font-size: 17px; }
h3 { margin: 16px 0 4px; font-size: 14px; }
p { margin: 6px 0; }
.soft, .note { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 16px; margin-bottom: 16px; }
.charts section { margin: 0; min-width: 0; }
.u-legend { font-size: 12px; }
.u-legend th, .u-legend td { text-align: left; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table.facts th { text-align: left; font-weight: 500; color: var(--soft); padding: 3px 18px 3px 0; vertical-align: top; white-space: nowrap; }
table.facts td { padding: 3px 0; overflow-wrap: anywhere; }
table.grid th, table.grid td { padding: 4px 10px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
table.grid th:first-child, table.grid td.name { text-align: left; }
table.grid thead th { color: var(--soft); font-weight: 500; font-size: 13px; }
tr.selected td { background: #eaf2ff; }
table.confusion td { text-align: center; min-width: 40px; padding: 5px 7px; border: 1px solid #fff; }
table.confusion th { font-weight: 500; font-size: 13px; padding: 3px 8px; color: var(--soft); white-space: nowrap; }
table.confusion tbody th { text-align: right; }
.columns { display: flex; flex-wrap: wrap; gap: 28px; align-items: flex-start; }
.bar { display: flex; height: 22px; border-radius: 5px; overflow: hidden; background: var(--line); margin: 6px 0 8px; }
.bar i { display: block; min-width: 2px; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; }
details { border-top: 1px solid var(--line); padding: 6px 0; }
summary { cursor: pointer; }
summary b { font-weight: 600; }
.items { columns: 4 180px; font-size: 13px; color: var(--soft); margin: 6px 0 4px; padding: 0; list-style: none; overflow-wrap: anywhere; }
.counted.pictures { grid-template-columns: repeat(auto-fill, minmax(192px, 1fr)); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(92px, 1fr)); gap: 10px; margin: 8px 0 12px; }
figure { margin: 0; font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; }
figure canvas { width: 100%; aspect-ratio: 1; object-fit: contain; background: #20242c; border-radius: 6px; image-rendering: pixelated; }
figure em { font-style: normal; color: var(--wrong); }
code { font: 13px ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
@media print { body { background: #fff; } section, .tile { break-inside: avoid; } }
`;

/** Before uPlot, which asks Intl for the browser's language: a Chromium in the C locale has one (`en-US@posix`) that Intl refuses. */
export const PRELUDE = `
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US' });
}
`;

/** Reads `#data`: the charts, and pixels of pictures. */
export const SCRIPT = `
(() => {
  const { charts, pictures } = JSON.parse(document.getElementById('data').textContent);
  const colours = ['#1f5fbf', '#d4660c', '#2e7d4f', '#8a3ffc', '#b3261e', '#00727a'];
  const whole = Array.from({ length: 27 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
  const show = {
    number: (v) => Math.abs(v) !== 0 && (Math.abs(v) < 0.001 || Math.abs(v) >= 1e5) ? v.toExponential(2) : String(+v.toPrecision(4)),
    share: (v) => (100 * v).toFixed(2) + '%',
    rate: (v) => v === 0 ? '0' : v.toExponential(2),
  };
  charts.forEach((chart, i) => {
    const place = document.getElementById('chart-' + i);
    const text = show[chart.unit];
    const width = () => Math.max(240, place.clientWidth);
    const mixed = chart.series.length > 1 && chart.series.some((s) => s.look === 'marked');
    let next = 0;
    const series = chart.series.map((s) => {
      const faint = mixed && s.look === 'fine';
      return {
        label: s.name,
        stroke: faint ? '#9dbbe6' : colours[next++ % colours.length],
        width: faint ? 1 : 2,
        spanGaps: true,
        points: { show: s.look === 'marked', size: 6 },
        value: (_, v) => v == null ? '' : text(v),
      };
    });
    const plot = new uPlot({
      width: width(),
      height: 270,
      scales: { x: { time: false } },
      axes: [
        { label: 'steps', labelSize: 18, size: 36, incrs: whole, stroke: '#5b6675', grid: { stroke: '#eef0f3' }, ticks: { stroke: '#e2e6ec' } },
        { size: 72, stroke: '#5b6675', grid: { stroke: '#eef0f3' }, ticks: { stroke: '#e2e6ec' }, values: (_, all) => all.map((v) => v == null ? '' : chart.unit === 'share' ? +(100 * v).toFixed(2) + '%' : text(v)) },
      ],
      series: [{ label: 'step', value: (_, v) => v == null ? '' : String(v) }, ...series],
    }, [chart.x, ...chart.series.map((s) => s.values)], place);
    new ResizeObserver(() => plot.setSize({ width: width(), height: 270 })).observe(place);
  });
  pictures.forEach(({ width, height, pixels }, i) => {
    const canvas = document.getElementById('picture-' + i);
    canvas.width = width;
    canvas.height = height;
    const rgb = Uint8Array.from(atob(pixels), (c) => c.charCodeAt(0));
    const image = new ImageData(width, height);
    for (let p = 0; p < width * height; p++) {
      image.data.set(rgb.subarray(3 * p, 3 * p + 3), 4 * p);
      image.data[4 * p + 3] = 255;
    }
    canvas.getContext('2d').putImageData(image, 0, 0);
  });
})();
`;
