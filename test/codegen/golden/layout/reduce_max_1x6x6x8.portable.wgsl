@group(0) @binding(0) var<storage, read_write> t0: array<f32>;
@group(0) @binding(1) var<storage, read> t1: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
  let row = tile.x * 64u + thread;
  if (row >= 8u) {
    return;
  }
  var acc0 = vec4f(-3.4028234663852886e+38f);
  for (var n1 = 0u; n1 < 9u; n1++) {
    let v2 = vec4f(t1[n1 * 32u + row], t1[n1 * 32u + row + 8u], t1[n1 * 32u + row + 16u], t1[n1 * 32u + row + 24u]);
    acc0 = max(acc0, v2);
  }
  let v3 = max(max(acc0.x, acc0.y), max(acc0.z, acc0.w));
  t0[row] = v3;
}
