/** Generated from src/codegen/preprocess.ts by scripts/embed-kernels.ts; do not edit. */
export const THREADS = 64;

export const RESAMPLE = {
  params: [
    'row',
    'count',
    'base',
    'gray',
    'taps',
    'along',
    'along_step',
    'along_apart',
    'along_pixels',
    'along_origin',
    'across',
    'across_step',
    'across_apart',
    'across_pixels',
    'across_origin',
  ],
  code: `@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<i32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;
@group(0) @binding(3) var<storage, read> params: array<u32>;

fn pixel_of(word: u32, gray: u32) -> vec3u {
  let rgb = vec3u(word, word >> 8u, word >> 16u) & vec3u(255u);
  if (gray != 0u) {
    return vec3u((rgb.x * 19595u + rgb.y * 38470u + rgb.z * 7471u + 32768u) >> 16u);
  }
  return rgb;
}

// One axis of a resize, in integers of 22 fractional bits.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = params[0u];
  let count = params[1u];
  let base = params[2u];
  let gray = params[3u];
  let taps = params[4u];
  let along = params[5u];
  let along_step = params[6u];
  let along_apart = params[7u];
  let along_pixels = params[8u];
  let along_origin = params[9u];
  let across = params[10u];
  let across_step = params[11u];
  let across_apart = params[12u];
  let across_pixels = params[13u];
  let across_origin = params[14u];
  let i = id.x + id.y * row;
  if (i >= count) {
    return;
  }
  let x = i / along_step % along;
  let line = i / across_step % across + across_origin;
  let weights = x * (taps + 1u);
  let first = u32(table[weights]) + along_origin;
  var sum = vec3i(2097152i);
  for (var t = 0u; t < taps; t++) {
    let at = first + t;
    if (line < across_pixels && at < along_pixels) {
      sum = sum + table[weights + t + 1u] * vec3i(pixel_of(source[at * along_apart + line * across_apart], gray));
    }
  }
  let bytes = min(vec3u(max(sum, vec3i(0i))) >> vec3u(22u), vec3u(255u));
  result[base + i] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u);
}
`,
} as const;

export const FINISH = {
  params: [
    'row',
    'count',
    'base',
    'gray',
    'channels',
    'result_width',
    'window_width',
    'window_height',
    'x_origin',
    'y_origin',
    'width',
    'height',
    'mean_red',
    'mean_green',
    'mean_blue',
    'deviation_red',
    'deviation_green',
    'deviation_blue',
  ],
  code: `@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> params: array<u32>;

fn pixel_of(word: u32, gray: u32) -> vec3u {
  let rgb = vec3u(word, word >> 8u, word >> 16u) & vec3u(255u);
  if (gray != 0u) {
    return vec3u((rgb.x * 19595u + rgb.y * 38470u + rgb.z * 7471u + 32768u) >> 16u);
  }
  return rgb;
}

// A window of a picture as normalized planes.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = params[0u];
  let count = params[1u];
  let base = params[2u];
  let gray = params[3u];
  let channels = params[4u];
  let result_width = params[5u];
  let window_width = params[6u];
  let window_height = params[7u];
  let x_origin = params[8u];
  let y_origin = params[9u];
  let width = params[10u];
  let height = params[11u];
  let mean_red = params[12u];
  let mean_green = params[13u];
  let mean_blue = params[14u];
  let deviation_red = params[15u];
  let deviation_green = params[16u];
  let deviation_blue = params[17u];
  let i = id.x + id.y * row;
  if (i >= count) {
    return;
  }
  let column = i % result_width;
  let line = i / result_width;
  let x = column + x_origin;
  let y = line + y_origin;
  var word: u32;
  if (x < width && y < height) {
    word = source[x + y * width];
  }
  var value = vec3f(0.0f);
  if (column < window_width && line < window_height) {
    value = (vec3f(pixel_of(word, gray)) / 255.0f - vec3f(bitcast<f32>(mean_red), bitcast<f32>(mean_green), bitcast<f32>(mean_blue))) / vec3f(bitcast<f32>(deviation_red), bitcast<f32>(deviation_green), bitcast<f32>(deviation_blue));
  }
  for (var c = 0u; c < channels; c++) {
    result[base + c * count + i] = value[c];
  }
}
`,
} as const;
