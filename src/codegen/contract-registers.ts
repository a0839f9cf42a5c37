/** Contraction without any feature: each thread computes its own tile in registers. Legal on every adapter. */
import type { RegisterSchedule } from './contract-schedules.js';
import { paddedK, weightFunction } from './contract-weight.js';
import { type Grid, tileGrid } from './grid.js';
import { factor, indent, plus } from './lines.js';
import type { ContractProblem, GeneratedVariant } from './problem.js';

export function contractRegisters(p: ContractProblem, s: RegisterSchedule, rank: number): GeneratedVariant {
  const [across, down] = s.threads;
  const columns = Math.ceil(p.n / (4 * s.vectors * across));
  const grid = tileGrid(columns, Math.ceil(p.m / (s.rows * down)), p.batch, p.maxWorkgroups);
  return {
    name: 'portable',
    requires: {},
    rank,
    wgsl: source(p, s, grid),
    workgroups: grid.counts,
  };
}

function source(p: ContractProblem, s: RegisterSchedule, grid: Grid): string {
  const [across, down] = s.threads;
  const registers: string[] = [];
  const body: string[] = [];
  for (let r = 0; r < s.rows; r++) {
    body.push(`let a${r} = load_a4(z, ${plus('row', r)}, k);`);
    for (let v = 0; v < s.vectors; v++) registers.push(`c${r}_${v}`);
  }
  for (let k = 0; k < 4; k++) {
    for (let v = 0; v < s.vectors; v++)
      body.push(`let b${k}_${v} = weight4(z, ${plus('k', k)}, ${plus('column', 4 * v)});`);
  }
  for (let r = 0; r < s.rows; r++) {
    for (let k = 0; k < 4; k++) {
      for (let v = 0; v < s.vectors; v++) {
        body.push(`c${r}_${v} = fma(vec4f(a${r}.${'xyzw'[k]}), b${k}_${v}, c${r}_${v});`);
      }
    }
  }
  const place = grid.folded
    ? {
        builtins: '@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u',
        batch: grid.batch,
        row: `(${factor(grid.row)} * ${down}u + local.y)`,
        column: `(${factor(grid.column)} * ${across}u + local.x)`,
      }
    : { builtins: '@builtin(global_invocation_id) tile: vec3u', batch: 'tile.z', row: 'tile.y', column: 'tile.x' };
  const inside = [...(grid.partial ? [`z < ${p.batch}u`] : []), `r < ${p.m}u`, `c < ${p.n}u`];
  return `${p.declarations}

${weightFunction(p, 4)}

// A tile of ${s.rows} rows by ${4 * s.vectors} columns for each thread.
@compute @workgroup_size(${across}, ${down})
fn main(${place.builtins}) {
${indent(1, [
  ...grid.lines,
  `let z = ${place.batch};`,
  `let row = ${place.row} * ${s.rows}u;`,
  `let column = ${place.column} * ${4 * s.vectors}u;`,
])}
${registers.map((r) => `  var ${r} = vec4f(0.0);`).join('\n')}
  for (var k = 0u; k < ${paddedK(p, 4)}u; k += 4u) {
${body.map((line) => `    ${line}`).join('\n')}
  }
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var sums = array<vec4f, ${registers.length}>(${registers.join(', ')});
  for (var i = 0u; i < ${registers.length}u; i++) {
    let r = row + i / ${s.vectors}u;
    let c = column + 4u * (i % ${s.vectors}u);
    if (${inside.join(' && ')}) { store4(z, r, c, sums[i]); }
  }
}
`;
}
