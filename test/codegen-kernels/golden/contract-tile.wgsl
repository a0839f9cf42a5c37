@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

var<workgroup> block_a: array<vec4f, 32>;
var<workgroup> block_b: array<vec4f, 256>;

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

// A tile of 8 rows by 64 columns for each workgroup, 16 inputs at a time.
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {
  let z = group.z;
  let first_row = group.y * 8u;
  let first_column = group.x * 64u;
  let thread_x = thread % 8u;
  let thread_y = thread / 8u * 1u;
  var c0_0 = vec4f(0.0f);
  var c0_1 = vec4f(0.0f);
  for (var k = 0u; k < 32u; k += 16u) {
    if (thread < 32u) {
      block_a[thread] = load_a4(z, first_row + thread / 4u, k + 4u * (thread % 4u));
    }
    {
      let from_k = thread / 16u;
      block_b[thread] = weight4(z, k + from_k / 4u * 4u, first_column + thread % 16u * 4u, from_k % 4u);
    }
    {
      let from_k = (thread + 64u) / 16u;
      block_b[thread + 64u] = weight4(z, k + from_k / 4u * 4u, first_column + (thread + 64u) % 16u * 4u, from_k % 4u);
    }
    {
      let from_k = (thread + 128u) / 16u;
      block_b[thread + 128u] = weight4(z, k + from_k / 4u * 4u, first_column + (thread + 128u) % 16u * 4u, from_k % 4u);
    }
    {
      let from_k = (thread + 192u) / 16u;
      block_b[thread + 192u] = weight4(z, k + from_k / 4u * 4u, first_column + (thread + 192u) % 16u * 4u, from_k % 4u);
    }
    workgroupBarrier();
    for (var q = 0u; q < 4u; q++) {
      let a0 = block_a[thread_y * 4u + q];
      let b0_0 = block_b[q * 4u * 16u + thread_x];
      let b0_1 = block_b[q * 4u * 16u + thread_x + 8u];
      c0_0 = fma(vec4f(a0.x), b0_0, c0_0);
      c0_1 = fma(vec4f(a0.x), b0_1, c0_1);
      let b1_0 = block_b[(q * 4u + 1u) * 16u + thread_x];
      let b1_1 = block_b[(q * 4u + 1u) * 16u + thread_x + 8u];
      c0_0 = fma(vec4f(a0.y), b1_0, c0_0);
      c0_1 = fma(vec4f(a0.y), b1_1, c0_1);
      let b2_0 = block_b[(q * 4u + 2u) * 16u + thread_x];
      let b2_1 = block_b[(q * 4u + 2u) * 16u + thread_x + 8u];
      c0_0 = fma(vec4f(a0.z), b2_0, c0_0);
      c0_1 = fma(vec4f(a0.z), b2_1, c0_1);
      let b3_0 = block_b[(q * 4u + 3u) * 16u + thread_x];
      let b3_1 = block_b[(q * 4u + 3u) * 16u + thread_x + 8u];
      c0_0 = fma(vec4f(a0.w), b3_0, c0_0);
      c0_1 = fma(vec4f(a0.w), b3_1, c0_1);
    }
    workgroupBarrier();
  }
  let row = first_row + thread_y;
  let column = first_column + thread_x * 4u;
  // One copy of the epilogue in the code: compilers are slow where it is written out for every row.
  var results = array<vec4f, 2>(c0_0, c0_1);
  for (var i = 0u; i < 2u; i++) {
    let r = row + i / 2u;
    let c = column + i % 2u * 32u;
    if (r < 3u && c < 40u) {
      store4(z, r, c, results[i]);
    }
  }
}
