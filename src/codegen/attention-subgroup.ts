/**
 * Attention shared through a subgroup, streaming over keys: a running maximum and a running sum for each query, no score matrix.
 * Scores: a lane owns four keys, queries are broadcast. Output: a lane owns columns, probabilities are broadcast. Keys and rows
 * past the end are clamped and masked, so that all lanes stay active.
 */
import type { AttentionSubgroupSchedule } from './attention-schedules.js';
import { type Grid, tileGrid } from './grid.js';
import { f32, factor, indent, plus, range, SMALLEST } from './lines.js';
import type { AttentionProblem, GeneratedVariant } from './problem.js';

export function attentionSubgroup(p: AttentionProblem, s: AttentionSubgroupSchedule, rank: number): GeneratedVariant {
  const grid = tileGrid(Math.ceil(p.rows / s.rows), p.batch, 1, p.maxWorkgroups);
  return {
    name: `subgroup${s.size}`,
    requires: { features: ['subgroups'], subgroupSize: s.size },
    rank,
    wgsl: source(p, s, grid),
    workgroups: grid.counts,
  };
}

function source(p: AttentionProblem, s: AttentionSubgroupSchedule, grid: Grid): string {
  const rows = range(s.rows);
  const vectors = range(s.vectors);
  const declare = [
    ...rows.map((r) => `var m${r} = ${SMALLEST};`),
    ...rows.map((r) => `var l${r} = 0.0;`),
    ...rows.flatMap((r) => vectors.map((v) => `var o${r}_${v} = vec4f(0.0);`)),
  ];
  const ragged = s.groups > 1 || p.valueDim % (4 * s.size) !== 0;
  return `enable subgroups;

${p.declarations}

${reductions(s.size)}

// ${s.rows} queries for each subgroup of ${s.size}, ${4 * s.size} keys at a time.
@compute @workgroup_size(${s.size})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
${indent(1, [...grid.lines, `let z = ${grid.row};`, `let row = ${factor(grid.column)} * ${s.rows}u;`])}
${s.groups > 1 ? `  let first = (lane / ${s.size / s.groups}u) * ${s.size / s.groups}u;\n` : ''}  let column = ${s.groups > 1 ? `(lane % ${s.size / s.groups}u) * 4u` : 'lane * 4u'};
${indent(1, declare)}
  for (var base = 0u; base < ${p.keys}u; base += ${4 * s.size}u) {
${indent(2, [...rows.map((r) => `var s${r} = vec4f(0.0);`), ...range(4).map((c) => `let j${c} = min(${plus('base', c * s.size)} + lane, ${p.keys - 1}u);`)])}
    for (var d = 0u; d < ${p.headDim}u; d += ${s.dStep}u) {
${indent(3, scores(p, s))}
    }
${indent(2, softmax(p, s))}
    for (var i = 0u; i < ${s.size / s.groups}u; i++) {
${indent(3, output(p, s))}
    }
  }
${indent(1, finish(p, s, grid, ragged))}
}
`;
}

/**
 * Maximum and sum over a subgroup. Software drivers turn the built-in reductions into loops over lanes that are slow to compile and
 * to run; a few exchanges do the same.
 */
function reductions(size: number): string {
  const define = (name: string, built: string, step: (x: string, y: string) => string) => {
    const steps: string[] = [];
    for (let g = 1; g < size; g *= 2) steps.push(`v = ${step('v', `subgroupShuffleXor(v, ${g}u)`)};`);
    const body = size > 8 ? [`return ${built}(own);`] : ['var v = own;', ...steps, 'return v;'];
    return `fn ${name}(own: f32) -> f32 {\n${indent(1, body)}\n}`;
  };
  const max = define('across_max', 'subgroupMax', (x, y) => `max(${x}, ${y})`);
  return `${max}\n\n${define('across_add', 'subgroupAdd', (x, y) => `${x} + ${y}`)}`;
}

/** s_r += q_r . k for the four keys of each lane, over dStep inputs. */
function scores(p: AttentionProblem, s: AttentionSubgroupSchedule): string[] {
  const lines: string[] = [];
  const last = `${p.rows - 1}u`;
  if (s.rows >= s.size) {
    for (let h = 0; h < s.rows / s.size; h++) {
      lines.push(`let q${h} = load_q4(z, min(${plus('row', h * s.size)} + lane, ${last}), d);`);
    }
  } else {
    lines.push(
      `let q0 = load_q4(z, min(row + lane % ${s.rows}u, ${last}), d + 4u * ((lane / ${s.rows}u) % ${s.dStep / 4}u));`,
    );
  }
  for (let t = 0; t < s.dStep / 4; t++) {
    for (let c = 0; c < 4; c++) lines.push(`let k${t}_${c} = load_k4(z, j${c}, ${plus('d', 4 * t)});`);
  }
  for (let r = 0; r < s.rows; r++) {
    for (let t = 0; t < s.dStep / 4; t++) {
      const [held, lane] = s.rows >= s.size ? [Math.floor(r / s.size), r % s.size] : [0, r + t * s.rows];
      lines.push(`{ let q = subgroupBroadcast(q${held}, ${lane}u);`);
      lines.push(`  s${r} += vec4f(dot(q, k${t}_0), dot(q, k${t}_1), dot(q, k${t}_2), dot(q, k${t}_3)); }`);
    }
  }
  return lines;
}

