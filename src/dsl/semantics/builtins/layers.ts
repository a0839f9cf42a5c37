/** Built-in layers: operators that own parameters, under the names that checkpoints use for them. */
import { make } from '../../../ir/graph.js';
import type { Init, Value } from '../../../ir/types.js';
import type { CallExpr } from '../../ast.js';
import type { ArgVal, Call, Engine } from '../evaluate/engine.js';
import { bindArguments } from '../evaluate/operator.js';
import { makeParam } from '../evaluate/parameter.js';
import { showNumber } from '../evaluate/show.js';
import type { Layer, LayerSite, PartSite, Scope, Spot } from '../evaluate/values.js';
import { boolArg, countArg, given, numberArg, outOfRange, paddingArg, pairArg, wrongType } from './arguments.js';

interface Made {
  readonly layer: Layer;
  readonly params: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly init: Init;
    readonly momentum?: number;
  }[];
  /** Row parts of a fused layer. */
  readonly parts?: readonly (readonly [name: string, size: number])[];
}

interface LayerType {
  /** Parameters of the call, as in `Signature`. */
  readonly params: readonly string[];
  readonly doc: string;
  readonly make: (call: Call) => Made;
}

/** What PyTorch starts linear layers and convolutions with: kaiming_uniform(sqrt(5)) for weights; biases start at 0 here. */
const WEIGHT: Init = { kind: 'kaiming_uniform', a: Math.sqrt(5) };
const ZEROS: Init = { kind: 'zeros' };
const ONES: Init = { kind: 'ones' };

function startArg(call: Call, otherwise: Init): Init {
  const v = given(call, 'init');
  if (v === undefined) return otherwise;
  if (v.kind === 'init') return v.init;
  return wrongType(call, 'init', 'a start such as zeros or normal(0.02)');
}

/** The start of a kernel [out, in, ...]: what scales by fan-in counts every element that an output reads, as PyTorch does, not those of the last axis alone. */
function kernelStart(init: Init, [out, ...read]: readonly number[]): Init {
  const elements = (sizes: readonly number[]): number => sizes.reduce((n, d) => n * d, 1);
  const fanIn = elements(read);
  if (init.kind === 'kaiming_uniform') {
    return { kind: 'uniform', bound: Math.sqrt(6 / ((1 + init.a * init.a) * fanIn)) };
  }
  if (init.kind === 'xavier_uniform') {
    const fanOut = out! * elements(read.slice(1));
    return { kind: 'uniform', bound: init.gain * Math.sqrt(6 / (fanIn + fanOut)) };
  }
  return init;
}

/** The two sides of `in -> out`; the right one may name row parts. */
function arrow(call: Call): { in: number; out: number; parts?: [string, number][] } {
  const { engine } = call;
  const a = call.args.get('size')!;
  if (a.value.kind !== 'arrow') return wrongType(call, 'size', 'sizes such as `dim -> 4 * dim`');
  const span = a.span;
  const from = engine.dimension(a.value.from, `the input size of ${call.name}`, span);
  const to = a.value.to;
  if (to.kind !== 'record') return { in: from, out: engine.dimension(to, `the output size of ${call.name}`, span) };
  if (to.fields.length === 0) return wrongType(call, 'size', 'sizes with at least one part, `dim -> {q: dim}`');
  const parts = to.fields.map(([n, v]): [string, number] => [n, engine.dimension(v, `the part \`${n}\``, span)]);
  return { in: from, out: parts.reduce((s, [, n]) => s + n, 0), parts };
}

const list = (...xs: (Value | undefined)[]): Value[] => xs.filter((x): x is Value => x !== undefined);

const linear: LayerType = {
  params: ['size', 'bias?', 'init?'],
  doc: 'Linear(in -> out, bias: true): x W^T + b; Linear(dim -> {q: dim, k: dim, v: dim}) is fused.',
  make: (call) => {
    const s = arrow(call);
    const bias = boolArg(call, 'bias', true);
    return {
      layer: {
        in: s.in,
        out: s.out,
        axis: -1,
        weighted: true,
        detail: `${s.in} -> ${s.parts ? `${s.out} (${s.parts.map(([n]) => n).join(', ')})` : s.out}`,
        run: ({ x, weight, bias, about }) => make('linear', list(x, weight, bias), {}, about),
      },
      params: [
        { name: 'weight', shape: [s.out, s.in], init: startArg(call, WEIGHT) },
        ...(bias ? [{ name: 'bias', shape: [s.out], init: ZEROS }] : []),
      ],
      ...(s.parts ? { parts: s.parts } : {}),
    };
  },
};

const conv2d: LayerType = {
  params: ['size', 'kernel', 'stride?', 'padding?', 'dilation?', 'groups?', 'bias?', 'init?'],
  doc: 'Conv2d(in -> out, kernel: 3, stride: 1, padding: 0, dilation: 1, groups: 1, bias: true)',
  make: (call) => {
    const s = arrow(call);
    if (s.parts) wrongType(call, 'size', 'one output size');
    const kernel = pairArg(call, 'kernel', 1, 1);
    const groups = countArg(call, 'groups', 1);
    if (s.in % groups !== 0 || s.out % groups !== 0) {
      outOfRange(call, 'groups', String(groups), `a divisor of ${s.in} and ${s.out}`);
    }
    const shape = [s.out, s.in / groups, ...kernel];
    const attrs = {
      stride: pairArg(call, 'stride', 1, 1),
      padding: paddingArg(call, 'padding'),
      dilation: pairArg(call, 'dilation', 1, 1),
      groups,
    };
    return {
      layer: {
        in: s.in,
        out: s.out,
        axis: 1,
        weighted: true,
        detail: `${s.in} -> ${s.out}, ${kernel.join('x')}${groups > 1 ? `, ${groups} groups` : ''}`,
        run: ({ x, weight, bias, about }) => make('conv2d', list(x, weight, bias), attrs, about),
      },
      params: [
        { name: 'weight', shape, init: kernelStart(startArg(call, WEIGHT), shape) },
        ...(boolArg(call, 'bias', true) ? [{ name: 'bias', shape: [s.out], init: ZEROS }] : []),
      ],
    };
  },
};

