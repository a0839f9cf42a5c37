/** The forms of the literature, written by hand as grafts, so that the passes are tested without the language. */
import type { Value } from '../../src/ir/types.js';
import type { Graft, Net } from './models.js';

/** y = W x + s B A x, on all of a layer. */
export const lowRank =
  (rank = 2, scale = 0.5): Graft =>
  (net, base, x) => {
    const [out, width] = base.weight.type.shape as [number, number];
    const y = base.call(x);
    return net.adapter(base.site, 'low', (param) => {
      const { b } = net;
      const down = b.matmul(x, b.transpose(param('A', [rank, width])));
      return b.add(y, b.mul(b.matmul(down, b.transpose(param('B', [out, rank]))), scale));
    });
  };

/** The same on some row parts of a fused layer, which come back joined. */
export const lowRankParts =
  (parts: readonly number[], of = 3, rank = 2): Graft =>
  (net, base, x) => {
    const [out, width] = base.weight.type.shape as [number, number];
    const size = out / of;
    const whole = base.call(x);
    const { b } = net;
    net.site = base.site;
    const joined = Array.from({ length: of }, (_, p) => {
      const part = b.sliceAxis(whole, -1, p * size, (p + 1) * size);
      if (!parts.includes(p)) return part;
      return net.adapter(`${base.site}.${'qkv'[p]}`, 'low', (param) => {
        const down = b.matmul(x, b.transpose(param('A', [rank, width])));
        return b.add(part, b.matmul(down, b.transpose(param('B', [size, rank]))));
      });
    });
    return b.concat(joined, -1);
  };

/** As the language traces a part: the part's rows of the weight are a layer of their own. */
export const lowRankRows =
  (parts: readonly number[], of = 3, rank = 2): Graft =>
  (net, base, x) => {
    const [out, width] = base.weight.type.shape as [number, number];
    const size = out / of;
    const { b } = net;
    const joined = Array.from({ length: of }, (_, p) => {
      net.site = base.site;
      const rows = (v: Value): Value => b.sliceAxis(v, 0, p * size, (p + 1) * size);
      const part = b.linear(x, rows(base.weight), base.bias && rows(base.bias));
      if (!parts.includes(p)) return part;
      return net.adapter(`${base.site}.${'qkv'[p]}`, 'low', (param) => {
        const down = b.matmul(x, b.transpose(param('A', [rank, width])));
        return b.add(part, b.matmul(down, b.transpose(param('B', [size, rank]))));
      });
    });
    return b.concat(joined, -1);
  };

/** (1 + s) (W + concat_p sum_k C_k (x) (A_kp B_k) / r) x + t */
export const kroneckerSum =
  (
    opts: {
      kernels?: number;
      factor?: number;
      rank?: number;
      parts?: number;
      rescale?: 'none' | 'scalar' | 'channel';
    } = {},
  ): Graft =>
  (net, base, x) => {
    const { kernels = 2, factor = 2, rank = 2, parts = 1, rescale = 'channel' } = opts;
    const [out, width] = base.weight.type.shape as [number, number];
    const [o1, i1] = [factor, factor];
    const [o2, i2] = [out / parts / o1, width / i1];
    const { b } = net;
    return net.adapter(base.site, 'kron', (param) => {
      const c = param('C', [kernels, o1, i1]);
      const a = param('A', [kernels, parts, rank, o2]);
      const bs = param('B', [kernels, i2, rank]);
      const at = (v: Value, index: number[]): Value => {
        const rest = v.type.shape.slice(index.length);
        const start = [...index, ...rest.map(() => 0)];
        const end = [...index.map((i) => i + 1), ...rest];
        return b.reshape(b.slice(v, start, end), rest);
      };
      const delta = b.concat(
        Array.from({ length: parts }, (_, p) =>
          Array.from({ length: kernels }, (_, k) =>
            b.kron(at(c, [k]), b.matmul(b.transpose(at(a, [k, p])), b.transpose(at(bs, [k])))),
          ).reduce((m, n) => b.add(m, n)),
        ),
        0,
      );
      const y = base.call(x, b.add(base.weight, b.div(delta, rank)));
      if (rescale === 'none') return y;
      const size = rescale === 'channel' ? out : 1;
      return b.add(b.mul(b.add(param('s', [size]), 1), y), param('t', [size]));
    });
  };

/** W (x + s A x), A = sum_i S_i (x) (U_i V_i), in front of a layer. */
export const beforeLayer =
  (experts = 2, rank = 1, scale = 0.7, bias = false): Graft =>
  (net, base, x) => {
    const width = x.type.shape.at(-1)!;
    const z = net.adapter(base.site, 'experts', (param) => mixed(net, param, x, width, experts, rank, scale, bias));
    return base.call(z);
  };

export function mixed(
  net: Net,
  param: (name: string, shape: readonly number[]) => Value,
  x: Value,
  width: number,
  experts: number,
  rank: number,
  scale: number,
  bias = false,
): Value {
  const { b } = net;
  const m = Array.from({ length: experts }, (_, i) =>
    b.kron(
      param(`S${i}`, [experts, experts]),
      b.matmul(param(`U${i}`, [width / experts, rank]), param(`V${i}`, [rank, width / experts])),
    ),
  ).reduce((p, q) => b.add(p, q));
  let step = b.matmul(x, b.transpose(m));
  if (bias) step = b.add(step, param('c', [width]));
  return b.add(x, b.mul(step, scale));
}

/** s * x + t over the channels. */
export function scaleShift(net: Net, site: string, x: Value, name = 'ssf'): Value {
  const width = x.type.shape.at(-1)!;
  return net.adapter(site, name, (param) => net.b.add(net.b.mul(x, param('s', [width])), param('t', [width])));
}

/** x + U relu(V x), which nothing can take in. */
export function bottleneck(net: Net, site: string, x: Value, relu = true): Value {
  const width = x.type.shape.at(-1)!;
  return net.adapter(site, 'bottleneck', (param) => {
    const { b } = net;
    const down = b.linear(x, param('down.weight', [2, width]), param('down.bias', [2]));
    const up = b.linear(relu ? b.relu(down) : down, param('up.weight', [width, 2]), param('up.bias', [width]));
    return b.add(x, b.mul(up, 0.1));
  });
}
