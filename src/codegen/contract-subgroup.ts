/**
 * Contraction shared through a subgroup. The lanes hold rows of a (four inputs each) and broadcast them to one another, so a value
 * of a is loaded once for the whole tile; each lane holds its own four columns of b. Nothing goes through workgroup memory, and
 * the loop has no barrier. Rows, columns and inputs past the end are computed on zeros and not stored: every lane stays active,
 * as subgroup operations require.
 */
import type { SubgroupSchedule } from './contract-schedules.js';
import { paddedK, weightFunction } from './contract-weight.js';
import { type Grid, tileGrid } from './grid.js';
import { factor, indent, plus, range } from './lines.js';
import type { ContractProblem, GeneratedVariant } from './problem.js';

export function contractSubgroup(p: ContractProblem, s: SubgroupSchedule, rank: number): GeneratedVariant {
  const columns = 4 * s.size * s.vectors;
  const grid = tileGrid(Math.ceil(p.n / columns), Math.ceil(p.m / s.rows), p.batch, p.maxWorkgroups);
  return {
    name: `subgroup${s.size}`,
    requires: { features: ['subgroups'], subgroupSize: s.size },
    rank,
    wgsl: source(p, s, columns, grid),
    workgroups: grid.counts,
  };
}

function source(p: ContractProblem, s: SubgroupSchedule, columns: number, grid: Grid): string {
  const held = Math.max(1, s.rows / s.size);
  /** Lanes that share a row and hold different inputs of it. */
  const lanesPerRow = s.kStep / 4;
  const registers = range(s.rows).flatMap((r) => range(s.vectors).map((v) => `c${r}_${v}`));
  const body: string[] = [];
  if (s.rows >= s.size) {
    for (let h = 0; h < held; h++) {
      for (let q = 0; q < s.kStep; q += 4) {
        body.push(`let a${h}_${q / 4} = load_a4(z, ${plus('row', h * s.size)} + lane, ${plus('k', q)});`);
      }
    }
  } else {
    const input = lanesPerRow > 1 ? ` + 4u * ((lane / ${s.rows}u) % ${lanesPerRow}u)` : '';
    body.push(`let a0_0 = load_a4(z, row + lane % ${s.rows}u, k${input});`);
  }
  const load = (k: number) =>
    range(s.vectors).map((v) => `let b${k}_${v} = weight4(z, ${plus('k', k)}, ${plus('column', v * 4 * s.size)});`);
  const multiply = (r: number, k: number) => {
    const [value, lane] =
      s.rows >= s.size ? [`a${Math.floor(r / s.size)}_${k >> 2}`, r % s.size] : ['a0_0', r + (k >> 2) * s.rows];
    const a = `vec4f(subgroupBroadcast(${value}.${'xyzw'[k & 3]}, ${lane}u))`;
    return range(s.vectors).map((v) => `c${r}_${v} = fma(${a}, b${k}_${v}, c${r}_${v});`);
  };
  const inputs = range(s.kStep);
  if (s.order === 'row') {
    body.push(...inputs.flatMap(load), ...range(s.rows).flatMap((r) => inputs.flatMap((k) => multiply(r, k))));
  } else {
    body.push(...inputs.flatMap((k) => [...load(k), ...range(s.rows).flatMap((r) => multiply(r, k))]));
  }
  const at = s.vectors === 1 ? 'column' : `column + (i % ${s.vectors}u) * ${4 * s.size}u`;
  const conditions = [
    ...(grid.partial ? [`z < ${p.batch}u`] : []),
    ...(p.m % s.rows === 0 ? [] : [`r < ${p.m}u`]),
    ...(p.n % columns === 0 ? [] : [`c < ${p.n}u`]),
  ];
  const store = 'store4(z, r, c, sums[i]);';
  return `enable subgroups;

${p.declarations}

${weightFunction(p, s.kStep)}

// A tile of ${s.rows} rows by ${columns} columns for each subgroup of ${s.size}.
@compute @workgroup_size(${s.size})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
${indent(1, [
  ...grid.lines,
  `let z = ${grid.batch};`,
  `let row = ${factor(grid.row)} * ${s.rows}u;`,
  `let column = ${factor(grid.column)} * ${columns}u + lane * 4u;`,
])}
${indent(
  1,
  registers.map((r) => `var ${r} = vec4f(0.0);`),
)}
  for (var k = 0u; k < ${paddedK(p, s.kStep)}u; k += ${s.kStep}u) {
${indent(2, body)}
  }
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var sums = array<vec4f, ${registers.length}>(${registers.join(', ')});
  for (var i = 0u; i < ${registers.length}u; i++) {
    let r = row + ${s.vectors === 1 ? 'i' : `i / ${s.vectors}u`};
    let c = ${at};
    ${conditions.length > 0 ? `if (${conditions.join(' && ')}) { ${store} }` : store}
  }
}
`;
}
