/** Attention without any feature: a thread takes one query through all keys, four at a time. Legal on every adapter. */
import { f32, indent, range, SMALLEST } from './lines.js';
import type { AttentionProblem, GeneratedVariant } from './problem.js';

const THREADS = 64;

export function attentionRegisters(p: AttentionProblem, rank: number): GeneratedVariant {
  return {
    name: 'portable',
    requires: {},
    rank,
    wgsl: source(p),
    workgroups: [Math.ceil(p.rows / THREADS), p.batch, 1],
  };
}

function source(p: AttentionProblem): string {
  const columns = range(Math.ceil(p.valueDim / 4));
  const last = p.keys - 1;
  const ragged = p.keys % 4 !== 0;
  const bias = p.hasBias ? ' + vec4f(bias(z, row, j.x), bias(z, row, j.y), bias(z, row, j.z), bias(z, row, j.w))' : '';
  return `${p.declarations}

// One query for each thread.
@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let z = id.y;
  let row = id.x;
  if (row >= ${p.rows}u) { return; }
  var m = ${SMALLEST};
  var l = 0.0;
${indent(
  1,
  columns.map((c) => `var o${c} = vec4f(0.0);`),
)}
  for (var base = 0u; base < ${p.keys}u; base += 4u) {
    let past = vec4u(base) + vec4u(0u, 1u, 2u, 3u);
    let j = min(past, vec4u(${last}u));
    var s = vec4f(0.0);
    for (var d = 0u; d < ${p.headDim}u; d += 4u) {
      let q = load_q4(z, row, d);
      s += vec4f(dot(q, load_k4(z, j.x, d)), dot(q, load_k4(z, j.y, d)), dot(q, load_k4(z, j.z, d)), dot(q, load_k4(z, j.w, d)));
    }
    s = s * ${f32(p.scale)}${bias};${ragged ? `\n    s = select(vec4f(${SMALLEST}), s, past == j);` : ''}
    let larger = max(m, max(max(s.x, s.y), max(s.z, s.w)));
    let old = exp(m - larger);
    var w = exp(s - larger);${ragged ? '\n    w = select(vec4f(0.0), w, past == j);' : ''}
    m = larger;
    l = l * old + (w.x + w.y) + (w.z + w.w);
${indent(
  2,
  columns.map((c) => `o${c} *= old;`),
)}
    for (var i = 0u; i < 4u; i++) {
      let key = min(base + i, ${last}u);
${indent(
  3,
  columns.map((c) => `o${c} = fma(vec4f(w.x), load_v4(z, key, ${4 * c}u), o${c});`),
)}
      w = w.yzwx;
    }
  }
  var outputs = array<vec4f, ${columns.length}>(${columns.map((c) => `o${c}`).join(', ')});
  for (var c = 0u; c < ${columns.length}u; c++) { store4(z, row, c * 4u, outputs[c] / l); }${p.hasLse ? '\n  store_lse(z, row, m + log(l));' : ''}
}
`;
}
