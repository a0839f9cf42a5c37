@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<f32>;

var<workgroup> partial: array<vec4f, 64>;
var<workgroup> weights: array<vec4f, 256>;

fn load_q4(z: u32, row: u32, column: u32) -> vec4f {
  let c4 = min(column / 4u, 1u);
  let zz = min(z, 1u);
  let rr = min(row, 2u);
  let v0 = select(vec4f(select(0.0f, 1e+30f, column >= 8u)), q[c4 + rr * 2u + zz * 6u], column + vec4u(0u, 1u, 2u, 3u) < vec4u(8u));
  return select(vec4f(0.0f), v0, row < 3u);
}

fn load_k4(z: u32, row: u32, column: u32) -> vec4f {
  let c4 = min(column / 4u, 1u);
  let zz = min(z, 1u);
  let rr = min(row, 69u);
  let v0 = select(vec4f(select(0.0f, 1e+30f, column >= 8u)), k[c4 + rr * 2u + zz * 140u], column + vec4u(0u, 1u, 2u, 3u) < vec4u(8u));
  return select(vec4f(0.0f), v0, row < 70u);
}

fn load_v4(z: u32, row: u32, column: u32) -> vec4f {
  let c4 = min(column / 4u, 1u);
  let zz = min(z, 1u);
  let rr = min(row, 69u);
  let v0 = select(vec4f(select(0.0f, 1e+30f, column >= 8u)), v[c4 + rr * 2u + zz * 140u], column + vec4u(0u, 1u, 2u, 3u) < vec4u(8u));
  return select(vec4f(0.0f), v0, row < 70u);
}

fn store4(z: u32, row: u32, column: u32, v: vec4f) {
  let c4 = min(column / 4u, 1u);
  let zz = min(z, 1u);
  let rr = min(row, 2u);
  y[c4 + rr * 2u + zz * 6u] = v;
}

fn store_lse(z: u32, row: u32, v: f32) {
  lse[row + z * 3u] = v;
}

fn bias(z: u32, row: u32, j: u32) -> f32 {
  let zz = min(z, 1u);
  return table[j + row * 70u + zz * 210u];
}

