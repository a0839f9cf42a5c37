@group(0) @binding(0) var<storage, read_write> t0: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> t1: array<vec4f>;
@group(0) @binding(2) var<storage, read> t2: array<vec4f>;
@group(0) @binding(3) var<storage, read> t3: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = tile.x * 64u + thread;
  if (row >= 10u) {
    return;
  }
  var acc0 = vec4f(0.0f);
  for (var n1 = 0u; n1 < 4u; n1++) {
    let v2 = t1[n1 + row * 4u];
    acc0 = acc0 + v2;
  }
  let v3 = acc0.x + acc0.y + (acc0.z + acc0.w);
  let v4 = v3 / 16.0f;
  var acc5 = vec4f(0.0f);
  for (var n6 = 0u; n6 < 4u; n6++) {
    let v7 = t1[n6 + row * 4u];
    let v8 = v7 - v4;
    let v9 = v8 * v8;
    acc5 = acc5 + v9;
  }
  let v10 = acc5.x + acc5.y + (acc5.z + acc5.w);
  let v11 = 1.0f / sqrt(v10 / 16.0f + 0.000001f);
  for (var n12 = 0u; n12 < 4u; n12++) {
    let v13 = t1[n12 + row * 4u];
    let v14 = v13 - v4;
    let v15 = v14 * v11;
    let v16 = t2[n12];
    let v17 = v15 * v16;
    let v18 = t3[n12];
    let v19 = v17 + v18;
    t0[n12 + row * 4u] = v19;
  }
}
