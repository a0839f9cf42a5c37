/**
 * WGSL functions that kernels call for what the language lacks or does not promise accurately enough. Each exists for f32 and,
 * with the suffix `4`, for vec4f; a kernel's text holds those it uses.
 */

interface Helper {
  /** Written over T (f32 or vec4f) and B (bool or vec4<bool>); `$` is the suffix of calls to other helpers. */
  readonly body: string;
  readonly uses: readonly HelperBase[];
}

export type HelperBase = 'sin_' | 'cos_' | 'erf' | 'tanh_' | 'sigmoid' | 'gelu' | 'gelu_tanh' | 'gelu_quick' | 'pow_';
export type HelperName = HelperBase | `${HelperBase}4`;

const SINE = (start: string, sign: string): string => `  let n = ${start};
  var r = x - n * 3.140625f;
  r = r - n * 0.00096702575683594f;
  r = r - n * 6.2771141529083e-7f;
  let s = r * r;
  let series = T(-0.166666667f) + s * (T(0.00833333333f) + s * (T(-1.98412698e-4f) + s * (T(2.75573192e-6f) - s * 2.50521084e-8f)));
  let odd = ${sign};
  let y = r + r * s * series;
  return select(y, -y, odd);`;

const HELPERS: { readonly [H in HelperBase]: Helper } = {
  // WGSL promises sin and cos to 2^-11 only. The multiple of pi is taken out in three parts whose products are exact, the rest is
  // a series on -pi/2..pi/2.
  sin_: {
    uses: [],
    body: `fn sin_$(x: T) -> T {\n${SINE('round(x * 0.318309886f)', 'abs(n - 2.0f * floor(n * 0.5f)) == T(1.0f)')}\n}`,
  },
  // cos x = sin(x + pi/2): n is the odd half multiple.
  cos_: {
    uses: [],
    body: `fn cos_$(x: T) -> T {\n${SINE('floor(x * 0.318309886f) + 0.5f', 'abs(n - 0.5f - 2.0f * floor((n - 0.5f) * 0.5f)) != T(1.0f)')}\n}`,
  },
  // Two minimax polynomials (after N. Juffa): within 1.1 ulp in exact arithmetic; measured error below 1e-7 everywhere.
  erf: {
    uses: [],
    body: `fn erf$(x: T) -> T {
  let t = min(abs(x), T(6.0f));
  let s = t * t;
  var far = T(-1.72853470e-5f) * t + T(3.83197126e-4f);
  let mid = T(-3.88396438e-3f) * t + T(2.42546219e-2f);
  far = far * s + mid;
  far = far * t - T(1.06777877e-1f);
  far = far * t - T(6.34846687e-1f);
  far = far * t - T(1.28717512e-1f);
  far = far * t - t;
  far = T(1.0f) - exp(far);
  var near = T(-5.96761703e-4f) * s + T(4.99119423e-3f);
  near = near * s - T(2.67681349e-2f);
  near = near * s + T(1.12819925e-1f);
  near = near * s - T(3.76125336e-1f);
  near = near * s + T(1.28379166e-1f);
  near = near * t + t;
  return sign(x) * select(near, far, t > T(0.927734375f));
}`,
  },
  // exp of a non-positive number cannot overflow; a series near 0, where the quotient would cancel.
  tanh_: {
    uses: [],
    body: `fn tanh_$(x: T) -> T {
  let a = abs(x);
  let e = exp(a * -2.0f);
  let far = (T(1.0f) - e) / (T(1.0f) + e);
  let s = a * a;
  let near = a + a * s * (T(-0.333333333f) + s * (T(0.133333333f) + s * (T(-0.0539682540f) + s * 0.0218694885f)));
  return sign(x) * select(far, near, a < T(0.25f));
}`,
  },
  sigmoid: {
    uses: [],
    body: `fn sigmoid$(x: T) -> T {
  return T(1.0f) / (T(1.0f) + exp(min(-x, T(88.0f))));
}`,
  },
  gelu: {
    uses: ['erf'],
    body: `fn gelu$(x: T) -> T {\n  return 0.5f * x * (T(1.0f) + erf$(x * 0.7071067811865476f));\n}`,
  },
  gelu_tanh: {
    uses: ['tanh_'],
    body: `fn gelu_tanh$(x: T) -> T {
  return 0.5f * x * (T(1.0f) + tanh_$(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}`,
  },
  gelu_quick: { uses: ['sigmoid'], body: `fn gelu_quick$(x: T) -> T {\n  return x * sigmoid$(1.702f * x);\n}` },
  // WGSL leaves pow of a negative base open; an odd integer exponent keeps its sign.
  pow_: {
    uses: [],
    body: `fn pow_$(x: T, y: T) -> T {
  let size = select(pow(abs(x), y), T(1.0f), y == T(0.0f));
  let odd = abs(y - 2.0f * floor(y * 0.5f)) == T(1.0f);
  return select(size, -size, (x < T(0.0f)) & odd);
}`,
  },
};

const ORDER = Object.keys(HELPERS) as HelperBase[];

/** The text of the helpers and of what they call, callee first. */
export function helperText(used: ReadonlySet<HelperName>): string {
  const wanted = new Set<string>();
  const add = (base: HelperBase, suffix: '' | '4'): void => {
    wanted.add(base + suffix);
    for (const u of HELPERS[base].uses) add(u, suffix);
  };
  for (const name of used) {
    if (name.endsWith('4')) add(name.slice(0, -1) as HelperBase, '4');
    else add(name as HelperBase, '');
  }
  const texts: string[] = [];
  for (const base of ORDER) {
    for (const suffix of ['', '4'] as const) {
      if (!wanted.has(base + suffix)) continue;
      const type = suffix ? 'vec4f' : 'f32';
      texts.push(HELPERS[base].body.replace(/\bT\b/g, type).replace(/\$/g, suffix));
    }
  }
  return texts.join('\n\n');
}