// 16 queries for each workgroup, 64 keys at a time.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let zero = group.x / 65535u;
  let z = group.y;
  let across = thread % 16u;
  let own = thread / 16u * 4u;
  let row = group.x * 16u + own;
  let column = across * 4u;
  var m0 = -3.4028234663852886e+38f;
  var l0 = 0.0f;
  var m1 = -3.4028234663852886e+38f;
  var l1 = 0.0f;
  var m2 = -3.4028234663852886e+38f;
  var l2 = 0.0f;
  var m3 = -3.4028234663852886e+38f;
  var l3 = 0.0f;
  var o0_0 = vec4f(0.0f);
  var o1_0 = vec4f(0.0f);
  var o2_0 = vec4f(0.0f);
  var o3_0 = vec4f(0.0f);
  for (var base = zero; base < 70u; base += 64u) {
    let past = base + across + vec4u(0u, 16u, 32u, 48u);
    let j = min(past, vec4u(69u));
    let valid = past == j;
    var s0 = vec4f(0.0f);
    var s1 = vec4f(0.0f);
    var s2 = vec4f(0.0f);
    var s3 = vec4f(0.0f);
    for (var d = zero; d < 8u; d += 4u) {
      let q0 = load_q4(z, min(row, 2u), d);
      let q1 = load_q4(z, min(row + 1u, 2u), d);
      let q2 = load_q4(z, min(row + 2u, 2u), d);
      let q3 = load_q4(z, min(row + 3u, 2u), d);
      let k0 = load_k4(z, j.x, d);
      let k1 = load_k4(z, j.y, d);
      let k2 = load_k4(z, j.z, d);
      let k3 = load_k4(z, j.w, d);
      s0 = s0 + vec4f(dot(q0, k0), dot(q0, k1), dot(q0, k2), dot(q0, k3));
      s1 = s1 + vec4f(dot(q1, k0), dot(q1, k1), dot(q1, k2), dot(q1, k3));
      s2 = s2 + vec4f(dot(q2, k0), dot(q2, k1), dot(q2, k2), dot(q2, k3));
      s3 = s3 + vec4f(dot(q3, k0), dot(q3, k1), dot(q3, k2), dot(q3, k3));
    }
    s0 = s0 * 0.35355338f;
    s1 = s1 * 0.35355338f;
    s2 = s2 * 0.35355338f;
    s3 = s3 * 0.35355338f;
    var biased = array<vec4f, 4>(s0, s1, s2, s3);
    for (var r = zero; r < 4u; r++) {
      let at = min(row + r, 2u);
      biased[r] = biased[r] + vec4f(bias(z, at, j.x), bias(z, at, j.y), bias(z, at, j.z), bias(z, at, j.w));
    }
    s0 = biased[0u];
    s1 = biased[1u];
    s2 = biased[2u];
    s3 = biased[3u];
    s0 = select(vec4f(-3.4028234663852886e+38f), s0, valid);
    s1 = select(vec4f(-3.4028234663852886e+38f), s1, valid);
    s2 = select(vec4f(-3.4028234663852886e+38f), s2, valid);
    s3 = select(vec4f(-3.4028234663852886e+38f), s3, valid);
    partial[thread] = vec4f(max(max(s0.x, s0.y), max(s0.z, s0.w)), max(max(s1.x, s1.y), max(s1.z, s1.w)), max(max(s2.x, s2.y), max(s2.z, s2.w)), max(max(s3.x, s3.y), max(s3.z, s3.w)));
    workgroupBarrier();
    var largest = vec4f(-3.4028234663852886e+38f);
    for (var i = zero; i < 16u; i++) {
      largest = max(largest, partial[own / 4u * 16u + i]);
    }
    let n0 = max(m0, largest.x);
    let old0 = exp(m0 - n0);
    s0 = select(vec4f(0.0f), exp(s0 - n0), valid);
    m0 = n0;
    l0 = l0 * old0 + (s0.x + s0.y) + (s0.z + s0.w);
    weights[own * 16u + across] = s0;
    o0_0 = o0_0 * old0;
    let n1 = max(m1, largest.y);
    let old1 = exp(m1 - n1);
    s1 = select(vec4f(0.0f), exp(s1 - n1), valid);
    m1 = n1;
    l1 = l1 * old1 + (s1.x + s1.y) + (s1.z + s1.w);
    weights[(own + 1u) * 16u + across] = s1;
    o1_0 = o1_0 * old1;
    let n2 = max(m2, largest.z);
    let old2 = exp(m2 - n2);
    s2 = select(vec4f(0.0f), exp(s2 - n2), valid);
    m2 = n2;
    l2 = l2 * old2 + (s2.x + s2.y) + (s2.z + s2.w);
    weights[(own + 2u) * 16u + across] = s2;
    o2_0 = o2_0 * old2;
    let n3 = max(m3, largest.w);
    let old3 = exp(m3 - n3);
    s3 = select(vec4f(0.0f), exp(s3 - n3), valid);
    m3 = n3;
    l3 = l3 * old3 + (s3.x + s3.y) + (s3.z + s3.w);
    weights[(own + 3u) * 16u + across] = s3;
    o3_0 = o3_0 * old3;
    workgroupBarrier();
    for (var i = zero; i < 16u; i++) {
      let key = min(base + i + vec4u(0u, 16u, 32u, 48u), vec4u(69u));
      let w0 = weights[own * 16u + i];
      let w1 = weights[(own + 1u) * 16u + i];
      let w2 = weights[(own + 2u) * 16u + i];
      let w3 = weights[(own + 3u) * 16u + i];
      let v0_0 = load_v4(z, key.x, column);
      let v1_0 = load_v4(z, key.y, column);
      let v2_0 = load_v4(z, key.z, column);
      let v3_0 = load_v4(z, key.w, column);
      o0_0 = o0_0 + (w0.x * v0_0 + w0.y * v1_0 + w0.z * v2_0 + w0.w * v3_0);
      o1_0 = o1_0 + (w1.x * v0_0 + w1.y * v1_0 + w1.z * v2_0 + w1.w * v3_0);
      o2_0 = o2_0 + (w2.x * v0_0 + w2.y * v1_0 + w2.z * v2_0 + w2.w * v3_0);
      o3_0 = o3_0 + (w3.x * v0_0 + w3.y * v1_0 + w3.z * v2_0 + w3.w * v3_0);
    }
  }
  workgroupBarrier();
  partial[thread] = vec4f(l0, l1, l2, l3);
  workgroupBarrier();
  var sums = vec4f(0.0f);
  for (var i = zero; i < 16u; i++) {
    sums = sums + partial[own / 4u * 16u + i];
  }
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var results = array<vec4f, 4>(o0_0 / sums.x, o1_0 / sums.y, o2_0 / sums.z, o3_0 / sums.w);
  for (var i = zero; i < 4u; i++) {
    let r = row + i;
    let c = column;
    if (r < 3u && c < 8u) {
      store4(z, r, c, results[i]);
    }
  }
  let lse = vec4f(m0, m1, m2, m3) + log(sums);
  for (var r = zero; r < 4u; r++) {
    if (across == 0u && row + r < 3u) {
      store_lse(z, row + r, lse[r]);
    }
  }
}
