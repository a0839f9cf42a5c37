/** Regions where the rules of the affine form meet costs, padding, images and several users: built by hand, before and after by numbers. */
import { describe, expect, it } from 'vitest';
import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { input, rootsOf, topological } from '../../src/ir/graph.js';
import { DEVICES, type Device } from '../../src/ir/ops/cost.js';
import type { Module, OpAttrs, Value } from '../../src/ir/types.js';
import { type MergeReport, optimize } from '../../src/passes/index.js';
import { mixed, scaleShift } from './adapters.js';
import { Net, operators, parameters, relative, run } from './models.js';

const CONV: OpAttrs['conv2d'] = { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 };
const SAME: OpAttrs['conv2d'] = { ...CONV, padding: [1, 1, 1, 1] };

function merge(net: Net, result: Value, device: Device = DEVICES.hardware): { module: Module; report: MergeReport } {
  const before = net.module(result);
  const params = parameters(before);
  const made = optimize(before, { adapters: 'merged', device, verify: true });
  expect(relative(run(before, params), run(made.module, params))).toBeLessThan(1e-12);
  return made;
}

const names = (module: Module): string[] => operators(module).map((o) => o.slice(0, o.indexOf('/')));
const states = (report: MergeReport): string[] =>
  report.adapters.map((a) => `${a.state} ${a.obstacle?.op ?? ''}`.trim());

describe('windows', () => {
  /** norm -> adapter -> zero padding to a multiple of the window -> windows -> layer: SAM's and Swin's order. */
  function windows(net: Net, adapt: (x: Value) => Value): Value {
    const { b } = net;
    const x = input('x', { dtype: 'f32', shape: [1, 3, 3, 8] });
    const y = adapt(net.norm('norm', x));
    const padded = b.pad(y, [0, 0, 0, 0], [0, 1, 1, 0]);
    const cut = b.transpose(b.reshape(padded, [1, 2, 2, 2, 2, 8]), [0, 1, 3, 2, 4, 5]);
    return net.linear('qkv', b.reshape(cut, [4, 4, 8]), 8, 12);
  }
  const plain = names(optimize(new Net().module(windows(new Net(), (x) => x)), { adapters: 'merged' }).module);

  it('a linear map crosses zero padding', () => {
    const net = new Net();
    const { module, report } = merge(
      net,
      windows(net, (x) => net.adapter('qkv', 'experts', (p) => mixed(net, p, x, 8, 2, 1, 0.5))),
    );
    expect(states(report)).toEqual(['merged']);
    expect(names(module)).toEqual(plain);
  });

  it('a shift does not', () => {
    const net = new Net();
    const { module, report } = merge(
      net,
      windows(net, (x) => net.adapter('qkv', 'experts', (p) => mixed(net, p, x, 8, 2, 1, 0.5, true))),
    );
    expect(states(report)).toEqual(['kept pad']);
    expect(names(module)).not.toEqual(plain);
    expect(report.diagnostics[0]!.help[0]).toContain('a shift must not reach the padding');
  });

  it('a shift goes into the norm in front of the padding instead, where it can', () => {
    const net = new Net();
    const { module, report } = merge(
      net,
      windows(net, (x) => scaleShift(net, 'norm', x)),
    );
    expect(states(report)).toEqual(['merged']);
    expect(names(module)).toEqual(plain);
    expect([...report.replaced.keys()].sort()).toEqual(['norm.bias', 'norm.weight']);
  });
});

