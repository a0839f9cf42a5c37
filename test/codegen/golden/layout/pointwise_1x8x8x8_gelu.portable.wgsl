@group(0) @binding(0) var<storage, read_write> t0: array<vec4f>;
@group(0) @binding(1) var<storage, read> t1: array<vec4f>;

fn erf4(x: vec4f) -> vec4f {
  let t = min(abs(x), vec4f(6.0f));
  let s = t * t;
  var far = -0.000017285347f * t + 0.00038319713f;
  let mid = -0.0038839644f * t + 0.024254622f;
  far = far * s + mid;
  far = far * t - 0.10677788f;
  far = far * t - 0.6348467f;
  far = far * t - 0.12871751f;
  far = far * t - t;
  far = 1.0f - exp(far);
  var near = -0.0005967617f * s + 0.0049911942f;
  near = near * s - 0.026768135f;
  near = near * s + 0.112819925f;
  near = near * s - 0.37612534f;
  near = near * s + 0.12837917f;
  near = near * t + t;
  return sign(x) * select(near, far, t > vec4f(0.9277344f));
}

fn gelu4(x: vec4f) -> vec4f {
  return 0.5f * x * (1.0f + erf4(x * 0.70710677f));
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
  let v0 = t1[i1 * 12u + i3 * 2u + i4];
  let v1 = select(vec4f(0.0f), v0, i1 < 6u && i3 < 6u);
  let v2 = gelu4(v1);
  t0[q] = v2;
}
