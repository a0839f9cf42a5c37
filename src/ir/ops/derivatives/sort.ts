/** Reverse mode for sums in sorted order: every term gets what its sum got. */
import { ofValue } from './rule.js';

/** The segment of place i is the number of segments that end at it or before. */
export const segment_sum = ofValue<'segment_sum'>((b, { inputs: [x, starts], attrs: { axis } }, dy) => [
  () => {
    const segments = dy.type.shape[axis]!;
    const places = b.iota([x!.type.shape[axis]!], 0);
    const own = segments === 1 ? b.mul(places, 0) : b.searchsorted(b.sliceAxis(starts!, 0, 1, segments), places, true);
    return b.gather(dy, own, axis);
  },
]);

export const scatter_add = ofValue<'scatter_add'>((b, { inputs: [, indices], attrs: { axis } }, dy) => [
  () => b.gather(dy, indices!, axis),
]);
