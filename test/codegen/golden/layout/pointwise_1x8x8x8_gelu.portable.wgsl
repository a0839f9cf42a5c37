@group(0) @binding(0) var<storage, read_write> t0: array<vec4f>;
@group(0) @binding(1) var<storage, read> t1: array<vec4f>;

fn erf4(x: vec4f) -> vec4f {
  let t = min(abs(x), vec4f(6.0f));
  let s = t * t;
  var far = vec4f(-1.72853470e-5f) * t + vec4f(3.83197126e-4f);
  let mid = vec4f(-3.88396438e-3f) * t + vec4f(2.42546219e-2f);
  far = far * s + mid;
  far = far * t - vec4f(1.06777877e-1f);
  far = far * t - vec4f(6.34846687e-1f);
  far = far * t - vec4f(1.28717512e-1f);
  far = far * t - t;
  far = vec4f(1.0f) - exp(far);
  var near = vec4f(-5.96761703e-4f) * s + vec4f(4.99119423e-3f);
  near = near * s - vec4f(2.67681349e-2f);
  near = near * s + vec4f(1.12819925e-1f);
  near = near * s - vec4f(3.76125336e-1f);
  near = near * s + vec4f(1.28379166e-1f);
  near = near * t + t;
  return sign(x) * select(near, far, t > vec4f(0.927734375f));
}

fn gelu4(x: vec4f) -> vec4f {
  return 0.5f * x * (vec4f(1.0f) + erf4(x * 0.7071067811865476f));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) thread: u32) {
  let q = tile.x * 64u + thread;
  if (q >= 128u) {
    return;
  }
  let i0 = q / 16u;
  let i1 = (i0 + 2u) % 8u;
  let i2 = q / 2u;
  let i3 = (i2 + 2u) % 8u;
  let i4 = q % 2u;
  let v5 = t1[i1 * 12u + i3 * 2u + i4];
  let v6 = select(vec4f(0.0f), v5, i1 < 6u && i3 < 6u);
  let v7 = gelu4(v6);
  t0[q] = v7;
}
