@group(0) @binding(0) var<storage, read> weight: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> t1: array<vec4f>;
@group(0) @binding(2) var<storage, read> t2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> t3: array<vec4f>;

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
  return weight[col4 + j * 8u + k4 * 32u];
}

fn store4(z: u32, row: u32, col: u32, v: vec4f) {
  let col4 = col / 4u;
  let v0 = t2[col4];
  let v1 = v + v0;
  let v2 = gelu4(v1);
  t3[col4 + row * 8u] = v2;
}
