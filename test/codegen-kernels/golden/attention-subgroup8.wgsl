enable subgroups;

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<f32>;

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

fn across_max(own: f32) -> f32 {
  var v = own;
  v = max(v, subgroupShuffleXor(v, 1u));
  v = max(v, subgroupShuffleXor(v, 2u));
  v = max(v, subgroupShuffleXor(v, 4u));
  return v;
}

fn across_add(own: f32) -> f32 {
  var v = own;
  v = v + subgroupShuffleXor(v, 1u);
  v = v + subgroupShuffleXor(v, 2u);
  v = v + subgroupShuffleXor(v, 4u);
  return v;
}

// 4 queries for each subgroup of 8, 32 keys at a time.
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let zero = group.x / 65535u;
  let z = group.y;
  let row = group.x * 4u;
  let first = lane / 2u * 2u;
  let column = lane % 2u * 4u;
  var m0 = -3.4028234663852886e+38f;
  var m1 = -3.4028234663852886e+38f;
  var m2 = -3.4028234663852886e+38f;
  var m3 = -3.4028234663852886e+38f;
  var l0 = 0.0f;
  var l1 = 0.0f;
  var l2 = 0.0f;
  var l3 = 0.0f;
  var o0_0 = vec4f(0.0f);
  var o1_0 = vec4f(0.0f);
  var o2_0 = vec4f(0.0f);
  var o3_0 = vec4f(0.0f);
  for (var base = zero; base < 70u; base += 32u) {
    var s0 = vec4f(0.0f);
    var s1 = vec4f(0.0f);
    var s2 = vec4f(0.0f);
    var s3 = vec4f(0.0f);
    let j0 = min(base + lane, 69u);
    let j1 = min(base + 8u + lane, 69u);
    let j2 = min(base + 16u + lane, 69u);
    let j3 = min(base + 24u + lane, 69u);
    for (var d = zero; d < 8u; d += 8u) {
      let q0 = load_q4(z, min(row + lane % 4u, 2u), d + 4u * (lane / 4u % 2u));
      let k0_0 = load_k4(z, j0, d);
      let k0_1 = load_k4(z, j1, d);
      let k0_2 = load_k4(z, j2, d);
      let k0_3 = load_k4(z, j3, d);
      let k1_0 = load_k4(z, j0, d + 4u);
      let k1_1 = load_k4(z, j1, d + 4u);
      let k1_2 = load_k4(z, j2, d + 4u);
      let k1_3 = load_k4(z, j3, d + 4u);
      {
        let q = subgroupBroadcast(q0, 0u);
        s0 = s0 + vec4f(dot(q, k0_0), dot(q, k0_1), dot(q, k0_2), dot(q, k0_3));
      }
      {
        let q = subgroupBroadcast(q0, 4u);
        s0 = s0 + vec4f(dot(q, k1_0), dot(q, k1_1), dot(q, k1_2), dot(q, k1_3));
      }
      {
        let q = subgroupBroadcast(q0, 1u);
        s1 = s1 + vec4f(dot(q, k0_0), dot(q, k0_1), dot(q, k0_2), dot(q, k0_3));
      }
      {
        let q = subgroupBroadcast(q0, 5u);
        s1 = s1 + vec4f(dot(q, k1_0), dot(q, k1_1), dot(q, k1_2), dot(q, k1_3));
      }
      {
        let q = subgroupBroadcast(q0, 2u);
        s2 = s2 + vec4f(dot(q, k0_0), dot(q, k0_1), dot(q, k0_2), dot(q, k0_3));
      }
      {
        let q = subgroupBroadcast(q0, 6u);
        s2 = s2 + vec4f(dot(q, k1_0), dot(q, k1_1), dot(q, k1_2), dot(q, k1_3));
      }
      {
        let q = subgroupBroadcast(q0, 3u);
        s3 = s3 + vec4f(dot(q, k0_0), dot(q, k0_1), dot(q, k0_2), dot(q, k0_3));
      }
      {
        let q = subgroupBroadcast(q0, 7u);
        s3 = s3 + vec4f(dot(q, k1_0), dot(q, k1_1), dot(q, k1_2), dot(q, k1_3));
      }
    }
    var biased = array<vec4f, 4>(s0 * 0.35355338f, s1 * 0.35355338f, s2 * 0.35355338f, s3 * 0.35355338f);
    for (var r = zero; r < 4u; r++) {
      let at = min(row + r, 2u);
      biased[r] = biased[r] + vec4f(bias(z, at, j0), bias(z, at, j1), bias(z, at, j2), bias(z, at, j3));
    }
    s0 = biased[0u];
    s1 = biased[1u];
    s2 = biased[2u];
    s3 = biased[3u];
    let valid = base + lane + vec4u(0u, 8u, 16u, 24u) < vec4u(70u);
    s0 = select(vec4f(-3.4028234663852886e+38f), s0, valid);
    {
      let m = max(m0, across_max(max(max(s0.x, s0.y), max(s0.z, s0.w))));
      let old = exp(m0 - m);
      s0 = select(vec4f(0.0f), exp(s0 - m), valid);
      m0 = m;
      l0 = l0 * old + (s0.x + s0.y) + (s0.z + s0.w);
      o0_0 = o0_0 * old;
    }
    s1 = select(vec4f(-3.4028234663852886e+38f), s1, valid);
    {
      let m = max(m1, across_max(max(max(s1.x, s1.y), max(s1.z, s1.w))));
      let old = exp(m1 - m);
      s1 = select(vec4f(0.0f), exp(s1 - m), valid);
      m1 = m;
      l1 = l1 * old + (s1.x + s1.y) + (s1.z + s1.w);
      o1_0 = o1_0 * old;
    }
    s2 = select(vec4f(-3.4028234663852886e+38f), s2, valid);
    {
      let m = max(m2, across_max(max(max(s2.x, s2.y), max(s2.z, s2.w))));
      let old = exp(m2 - m);
      s2 = select(vec4f(0.0f), exp(s2 - m), valid);
      m2 = m;
      l2 = l2 * old + (s2.x + s2.y) + (s2.z + s2.w);
      o2_0 = o2_0 * old;
    }
    s3 = select(vec4f(-3.4028234663852886e+38f), s3, valid);
    {
      let m = max(m3, across_max(max(max(s3.x, s3.y), max(s3.z, s3.w))));
      let old = exp(m3 - m);
      s3 = select(vec4f(0.0f), exp(s3 - m), valid);
      m3 = m;
      l3 = l3 * old + (s3.x + s3.y) + (s3.z + s3.w);
      o3_0 = o3_0 * old;
    }
    for (var i = zero; i < 2u; i++) {
      let owner = first + i;
      let v0_0 = load_v4(z, min(base + owner, 69u), column);
      let v1_0 = load_v4(z, min(base + 8u + owner, 69u), column);
      let v2_0 = load_v4(z, min(base + 16u + owner, 69u), column);
      let v3_0 = load_v4(z, min(base + 24u + owner, 69u), column);
      {
        let w = subgroupShuffle(s0, owner);
        o0_0 = o0_0 + (w.x * v0_0 + w.y * v1_0 + w.z * v2_0 + w.w * v3_0);
      }
      {
        let w = subgroupShuffle(s1, owner);
        o1_0 = o1_0 + (w.x * v0_0 + w.y * v1_0 + w.z * v2_0 + w.w * v3_0);
      }
      {
        let w = subgroupShuffle(s2, owner);
        o2_0 = o2_0 + (w.x * v0_0 + w.y * v1_0 + w.z * v2_0 + w.w * v3_0);
      }
      {
        let w = subgroupShuffle(s3, owner);
        o3_0 = o3_0 + (w.x * v0_0 + w.y * v1_0 + w.z * v2_0 + w.w * v3_0);
      }
    }
  }
  l0 = across_add(l0);
  o0_0 = o0_0 + subgroupShuffleXor(o0_0, 2u);
  o0_0 = o0_0 + subgroupShuffleXor(o0_0, 4u);
  l1 = across_add(l1);
  o1_0 = o1_0 + subgroupShuffleXor(o1_0, 2u);
  o1_0 = o1_0 + subgroupShuffleXor(o1_0, 4u);
  l2 = across_add(l2);
  o2_0 = o2_0 + subgroupShuffleXor(o2_0, 2u);
  o2_0 = o2_0 + subgroupShuffleXor(o2_0, 4u);
  l3 = across_add(l3);
  o3_0 = o3_0 + subgroupShuffleXor(o3_0, 2u);
  o3_0 = o3_0 + subgroupShuffleXor(o3_0, 4u);
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var results = array<vec4f, 4>(o0_0 / l0, o1_0 / l1, o2_0 / l2, o3_0 / l3);
  for (var i = zero; i < 4u; i++) {
    let r = row + i;
    let c = column;
    if (r < 3u && lane < 2u && c < 8u) {
      store4(z, r, c, results[i]);
    }
  }
  var sums = array<f32, 4>(m0 + log(l0), m1 + log(l1), m2 + log(l2), m3 + log(l3));
  for (var r = zero; r < 4u; r++) {
    if (lane == 0u && row + r < 3u) {
      store_lse(z, row + r, sums[r]);
    }
  }
}