function size(call: Call): number {
  const d = call.args.get('dim')!;
  return call.engine.dimension(d.value, `the size of ${call.name}`, d.span);
}

function eps(call: Call): number {
  const e = numberArg(call, 'eps', 1e-5);
  if (e < 0) outOfRange(call, 'eps', showNumber(e), 'at least 0');
  return e;
}

/** A layer that keeps the number of channels, which lie along `axis`. */
const perChannel = (d: number, axis: number, detail = `${d}`) => ({ in: d, out: d, axis, weighted: false, detail });

const affine = (d: number) => [
  { name: 'weight', shape: [d], init: ONES },
  { name: 'bias', shape: [d], init: ZEROS },
];

const layerNorm: LayerType = {
  params: ['dim', 'eps?'],
  doc: 'LayerNorm(dim, eps: 1e-5) over the last axis, with gain `weight` and shift `bias`.',
  make: (call) => {
    const d = size(call);
    const e = eps(call);
    return {
      layer: {
        ...perChannel(d, -1),
        run: ({ x, weight, bias, about }) => make('layer_norm', list(x, weight, bias), { eps: e }, about),
      },
      params: affine(d),
    };
  },
};

const groupNorm: LayerType = {
  params: ['groups', 'dim', 'eps?'],
  doc: 'GroupNorm(groups, dim, eps: 1e-5) of [b, dim, ...].',
  make: (call) => {
    const d = size(call);
    const groups = countArg(call, 'groups', 1);
    if (d % groups !== 0) outOfRange(call, 'groups', String(groups), `a divisor of ${d}`);
    const e = eps(call);
    return {
      layer: {
        ...perChannel(d, 1, `${d}, ${groups} groups`),
        run: ({ x, weight, bias, about }) => make('group_norm', list(x, weight, bias), { groups, eps: e }, about),
      },
      params: affine(d),
    };
  },
};

const batchNorm: LayerType = {
  params: ['dim', 'eps?', 'momentum?'],
  doc: 'BatchNorm(dim, eps: 1e-5, momentum: 0.1) of [b, dim, ...] with running averages of mean and variance, which move where the layer is trained.',
  make: (call) => {
    const d = size(call);
    const e = eps(call);
    const momentum = numberArg(call, 'momentum', 0.1);
    if (!(momentum > 0 && momentum <= 1)) outOfRange(call, 'momentum', String(momentum), 'above 0 and at most 1');
    return {
      layer: {
        ...perChannel(d, 1),
        run: ({ x, weight, bias, rest, about }) =>
          make('batch_norm', [...list(x, weight, bias), ...rest], { eps: e }, about),
      },
      params: [
        ...affine(d),
        { name: 'running_mean', shape: [d], init: ZEROS, momentum },
        { name: 'running_var', shape: [d], init: ONES, momentum },
      ],
    };
  },
};

const LAYERS: Readonly<Record<string, LayerType>> = {
  Linear: linear,
  Conv2d: conv2d,
  LayerNorm: layerNorm,
  GroupNorm: groupNorm,
  BatchNorm: batchNorm,
};

/** Kinds of layers, with the names of their parameters. */
export const LAYER_PARAMETERS: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(LAYERS).map(([name, { params }]) => [name, params.map((p) => p.replace('?', ''))]),
);

/** Makes the layer that a call such as `Linear(dim -> hidden)` describes. */
export function makeLayer(engine: Engine, type: string, expr: CallExpr, scope: Scope, spot: Spot): LayerSite {
  const def = LAYERS[type]!;
  const args: ArgVal[] = expr.args.map((a) => ({
    value: engine.evaluate(a.value, scope),
    span: a.value.span,
    ...(a.name ? { name: a.name.name, nameSpan: a.name.span } : {}),
  }));
  const bound = bindArguments(engine, { name: type, ...def }, expr, args);
  const made = def.make({ engine, name: type, span: expr.span, expr, scope, args: bound.args, rest: [] });
  const parts: PartSite[] = [];
  const site: LayerSite = {
    kind: 'layer',
    path: spot.path,
    type,
    span: expr.span,
    role: spot.owner.role,
    adapter: spot.owner.adapter,
    children: new Map(),
    params: new Map(),
    grafts: [],
    called: false,
    layer: made.layer,
    parts,
  };
  for (const p of made.params) {
    const name = `${spot.path}.${p.name}`;
    site.params.set(
      p.name,
      makeParam(engine, { ...p, name, role: spot.owner.role, adapter: site.adapter, span: expr.span }),
    );
  }
  let start = 0;
  for (const [name, n] of made.parts ?? []) {
    const part = partOf(site, name, [start, start + n]);
    site.children.set(name, part);
    parts.push(part);
    start += n;
  }
  return site;
}

function partOf(whole: LayerSite, name: string, rows: readonly [number, number]): PartSite {
  return {
    kind: 'part',
    path: `${whole.path}.${name}`,
    type: whole.type,
    span: whole.span,
    role: whole.role,
    adapter: whole.adapter,
    children: new Map(),
    params: new Map(),
    grafts: [],
    called: false,
    whole,
    rows,
  };
}
