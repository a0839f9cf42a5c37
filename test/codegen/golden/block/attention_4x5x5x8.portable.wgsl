@group(0) @binding(0) var<storage, read_write> t0: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> t1: array<vec4f>;

fn load_q4(z: u32, row: u32, d: u32) -> vec4f {
  let d4 = d / 4u;
  let i0 = z % 2u;
  let i1 = z / 2u;
  let v0 = t0[i0 * 2u + i1 * 60u + d4 + row * 12u];
  return v0;
}

fn load_k4(z: u32, j: u32, d: u32) -> vec4f {
  let d4 = d / 4u;
  let i0 = z % 2u;
  let i1 = z / 2u;
  let v0 = t0[i0 * 2u + i1 * 60u + d4 + j * 12u + 4u];
  return v0;
}

fn load_v4(z: u32, j: u32, e: u32) -> vec4f {
  let e4 = min(e / 4u, 1u);
  let i0 = z % 2u;
  let i1 = z / 2u;
  let v0 = t0[i0 * 2u + i1 * 60u + e4 + j * 12u + 8u];
  return v0;
}

fn store4(z: u32, row: u32, e: u32, v: vec4f) {
  let e4 = e / 4u;
  let i0 = z % 2u;
  let i1 = z / 2u;
  t1[i0 * 2u + i1 * 20u + e4 + row * 4u] = v;
}