/** Turns scores into probabilities against the new maximum and rescales what was summed against the old one. */
function softmax(p: AttentionProblem, s: AttentionSubgroupSchedule): string[] {
  const lines: string[] = [];
  if (p.hasBias) {
    // The one place with an indexed array: the bias function is then in the code four times and not four times a row.
    lines.push(
      `var biased = array<vec4f, ${s.rows}>(${range(s.rows)
        .map((r) => `s${r} * SCALE`)
        .join(', ')});`,
      `for (var r = 0u; r < ${s.rows}u; r++) {`,
      `  let at = min(row + r, ${p.rows - 1}u);`,
      '  biased[r] += vec4f(bias(z, at, j0), bias(z, at, j1), bias(z, at, j2), bias(z, at, j3));',
      '}',
      ...range(s.rows).map((r) => `s${r} = biased[${r}];`),
    );
  } else {
    for (let r = 0; r < s.rows; r++) lines.push(`s${r} *= SCALE;`);
  }
  const ragged = p.keys % (4 * s.size) !== 0;
  if (ragged) {
    lines.push(
      `let valid = vec4u(base + lane) + vec4u(0u, ${s.size}u, ${2 * s.size}u, ${3 * s.size}u) < vec4u(${p.keys}u);`,
    );
  }
  for (let r = 0; r < s.rows; r++) {
    if (ragged) lines.push(`s${r} = select(vec4f(${SMALLEST}), s${r}, valid);`);
    lines.push(
      `{ let m = max(m${r}, across_max(max(max(s${r}.x, s${r}.y), max(s${r}.z, s${r}.w))));`,
      `  let old = exp(m${r} - m);`,
      ragged ? `  s${r} = select(vec4f(0.0), exp(s${r} - m), valid);` : `  s${r} = exp(s${r} - m);`,
      `  m${r} = m;`,
      `  l${r} = l${r} * old + (s${r}.x + s${r}.y) + (s${r}.z + s${r}.w);`,
      ...range(s.vectors).map((v) => `  o${r}_${v} *= old;`),
      '}',
    );
  }
  return lines.map((line) => line.replaceAll('SCALE', f32(p.scale)));
}

/** o_r += p_r[j] * v[j] for the four keys of lane `owner`. */
function output(p: AttentionProblem, s: AttentionSubgroupSchedule): string[] {
  const lines: string[] = [];
  lines.push(`let owner = ${s.groups > 1 ? `first + i` : 'i'};`);
  for (let c = 0; c < 4; c++) {
    const key = `min(${plus('base', c * s.size)} + owner, ${p.keys - 1}u)`;
    for (let v = 0; v < s.vectors; v++)
      lines.push(`let v${c}_${v} = load_v4(z, ${key}, ${plus('column', v * 4 * s.size)});`);
  }
  for (let r = 0; r < s.rows; r++) {
    lines.push(`{ let w = subgroupShuffle(s${r}, owner);`);
    for (let v = 0; v < s.vectors; v++) {
      lines.push(`  o${r}_${v} += w.x * v0_${v} + w.y * v1_${v} + w.z * v2_${v} + w.w * v3_${v};`);
    }
    lines.push('}');
  }
  return lines;
}

/** Adds up what lanes hold apart, divides by the sum and stores. */
function finish(p: AttentionProblem, s: AttentionSubgroupSchedule, grid: Grid, ragged: boolean): string[] {
  const lines: string[] = [];
  for (let r = 0; r < s.rows; r++) {
    lines.push(`l${r} = across_add(l${r});`);
    for (let g = s.size / s.groups; g < s.size; g *= 2) lines.push(`o${r}_0 += subgroupShuffleXor(o${r}_0, ${g}u);`);
  }
  const outputs = range(s.rows).flatMap((r) => range(s.vectors).map((v) => `o${r}_${v} / l${r}`));
  const inside = grid.partial ? [`z < ${p.batch}u`] : [];
  const conditions = [
    ...inside,
    ...(p.rows % s.rows === 0 ? [] : [`r < ${p.rows}u`]),
    ...(s.groups > 1 ? [`lane < ${s.size / s.groups}u`] : []),
    ...(ragged ? [`c < ${p.valueDim}u`] : []),
  ];
  const store = 'store4(z, r, c, outputs[i]);';
  lines.push(
    `var outputs = array<vec4f, ${outputs.length}>(${outputs.join(', ')});`,
    `for (var i = 0u; i < ${outputs.length}u; i++) {`,
    `  let r = row + ${s.vectors === 1 ? 'i' : `i / ${s.vectors}u`};`,
    `  let c = column${s.vectors === 1 ? '' : ` + (i % ${s.vectors}u) * ${4 * s.size}u`};`,
    conditions.length > 0 ? `  if (${conditions.join(' && ')}) { ${store} }` : `  ${store}`,
    '}',
  );
  if (p.hasLse) {
    lines.push(
      `var sums = array<f32, ${s.rows}>(${range(s.rows)
        .map((r) => `m${r} + log(l${r})`)
        .join(', ')});`,
      `for (var r = 0u; r < ${s.rows}u; r++) {`,
      `  if (${[...inside, 'lane == 0u', `row + r < ${p.rows}u`].join(' && ')}) { store_lse(z, row + r, sums[r]); }`,
      '}',
    );
  }
  return lines;
}