describe('values with several users', () => {
  it('an adapter in front of three layers goes into all of them', () => {
    const net = new Net();
    const x = net.norm('norm', input('x', { dtype: 'f32', shape: [2, 5, 8] }));
    const z = net.adapter('attn', 'experts', (p) => mixed(net, p, x, 8, 2, 1, 0.5));
    const [q, k, v] = ['q', 'k', 'v'].map((n) => net.b.tanh(net.linear(n, z, 8, 8)));
    const { module, report } = merge(net, net.b.add(net.b.mul(q!, k!), v!));
    expect(states(report)).toEqual(['merged']);
    expect(names(module).filter((n) => n === 'linear')).toHaveLength(3);
    expect(names(module)).not.toContain('reshape');
  });

  it('a wide value that two readers scale is computed once', () => {
    const net = new Net();
    const x = input('x', { dtype: 'f32', shape: [64, 128] });
    const wide = net.linear('wide', x, 128, 512);
    const [p, q] = ['p', 'q'].map((n) => net.b.relu(scaleShift(net, n, wide)));
    const { module } = merge(net, net.b.mul(p!, q!));
    expect(names(module).filter((n) => n === 'linear')).toHaveLength(1);
  });

  it('a residual stream is not expanded into its terms', () => {
    const net = new Net();
    let x = input('x', { dtype: 'f32', shape: [1, 4, 8] }) as Value;
    for (let i = 0; i < 4; i++) {
      const f = net.b.relu(net.norm(`n${i}`, x));
      const y = net.linear(`l${i}`, f, 8, 8);
      x = net.b.add(x, scaleShift(net, `l${i}`, y));
    }
    const { module, report } = merge(net, x);
    expect(states(report)).toEqual(['merged', 'merged', 'merged', 'merged']);
    expect(names(module).filter((n) => n === 'add')).toHaveLength(4);
    expect(names(module).filter((n) => n === 'linear')).toHaveLength(4);
  });

  // Two dispatches of 64 channels are slower than one on any hardware: there only larger layers are worth two.
  it.each([
    [0, ['2x64', '64x2']],
    [DEVICES.hardware.launch, ['64x64']],
  ])('low rank that stands alone stays low rank where that is faster (%d s a dispatch)', (launch, expected) => {
    const net = new Net();
    const x = input('x', { dtype: 'f32', shape: [16, 64] });
    const y = net.adapter('site', 'low', (p) =>
      net.b.add(x, net.b.mul(net.b.linear(net.b.linear(x, p('A', [2, 64])), p('B', [64, 2])), 0.5)),
    );
    const { module, report } = merge(net, net.b.relu(y), { ...DEVICES.hardware, launch });
    expect(states(report)).toEqual(['kept relu']);
    expect(report.priced?.launch).toBe(launch);
    const widths = topological(rootsOf(module.funcs.get('infer')!))
      .filter((v) => v.op === 'linear')
      .map((v) => v.inputs[1]!.type.shape.join('x'));
    expect(widths).toEqual(expected);
    expect(names(module)).not.toContain('mul');
  });

  it('two layers of the model stay two', () => {
    const build = (): [Net, Value] => {
      const net = new Net();
      const x = input('x', { dtype: 'f32', shape: [3, 8] });
      return [net, net.linear('b', scaleShift(net, 'a', net.linear('a', x, 8, 8)), 8, 8)];
    };
    expect(names(merge(...build()).module)).toEqual(['linear', 'linear']);
  });
});

