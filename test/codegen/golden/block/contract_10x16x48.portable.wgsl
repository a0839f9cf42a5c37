@group(0) @binding(0) var<storage, read> weight: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> t1: array<vec4f>;
@group(0) @binding(2) var<storage, read> t2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> t3: array<vec4f>;

fn load_a4(z: u32, row: u32, k: u32) -> vec4f {
  var a = vec4f(0.0f);
  if (row < 10u && k < 16u) {
    let k4 = k / 4u;
    let v0 = t1[k4 + row * 4u];
    a = v0;
  }
  return a;
}

fn load_b4(z: u32, k: u32, col: u32, j: u32) -> vec4f {
  let k4 = k / 4u;
  let col4 = col / 4u;
  let i0 = col4 % 8u;
  let i1 = col4 / 8u;
  return weight[i0 + i1 * 128u + j * 8u + k4 * 32u];
}

fn store4(z: u32, row: u32, col: u32, v: vec4f) {
  let col4 = col / 4u;
  let v0 = t2[col4];
  let v1 = v + v0;
  t3[col4 + row * 12u] = v1;
}
