// bindings, load_a4 and store4

fn weight4(z: u32, k: u32, past: u32) -> vec4f {
  let column = min(past, 60u);
  let halves = weight[((column / 32u) * 2u + k / 16u) * 128u + (k % 16u) * 8u + (column % 32u) / 4u];
  return vec4f(unpack2x16float(halves.x), unpack2x16float(halves.y));
}

// A tile of 4 rows by 4 columns for each thread.
@compute @workgroup_size(64, 1)
fn main(@builtin(global_invocation_id) tile: vec3u) {
  let z = tile.z;
  let row = tile.y * 4u;
  let column = tile.x * 4u;
  var c0_0 = vec4f(0.0);
  var c1_0 = vec4f(0.0);
  var c2_0 = vec4f(0.0);
  var c3_0 = vec4f(0.0);
  for (var k = 0u; k < 32u; k += 4u) {
    let a0 = load_a4(z, row, k);
    let a1 = load_a4(z, row + 1u, k);
    let a2 = load_a4(z, row + 2u, k);
    let a3 = load_a4(z, row + 3u, k);
    let b0_0 = weight4(z, k, column);
    let b1_0 = weight4(z, k + 1u, column);
    let b2_0 = weight4(z, k + 2u, column);
    let b3_0 = weight4(z, k + 3u, column);
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
  var sums = array<vec4f, 4>(c0_0, c1_0, c2_0, c3_0);
  for (var i = 0u; i < 4u; i++) {
    let r = row + i / 1u;
    let c = column + 4u * (i % 1u);
    if (r < 3u && c < 40u) { store4(z, r, c, sums[i]); }
  }
}
