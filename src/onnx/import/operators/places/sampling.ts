/** Sampling at places that tensors hold, and its converse: grids, regions, columns. */
import type { Rule, Rules } from '../../rule.js';
import { product, range, reshaped, sizes } from '../text.js';
import { perAxis } from '../windows/window.js';

const MODES: Readonly<Record<string, string>> = {
  bilinear: 'linear',
  linear: 'linear',
  nearest: 'nearest',
  bicubic: 'cubic',
  cubic: 'cubic',
};
const PADDINGS: Readonly<Record<string, string>> = { zeros: 'outside', border: 'border', reflection: 'reflection' };

const gridSample: Rule = (n) => {
  const [x, grid] = [n.in(0), n.in(1)];
  const mode = MODES[n.text('mode', 'linear')] ?? n.fail(`samples by \`${n.text('mode')}\``);
  const padding = PADDINGS[n.text('padding_mode', 'zeros')] ?? n.fail(`pads by \`${n.text('padding_mode')}\``);
  const { shape } = x.type;
  const to = [shape[0]!, shape[1]!, ...grid.type.shape.slice(1, -1)];
  const made = `onnx_grid_sample(${x.text}, ${grid.text}, ${mode}, ${padding}, align: ${n.int('align_corners', 0) === 1})`;
  return reshaped(made, [], to);
};

/** Places of a grid, [-1, 1] along each axis, moved by a matrix for each sample. */
const affineGrid: Rule = (n) => {
  const [theta, size] = [n.in(0), n.whole(1)];
  const places = size.slice(2);
  const align = n.int('align_corners', 0) === 1;
  const along = (d: number, i: number): number => {
    if (align) return d === 1 ? 0 : -1 + (2 * i) / (d - 1);
    return -1 + (2 * i + 1) / d;
  };
  const count = product(places);
  const width = places.length + 1;
  const data = new Float64Array(count * width).fill(1);
  for (let flat = 0; flat < count; flat++) {
    let rest = flat;
    // The last axis comes first.
    for (let axis = places.length - 1; axis >= 0; axis--) {
      data[flat * width + places.length - 1 - axis] = along(places[axis]!, rest % places[axis]!);
      rest = Math.floor(rest / places[axis]!);
    }
  }
  const grid = n.constant({ dtype: 'float', shape: [count, width], data });
  return `reshape(${grid} @ transpose(${theta.text}, [0, 2, 1]), ${sizes([size[0]!, ...places, places.length])})`;
};

const roiAlign: Rule = (n) => {
  const [x, rois, at] = [n.in(0), n.in(1), n.in(2)];
  const mode = n.text('mode', 'avg');
  if (mode !== 'avg' && mode !== 'max') return n.fail(`takes samples together by \`${mode}\``);
  const ratio = n.int('sampling_ratio', 0);
  if (ratio < 1) return n.fail('takes as many samples as each region is large');
  const half =
    n.text('coordinate_transformation_mode', n.opset >= 16 ? 'half_pixel' : 'output_half_pixel') === 'half_pixel';
  const out = `height: ${n.int('output_height', 1)}, width: ${n.int('output_width', 1)}, ratio: ${ratio}`;
  const name = mode === 'avg' ? 'onnx_roi_align' : 'onnx_roi_align_max';
  return `${name}(${x.text}, ${rois.text}, ${at.text}, ${out}, scale: ${n.float('spatial_scale', 1)}, half: ${half})`;
};

/** Each column is a block; what lies over one another is added. */
const col2im: Rule = (n) => {
  const x = n.in(0);
  const [image, block] = [n.whole(1), n.whole(2)];
  const rank = image.length;
  const stride = perAxis(n, 'strides', rank);
  const dilation = perAxis(n, 'dilations', rank);
  const pads = n.ints(
    'pads',
    range(2 * rank).map(() => 0),
  );
  const out = image.map(
    (d, i) => Math.floor((d + pads[i]! + pads[i + rank]! - dilation[i]! * (block[i]! - 1) - 1) / stride[i]!) + 1,
  );
  const [samples, rows] = x.type.shape as [number, number];
  const count = product(block);
  const channels = rows / count;
  const split = reshaped(x.text, x.type.shape, [samples, channels, count, ...out]);
  return `onnx_columns(${split}, image: ${sizes(image)}, block: ${sizes(block)}, stride: ${sizes(stride)}, dilation: ${sizes(dilation)}, low: ${sizes(pads.slice(0, rank))})`;
};

export const SAMPLINGS: Rules = {
  GridSample: gridSample,
  AffineGrid: affineGrid,
  RoiAlign: roiAlign,
  Col2Im: col2im,
};
