enable subgroups;

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn load_a4(z: u32, row: u32, column: u32) -> vec4f {
  let c4 = min(column / 4u, 4u);
  let rr = min(row, 2u);
  let v0 = select(vec4f(select(0.0f, 0.0f, column >= 20u)), a[c4 + rr * 5u], column + vec4u(0u, 1u, 2u, 3u) < vec4u(20u));
  return select(vec4f(0.0f), v0, row < 3u);
}

fn load_b4(z: u32, k: u32, column: u32, j: u32) -> vec4f {
  let k4 = k / 4u;
  let column4 = column / 4u;
  let i0 = column4 % 8u;
  let i1 = column4 / 8u;
  return weight[i0 + i1 * 256u + j * 8u + k4 * 32u];
}

fn store4(z: u32, row: u32, column: u32, v: vec4f) {
  let c4 = min(column / 4u, 9u);
  let rr = min(row, 2u);
  y[c4 + rr * 10u] = v;
}

fn weight4(z: u32, k: u32, column: u32, j: u32) -> vec4f {
  return load_b4(z, k, column, j);
}

// A tile of 4 rows by 16 columns for each subgroup of 4.
@compute @workgroup_size(4)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let zero = group.x / 65535u;
  let z = group.z;
  let row = group.y * 4u;
  let column = group.x * 16u + lane * 4u;
  var c0_0 = vec4f(0.0f);
  var c1_0 = vec4f(0.0f);
  var c2_0 = vec4f(0.0f);
  var c3_0 = vec4f(0.0f);
  for (var k = zero; k < 20u; k += 4u) {
    let a0_0 = load_a4(z, row + lane, k);
    let b0_0 = weight4(z, k, column, 0u);
    c0_0 = fma(vec4f(subgroupBroadcast(a0_0.x, 0u)), b0_0, c0_0);
    c1_0 = fma(vec4f(subgroupBroadcast(a0_0.x, 1u)), b0_0, c1_0);
    c2_0 = fma(vec4f(subgroupBroadcast(a0_0.x, 2u)), b0_0, c2_0);
    c3_0 = fma(vec4f(subgroupBroadcast(a0_0.x, 3u)), b0_0, c3_0);
    let b1_0 = weight4(z, k, column, 1u);
    c0_0 = fma(vec4f(subgroupBroadcast(a0_0.y, 0u)), b1_0, c0_0);
    c1_0 = fma(vec4f(subgroupBroadcast(a0_0.y, 1u)), b1_0, c1_0);
    c2_0 = fma(vec4f(subgroupBroadcast(a0_0.y, 2u)), b1_0, c2_0);
    c3_0 = fma(vec4f(subgroupBroadcast(a0_0.y, 3u)), b1_0, c3_0);
    let b2_0 = weight4(z, k, column, 2u);
    c0_0 = fma(vec4f(subgroupBroadcast(a0_0.z, 0u)), b2_0, c0_0);
    c1_0 = fma(vec4f(subgroupBroadcast(a0_0.z, 1u)), b2_0, c1_0);
    c2_0 = fma(vec4f(subgroupBroadcast(a0_0.z, 2u)), b2_0, c2_0);
    c3_0 = fma(vec4f(subgroupBroadcast(a0_0.z, 3u)), b2_0, c3_0);
    let b3_0 = weight4(z, k, column, 3u);
    c0_0 = fma(vec4f(subgroupBroadcast(a0_0.w, 0u)), b3_0, c0_0);
    c1_0 = fma(vec4f(subgroupBroadcast(a0_0.w, 1u)), b3_0, c1_0);
    c2_0 = fma(vec4f(subgroupBroadcast(a0_0.w, 2u)), b3_0, c2_0);
    c3_0 = fma(vec4f(subgroupBroadcast(a0_0.w, 3u)), b3_0, c3_0);
  }
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var results = array<vec4f, 4>(c0_0, c1_0, c2_0, c3_0);
  for (var i = zero; i < 4u; i++) {
    let r = row + i;
    let c = column;
    if (r < 3u && c < 40u) {
      store4(z, r, c, results[i]);
    }
  }
}
