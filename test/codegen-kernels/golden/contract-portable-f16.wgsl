@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<vec2u>;
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
  let halves2 = weight[i0 + i1 * 256u + j * 8u + k4 * 32u];
  return vec4f(unpack2x16float(halves2.x), unpack2x16float(halves2.y));
}

fn store4(z: u32, row: u32, column: u32, v: vec4f) {
  let c4 = min(column / 4u, 9u);
  let rr = min(row, 2u);
  y[c4 + rr * 10u] = v;
}

fn weight4(z: u32, k: u32, column: u32, j: u32) -> vec4f {
  return load_b4(z, k, min(column, 60u), j);
}

// A tile of 4 rows by 4 columns for each thread.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) tile: vec3u) {
  let zero = tile.x / 4194240u;
  let z = tile.z;
  let row = tile.y * 4u;
  let column = tile.x * 4u;
  var c0_0 = vec4f(0.0f);
  var c1_0 = vec4f(0.0f);
  var c2_0 = vec4f(0.0f);
  var c3_0 = vec4f(0.0f);
  for (var k = zero; k < 20u; k += 4u) {
    let a0 = load_a4(z, row, k);
    let a1 = load_a4(z, row + 1u, k);
    let a2 = load_a4(z, row + 2u, k);
    let a3 = load_a4(z, row + 3u, k);
    let b0_0 = weight4(z, k, column, 0u);
    let b1_0 = weight4(z, k, column, 1u);
    let b2_0 = weight4(z, k, column, 2u);
    let b3_0 = weight4(z, k, column, 3u);
    c0_0 = fma(vec4f(a0.x), b0_0, c0_0);
    c0_0 = fma(vec4f(a0.y), b1_0, c0_0);
    c0_0 = fma(vec4f(a0.z), b2_0, c0_0);
    c0_0 = fma(vec4f(a0.w), b3_0, c0_0);
    c1_0 = fma(vec4f(a1.x), b0_0, c1_0);
    c1_0 = fma(vec4f(a1.y), b1_0, c1_0);
    c1_0 = fma(vec4f(a1.z), b2_0, c1_0);
    c1_0 = fma(vec4f(a1.w), b3_0, c1_0);
    c2_0 = fma(vec4f(a2.x), b0_0, c2_0);
    c2_0 = fma(vec4f(a2.y), b1_0, c2_0);
    c2_0 = fma(vec4f(a2.z), b2_0, c2_0);
    c2_0 = fma(vec4f(a2.w), b3_0, c2_0);
    c3_0 = fma(vec4f(a3.x), b0_0, c3_0);
    c3_0 = fma(vec4f(a3.y), b1_0, c3_0);
    c3_0 = fma(vec4f(a3.z), b2_0, c3_0);
    c3_0 = fma(vec4f(a3.w), b3_0, c3_0);
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
