/** The two kernels of preprocessing. Parameters lie in storage buffers, which is simplest for buffers that are pooled. */

/** One axis of a resize in Pillow's integer arithmetic (resample.ts): 22 fractional bits, rounded and clipped to 8. */
export const RESAMPLE = /* wgsl */ `
struct Params {
  along: i32, across: i32, along_step: i32, across_step: i32,
  base: i32, weights: i32, gray: i32, row: i32,
  from_along: vec4i, // step, origin, extent
  from_across: vec4i,
}
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<i32>;
@group(0) @binding(2) var<storage, read_write> result: array<u32>;
@group(0) @binding(3) var<storage, read> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = i32(id.x) + i32(id.y) * params.row;
  if (i >= params.along * params.across) { return; }
  // Neighbouring invocations go along the axis whose pixels are neighbours in memory.
  let x = select(i / params.across, i % params.along, params.along_step == 1);
  let y = select(i % params.across, i / params.along, params.along_step == 1);
  let line = y + params.from_across.y;
  let inside = line >= 0 && line < params.from_across.z;
  let start = table[3 * x] + params.from_along.y;
  let count = table[3 * x + 1];
  let first = params.weights + table[3 * x + 2];
  var sum = vec3i(1 << 21);
  for (var t = 0; t < count; t++) {
    let at = start + t;
    if (inside && at >= 0 && at < params.from_along.z) {
      let word = source[at * params.from_along.x + line * params.from_across.x];
      var pixel = vec3i(vec3u(word, word >> 8, word >> 16) & vec3u(255));
      if (params.gray != 0) { pixel = vec3i((pixel.x * 19595 + pixel.y * 38470 + pixel.z * 7471 + 32768) >> 16); }
      sum += table[first + t] * pixel;
    }
  }
  let byte = vec3u(clamp(sum >> vec3u(22), vec3i(0), vec3i(255)));
  result[params.base + x * params.along_step + y * params.across_step] = byte.x | (byte.y << 8) | (byte.z << 16);
}
`;

/** Takes a window (zeros outside the image), turns it to gray if asked (ITU-R 601, as Pillow's \`L\`), and writes normalized planes. */
export const FINISH = /* wgsl */ `
struct Params {
  size: vec2i, origin: vec2i,
  window: vec2i, channels: i32, base: i32,
  mean: vec3f, gray: i32,
  deviation: vec3f, row: i32,
}
@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> result: array<f32>;
@group(0) @binding(2) var<storage, read> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = i32(id.x) + i32(id.y) * params.row;
  let count = params.window.x * params.window.y;
  if (i >= count) { return; }
  let at = vec2i(i % params.window.x, i / params.window.x) + params.origin;
  var pixel = vec3i(0);
  if (all(at >= vec2i(0)) && all(at < params.size)) {
    let word = source[at.x + at.y * params.size.x];
    pixel = vec3i(vec3u(word, word >> 8, word >> 16) & vec3u(255));
  }
  if (params.gray != 0) { pixel = vec3i((pixel.x * 19595 + pixel.y * 38470 + pixel.z * 7471 + 32768) >> 16); }
  let value = (vec3f(pixel) / 255.0 - params.mean) / params.deviation;
  for (var c = 0; c < params.channels; c++) { result[params.base + c * count + i] = value[c]; }
}
`;