describe('images', () => {
  const image = (): Value => input('x', { dtype: 'f32', shape: [1, 4, 5, 5] });
  const channels = (net: Net, p: Value): Value => net.b.reshape(p, [p.type.shape[0]!, 1, 1]);
  const conv = (net: Net, name: string, x: Value, shape: number[], attrs: OpAttrs['conv2d'], bias = true): Value => {
    net.site = name;
    const operands = [x, net.param(`${name}.weight`, shape), ...(bias ? [net.param(`${name}.bias`, [shape[0]!])] : [])];
    return net.make('conv2d', operands, attrs);
  };
  const ssf = (net: Net, site: string, x: Value): Value =>
    net.adapter(site, 'ssf', (p) =>
      net.b.add(net.b.mul(x, channels(net, p('s', [x.type.shape[1]!]))), channels(net, p('t', [x.type.shape[1]!]))),
    );

  it('scale and shift after a convolution, and a low-rank convolution beside it', () => {
    const net = new Net();
    const x = image();
    const y = conv(net, 'c', x, [6, 4, 3, 3], SAME);
    const low = net.adapter('c', 'low', (p) =>
      net.make('conv2d', [net.make('conv2d', [x, p('A', [2, 4, 3, 3])], SAME), p('B', [6, 2, 1, 1])], CONV),
    );
    const { module, report } = merge(
      net,
      net.b.relu(
        ssf(
          net,
          'c',
          net.adapter('c', 'low', () => net.b.add(y, low)),
        ),
      ),
    );
    expect(states(report)).toEqual(['merged', 'merged']);
    expect(names(module)).toEqual(['conv2d', 'relu']);
    expect([...report.replaced.keys()]).toEqual(['c.weight', 'c.bias']);
  });

  it('a shift makes a bias on a layer that had none, and says so', () => {
    const net = new Net();
    const { module, report } = merge(net, ssf(net, 'c', conv(net, 'c', image(), [6, 4, 3, 3], SAME, false)));
    expect(names(module)).toEqual(['conv2d']);
    expect(report.diagnostics.map((d) => d.code)).toEqual(['ESP0402']);
    expect(report.diagnostics[0]!.message).toBe('merging gives a bias to c, which had none');
    expect([...report.replaced]).toEqual([
      ['c.weight', 'c.weight#prepared'],
      ['c.bias', 'c.bias#prepared'],
    ]);
  });

  it('before a padded convolution: a scale merges, a shift does not', () => {
    const scaled = new Net();
    const x = image();
    const s = scaled.adapter('c', 'scale', (p) => scaled.b.mul(x, channels(scaled, p('s', [4]))));
    expect(names(merge(scaled, conv(scaled, 'c', s, [6, 4, 3, 3], SAME)).module)).toEqual(['conv2d']);
    const shifted = new Net();
    const { report } = merge(shifted, conv(shifted, 'c', ssf(shifted, 'c', image()), [6, 4, 3, 3], SAME));
    expect(states(report)).toEqual(['kept conv2d']);
    expect(report.diagnostics[0]!.help[0]).toContain('a shift must not reach the padding');
    const open = new Net();
    expect(names(merge(open, conv(open, 'c', ssf(open, 'c', image()), [6, 4, 3, 3], CONV)).module)).toEqual(['conv2d']);
  });

  it('1x1 convolutions are layers, depthwise ones take a scale', () => {
    const net = new Net();
    const low = (x: Value): Value =>
      net.adapter('p', 'low', (p) =>
        net.b.add(
          x,
          net.make('conv2d', [net.make('conv2d', [x, p('A', [2, 4, 1, 1])], CONV), p('B', [4, 2, 1, 1])], CONV),
        ),
      );
    const y = conv(net, 'p', low(image()), [4, 4, 1, 1], CONV);
    const z = conv(net, 'd', net.b.relu(y), [4, 1, 3, 3], { ...SAME, groups: 4 });
    const { module, report } = merge(net, ssf(net, 'd', z));
    expect(states(report)).toEqual(['merged', 'merged']);
    expect(names(module)).toEqual(['conv2d', 'relu', 'conv2d']);
  });

  it('BatchNorm takes a scale and shift, and stays apart from its convolution', () => {
    const build = (): [Net, Value] => {
      const net = new Net();
      const y = conv(net, 'c', image(), [6, 4, 3, 3], SAME, false);
      const [g, h, mean, v] = ['weight', 'bias', 'mean', 'var'].map((n) => net.param(`bn.${n}`, [6]));
      const norm = net.make('batch_norm', [y, g!, h!, mean!, net.b.mul(v!, v!)], { eps: 1e-3 });
      return [net, net.b.relu(ssf(net, 'bn', norm))];
    };
    expect(names(merge(...build()).module)).toEqual(['conv2d', 'batch_norm', 'relu']);
  });
});

describe('a norm that others read', () => {
  it('keeps its gain; the layer behind the scale takes it', () => {
    const net = new Net();
    const y = net.norm('n', input('x', { dtype: 'f32', shape: [2, 4, 8] }));
    const a = net.linear('a', scaleShift(net, 'a', y), 8, 8);
    const { module, report } = merge(net, net.b.mul(net.b.relu(a), net.b.tanh(y)));
    expect(states(report)).toEqual(['merged']);
    expect(names(module).filter((n) => n === 'layer_norm')).toHaveLength(1);
    expect([...report.replaced.keys()].sort()).toEqual(['a.bias', 'a.weight']);
  });
});

describe('what is left', () => {
  it('only parameters, constants and views of them feed what depends on the input', () => {
    const net = new Net();
    const x = input('x', { dtype: 'f32', shape: [2, 4, 8] });
    const pos = net.b.broadcast(net.param('pos', [1, 1, 8]), [2, 4, 8]);
    const { module } = merge(net, net.linear('a', net.b.relu(net.b.add(scaleShift(net, 'a', x), pos)), 8, 8));
    const order = topological(rootsOf(module.funcs.get('infer')!));
    const constants = order.filter((v) => !dependsOnInput(v)).map((v) => v.op);
    expect(new Set(constants)).toEqual(new Set(['param']));
    expect([...module.params.values()].filter((p) => p.role === 'prepared').map((p) => p.name)).toEqual([
      'base.add#prepared',
    ]);
  });
});
