/** Sampling that ONNX's own cases do not have: regions by their largest samples, and cubic weights over three axes. */
import { describe, expect, test } from 'vitest';
import { tensor } from '../../src/ir/run/tensor.js';
import { runOnnx } from './runtime.js';
import { expectNear, fileOf, float, given, int, text, waves } from './single.js';

describe('RoiAlign', () => {
  // Inside, beyond the borders, of no size, and turned round.
  const rois = tensor(
    [5, 4],
    Float32Array.of(...[0, 0, 5, 6], ...[1.3, 2.2, 3.9, 6.7], ...[-4, -3, 12, 14], ...[2, 2, 2, 2], ...[6, 1, 5, 0.5]),
  );
  const inputs = { x: waves([2, 3, 7, 6], 0.7), rois, at: tensor([5], Int32Array.of(0, 1, 1, 0, 1), 'i32') };
  test.each([
    ['avg', 'half_pixel', 1],
    ['max', 'half_pixel', 1],
    ['max', 'half_pixel', 3],
    ['max', 'output_half_pixel', 2],
    ['avg', 'output_half_pixel', 3],
  ])('%s, %s, %d samples an axis', async (mode, coordinates, ratio) => {
    const attributes = [
      text('mode', mode),
      text('coordinate_transformation_mode', coordinates),
      int('output_height', 3),
      int('output_width', 2),
      int('sampling_ratio', ratio),
      float('spatial_scale', 0.75),
    ];
    const bytes = fileOf('RoiAlign', inputs, attributes, 16);
    const y = given(bytes, inputs);
    const reference = (await runOnnx(bytes, new Map(Object.entries(inputs)))).get('y')!;
    expect(y.type.shape).toEqual([5, 3, 3, 2]);
    expect(reference.shape).toEqual([5, 3, 3, 2]);
    expectNear(y.data, reference.data);
  });
});

describe('GridSample by cubic weights over three axes', () => {
  // onnxruntime has it for two axes alone. Where the third coordinate is a place of its axis, cubic weights are 0 but for that place: so each plane is a sample over two axes.
  const [d, h, w] = [3, 5, 4];
  const x = waves([1, 2, d, h, w], 0.41);
  const points = 6;
  const plane = waves([1, points, 1, 2], 1.3);
  const places = [0, 1, 2, 2, 1, 0];
  const attributes = [text('mode', 'cubic'), text('padding_mode', 'border'), int('align_corners', 1)];

  test.each(['depth', 'height', 'width'] as const)('at places of its %s', async (axis) => {
    const own = { depth: 2, height: 3, width: 4 }[axis];
    const length = x.type.shape[own]!;
    const rest = [2, 3, 4].filter((a) => a !== own);
    // x varies last along the first coordinate of a point.
    const grid = new Float32Array(points * 3);
    for (let p = 0; p < points; p++) {
      let k = 1;
      for (const a of [2, 3, 4]) {
        const coordinate = a === own ? (2 * places[p]!) / (length - 1) - 1 : (plane.data[p * 2 + k--]! as number) / 2;
        grid[p * 3 + (4 - a)] = coordinate;
      }
    }
    const volume = { x, grid: tensor([1, points, 1, 1, 3], grid) };
    const y = given(fileOf('GridSample', volume, attributes, 20), volume);
    expect(y.type.shape).toEqual([1, 2, points, 1, 1]);
    const sizes = rest.map((a) => x.type.shape[a]!);
    const strides = [h * w, w, 1];
    for (let p = 0; p < points; p++) {
      const cut = new Float32Array(2 * sizes[0]! * sizes[1]!);
      for (let c = 0; c < 2; c++)
        for (let i = 0; i < sizes[0]!; i++)
          for (let j = 0; j < sizes[1]!; j++) {
            const from =
              c * d * h * w + places[p]! * strides[own - 2]! + i * strides[rest[0]! - 2]! + j * strides[rest[1]! - 2]!;
            cut[(c * sizes[0]! + i) * sizes[1]! + j] = x.data[from]!;
          }
      const flat = {
        x: tensor([1, 2, ...sizes], cut),
        grid: tensor([1, 1, 1, 2], Float32Array.of(plane.data[p * 2]! / 2, plane.data[p * 2 + 1]! / 2)),
      };
      const bytes = fileOf('GridSample', flat, attributes, 20);
      const reference = (await runOnnx(bytes, new Map(Object.entries(flat)))).get('y')!;
      expectNear([y.data[p]!, y.data[points + p]!], reference.data);
    }
  });
});
