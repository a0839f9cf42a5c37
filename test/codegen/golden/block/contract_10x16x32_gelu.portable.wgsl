@group(0) @binding(0) var<storage, read> weight: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> t1: array<vec4f>;
@group(0) @binding(2) var<storage, read> t2: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> t3: array<vec4f>;

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

fn load_a4(z: u32, row: u32, k: u32) -> vec4f {
  var a = vec4f(0.0);
  if (row < 10u && k < 16u) {
    let k4 = k / 4u;
    let v0 = t1[k4 + row * 4u];
    a = v0;
  }
  return a;
}

fn store4(z: u32, row: u32, col: u32, v: vec4f) {
  let col4 = col / 4u;
  let v0 = t2[col4];
  let v1 = v + v0;
  let v2 = gelu4(v1);
  t3[col4 + row * 8u] = v2;
}
