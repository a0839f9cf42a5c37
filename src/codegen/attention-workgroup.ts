/**
 * Attention without any feature, legal on every adapter: 64 threads take 16 queries through all keys, 64 at a time. A thread owns
 * four queries and, of each block, four keys (for scores) and then four columns for each 64 (for the output); maxima, sums and
 * probabilities pass through 5 KiB of workgroup memory.
 */
import { type Grid, tileGrid } from './grid.js';
import { f32, factor, indent, plus, range, SMALLEST } from './lines.js';
import type { AttentionProblem, GeneratedVariant } from './problem.js';

/** Queries of a workgroup, queries of a thread, and threads that share these. */
const ROWS = 16;
const OWN = 4;
const ACROSS = 16;
const KEYS = 4 * ACROSS;

export function attentionWorkgroup(p: AttentionProblem, rank: number): GeneratedVariant {
  const grid = tileGrid(Math.ceil(p.rows / ROWS), p.batch, 1, p.maxWorkgroups);
  return {
    name: 'portable',
    requires: {},
    rank,
    wgsl: source(p, grid),
    workgroups: grid.counts,
  };
}

function source(p: AttentionProblem, grid: Grid): string {
  const inside = grid.partial ? [`z < ${p.batch}u`] : [];
  const rows = range(OWN);
  const vectors = range(Math.ceil(p.valueDim / KEYS));
  const columns = (v: number) => (v === 0 ? 'column' : `${plus('column', v * KEYS)}`);
  const ragged = p.keys % KEYS !== 0;
  const mask = (r: number, masked: string, value: string) =>
    ragged ? `s${r} = select(vec4f(${masked}), ${value}, valid);` : `s${r} = ${value};`;
  const scores = [
    ...rows.map((r) => `let q${r} = load_q4(z, min(${plus('row', r)}, ${p.rows - 1}u), d);`),
    ...range(4).map((c) => `let k${c} = load_k4(z, j.${'xyzw'[c]}, d);`),
    ...rows.map((r) => `s${r} += vec4f(dot(q${r}, k0), dot(q${r}, k1), dot(q${r}, k2), dot(q${r}, k3));`),
  ];
  const biased = [
    `var biased = array<vec4f, ${OWN}>(${rows.map((r) => `s${r}`).join(', ')});`,
    `for (var r = 0u; r < ${OWN}u; r++) {`,
    `  let at = min(row + r, ${p.rows - 1}u);`,
    '  biased[r] += vec4f(bias(z, at, j.x), bias(z, at, j.y), bias(z, at, j.z), bias(z, at, j.w));',
    '}',
    ...rows.map((r) => `s${r} = biased[${r}];`),
  ];
  const softmax = rows.flatMap((r) => [
    `let n${r} = max(m${r}, largest.${'xyzw'[r]});`,
    `let old${r} = exp(m${r} - n${r});`,
    mask(r, '0.0', `exp(s${r} - n${r})`),
    `m${r} = n${r};`,
    `l${r} = l${r} * old${r} + (s${r}.x + s${r}.y) + (s${r}.z + s${r}.w);`,
    `weights[(${plus('own', r)}) * ${ACROSS}u + across] = s${r};`,
    ...vectors.map((v) => `o${r}_${v} *= old${r};`),
  ]);
  const output = [
    `let key = min(vec4u(base + i) + vec4u(0u, ${ACROSS}u, ${2 * ACROSS}u, ${3 * ACROSS}u), vec4u(${p.keys - 1}u));`,
    ...rows.map((r) => `let w${r} = weights[(${plus('own', r)}) * ${ACROSS}u + i];`),
    ...vectors.flatMap((v) => range(4).map((c) => `let v${c}_${v} = load_v4(z, key.${'xyzw'[c]}, ${columns(v)});`)),
    ...rows.flatMap((r) =>
      vectors.map(
        (v) => `o${r}_${v} += w${r}.x * v0_${v} + w${r}.y * v1_${v} + w${r}.z * v2_${v} + w${r}.w * v3_${v};`,
      ),
    ),
  ];
  const outputs = rows.flatMap((r) => vectors.map((v) => `o${r}_${v} / sums[${r}]`));
  return `var<workgroup> partial: array<vec4f, ${(ROWS / OWN) * ACROSS}>;
var<workgroup> weights: array<vec4f, ${ROWS * ACROSS}>;

${p.declarations}

// ${ROWS} queries for each workgroup, ${KEYS} keys at a time.
@compute @workgroup_size(${(ROWS / OWN) * ACROSS})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
${indent(1, [...grid.lines, `let z = ${grid.row};`])}
  let across = thread % ${ACROSS}u;
  let own = (thread / ${ACROSS}u) * ${OWN}u;
  let row = ${factor(grid.column)} * ${ROWS}u + own;
  let column = across * 4u;
${indent(1, [
  ...rows.flatMap((r) => [`var m${r} = ${SMALLEST};`, `var l${r} = 0.0;`]),
  ...rows.flatMap((r) => vectors.map((v) => `var o${r}_${v} = vec4f(0.0);`)),
])}
  for (var base = 0u; base < ${p.keys}u; base += ${KEYS}u) {
    let past = vec4u(base + across) + vec4u(0u, ${ACROSS}u, ${2 * ACROSS}u, ${3 * ACROSS}u);
    let j = min(past, vec4u(${p.keys - 1}u));${ragged ? '\n    let valid = past == j;' : ''}
${indent(
  2,
  rows.map((r) => `var s${r} = vec4f(0.0);`),
)}
    for (var d = 0u; d < ${p.headDim}u; d += 4u) {
${indent(3, scores)}
    }
${indent(2, [
  ...rows.map((r) => `s${r} *= ${f32(p.scale)};`),
  ...(p.hasBias ? biased : []),
  ...rows.map((r) => mask(r, SMALLEST, `s${r}`)),
  `partial[thread] = vec4f(${rows.map((r) => `max(max(s${r}.x, s${r}.y), max(s${r}.z, s${r}.w))`).join(', ')});`,
])}
    workgroupBarrier();
    var largest = vec4f(${SMALLEST});
    for (var i = 0u; i < ${ACROSS}u; i++) {
      largest = max(largest, partial[own / ${OWN}u * ${ACROSS}u + i]);
    }
${indent(2, softmax)}
    workgroupBarrier();
    for (var i = 0u; i < ${ACROSS}u; i++) {
${indent(3, output)}
    }
  }
  workgroupBarrier();
  partial[thread] = vec4f(${rows.map((r) => `l${r}`).join(', ')});
  workgroupBarrier();
  var sums = vec4f(0.0);
  for (var i = 0u; i < ${ACROSS}u; i++) {
    sums += partial[own / ${OWN}u * ${ACROSS}u + i];
  }
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var outputs = array<vec4f, ${outputs.length}>(${outputs.join(', ')});
  for (var i = 0u; i < ${outputs.length}u; i++) {
    let r = row + i / ${vectors.length}u;
    let c = column + (i % ${vectors.length}u) * ${KEYS}u;
    if (${[...inside, `r < ${p.rows}u`, `c < ${p.valueDim}u`].join(' && ')}) { store4(z, r, c, outputs[i]); }
  }${
    p.hasLse
      ? `
  let lse = vec4f(${rows.map((r) => `m${r}`).join(', ')}) + log(sums);
  for (var r = 0u; r < ${OWN}u; r++) {
    if (${[...inside, 'across == 0u', `row + r < ${p.rows}u`].join(' && ')}) { store_lse(z, row + r, lse[r]); }
  }`
      : ''
  }
}
`;
}
