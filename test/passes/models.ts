/** Small models built by hand, with places where tests graft adapters, and the means to run and compare them. */

import { dependsOnInput } from '../../src/ir/affine/parse.js';
import { shapeAt } from '../../src/ir/batch.js';
import { input, make, paramRef, rootsOf, topological } from '../../src/ir/graph.js';
import { type Builder, makeBuilder } from '../../src/ir/ops/builder.js';
import { sizeOf } from '../../src/ir/ops/shapes.js';
import { interpret } from '../../src/ir/run/interpret.js';
import { tensor } from '../../src/ir/run/tensor.js';
import type { About, Adapter, Func, Module, OpAttrs, Param, Tensor, Value, ValueOf } from '../../src/ir/types.js';

/** A layer as an adapter sees it. */
export interface Base {
  readonly site: string;
  readonly weight: Value;
  readonly bias: Value | undefined;
  readonly call: (x: Value, weight?: Value) => Value;
}

/** What replaces a site; what `b` makes is the adapter's. */
export type Graft = (net: Net, base: Base, x: Value) => Value;

/** Declares parameters and makes values with a site, and inside an adapter as the adapter's. */
export class Net {
  readonly params = new Map<string, Param>();
  readonly adapters = new Map<string, Adapter>();
  adapterId: string | undefined;
  site = 'base';
  start = 0;
  readonly b: Builder = makeBuilder((op, inputs, attrs) => this.make(op, inputs, attrs));

  make<O extends keyof OpAttrs>(op: O, inputs: readonly Value[], attrs: OpAttrs[O]): Value {
    const at = { file: 'test.peft', start: this.start, end: ++this.start };
    return make(op, inputs, attrs, { site: this.site, at, ...this.owned(this.adapterId) });
  }

  private owned(id: string | undefined): About {
    if (id === undefined) return {};
    const [site = '', name = ''] = id.split('@');
    if (!this.adapters.has(id)) this.adapters.set(id, { id, name, site });
    return { owner: { kind: 'adapter', ids: [id] } };
  }

  param(name: string, shape: readonly number[], role: Param['role'] = 'frozen'): Value {
    // `base.fc@lora.A` is a parameter of the adapter `base.fc@lora`.
    const id = name.includes('@') ? name.slice(0, name.indexOf('.', name.indexOf('@'))) : undefined;
    const param: Param = { name, type: { dtype: 'f32', shape }, role, ...(id ? { about: this.owned(id) } : {}) };
    if (!this.params.has(name)) this.params.set(name, param);
    return paramRef(this.params.get(name)!);
  }

  /** The mask of a parameter: every other element is 0. */
  mask(of: Value): Value {
    const masked = of.op === 'param' ? of.attrs.name : '';
    const name = `${masked}#mask`;
    const data = Float32Array.from({ length: sizeOf(of.type.shape) }, (_, i) => i % 2);
    const about: About = { owner: { kind: 'mask', of: masked } };
    if (!this.params.has(name)) this.params.set(name, { name, type: of.type, role: 'constant', data, about });
    return paramRef(this.params.get(name)!);
  }

  /** Inside, everything made belongs to an adapter on `site`. */
  adapter<T>(site: string, name: string, make: (param: (name: string, shape: readonly number[]) => Value) => T): T {
    const outer = [this.adapterId, this.site] as const;
    this.adapterId = `${site}@${name}`;
    this.site = site;
    const made = make((p, shape) => this.param(`${site}@${name}.${p}`, shape, 'trainable'));
    [this.adapterId, this.site] = outer;
    return made;
  }

  linear(site: string, x: Value, width: number, out: number, graft?: Graft, bias = true): Value {
    const weight = this.param(`${site}.weight`, [out, width]);
    const b = bias ? this.param(`${site}.bias`, [out]) : undefined;
    const call = (y: Value, w: Value = weight): Value => {
      const outer = [this.adapterId, this.site] as const;
      [this.adapterId, this.site] = [undefined, site];
      const made = this.b.linear(y, w, b);
      [this.adapterId, this.site] = outer;
      return made;
    };
    return graft ? graft(this, { site, weight, bias: b, call }, x) : call(x);
  }

  norm(site: string, x: Value): Value {
    const d = x.type.shape.at(-1)!;
    this.site = site;
    return this.b.layerNorm(x, this.param(`${site}.weight`, [d]), this.param(`${site}.bias`, [d]), 1e-6);
  }

  module(result: Value, name = 'test'): Module {
    const inputs = topological([result]).filter((v) => v.op === 'input');
    const infer: Func = { name: 'infer', inputs, results: [{ name: 'logits', value: result }], updates: [] };
    return { name, adapters: this.adapters, params: this.params, funcs: new Map([['infer', infer]]) };
  }
}

export interface VitGrafts {
  qkv?: Graft;
  proj?: Graft;
  fc1?: Graft;
  fc2?: Graft;
  norm1?: (net: Net, site: string, y: Value) => Value;
  /** What the attention block does with its input, before its first layer. */
  beforeQkv?: (net: Net, site: string, x: Value) => Value;
  afterBlock?: (net: Net, site: string, x: Value) => Value;
}

export interface VitSize {
  batch: number;
  dim: number;
  heads: number;
  depth: number;
  grid: number;
  patch: number;
  classes: number;
}

export const TINY: VitSize = { batch: 2, dim: 8, heads: 2, depth: 2, grid: 2, patch: 2, classes: 3 };

/** ViT as the library has it: patches by a convolution, a class token, positions, pre-norm blocks, a head on the class token. */
export function vit(g: VitGrafts = {}, size: VitSize = TINY): Module {
  const { batch, dim, heads, depth, grid, patch, classes } = size;
  const net = new Net();
  const { b } = net;
  const n = grid * grid + 1;
  const d = dim / heads;
  const image = input('pixels', { dtype: 'f32', shape: [batch, 3, grid * patch, grid * patch] });
  net.site = 'base.patch_embed';
  const patches = net.make(
    'conv2d',
    [image, net.param('base.patch_embed.weight', [dim, 3, patch, patch]), net.param('base.patch_embed.bias', [dim])],
    { stride: [patch, patch], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 },
  );
  net.site = 'base';
  const tokens = b.transpose(b.reshape(patches, [batch, dim, grid * grid]), [0, 2, 1]);
  const cls = b.broadcast(net.param('base.cls_token', [1, 1, dim]), [batch, 1, dim]);
  let x = b.add(b.concat([cls, tokens], 1), net.param('base.pos_embed', [1, n, dim]));
  for (let i = 0; i < depth; i++) {
    const at = `base.blocks.${i}`;
    let y = net.norm(`${at}.norm1`, x);
    if (g.norm1) y = g.norm1(net, `${at}.norm1`, y);
    if (g.beforeQkv) y = g.beforeQkv(net, `${at}.attn`, y);
    const qkv = net.linear(`${at}.attn.qkv`, y, dim, 3 * dim, g.qkv);
    net.site = `${at}.attn`;
    const parts = b.transpose(b.reshape(qkv, [batch, n, 3, heads, d]), [2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map((p) => b.reshape(b.sliceAxis(parts, 0, p, p + 1), [batch, heads, n, d]));
    const attended = b.attention(q!, k!, v!, d ** -0.5);
    const joined = b.reshape(b.transpose(attended, [0, 2, 1, 3]), [batch, n, dim]);
    x = b.add(x, net.linear(`${at}.attn.proj`, joined, dim, dim, g.proj));
    const z = net.norm(`${at}.norm2`, x);
    const hidden = b.gelu(net.linear(`${at}.mlp.fc1`, z, dim, 4 * dim, g.fc1));
    x = b.add(x, net.linear(`${at}.mlp.fc2`, hidden, 4 * dim, dim, g.fc2));
    if (g.afterBlock) x = g.afterBlock(net, at, x);
  }
  const out = net.norm('base.norm', x);
  const pooled = b.reshape(b.slice(out, [0, 0, 0], [batch, 1, dim]), [batch, dim]);
  return net.module(net.linear('head.fc', pooled, dim, classes));
}

/** The dependent operators of `infer` in order: name, attributes, shape, number of operands. */
export function operators(module: Module): string[] {
  return topological(rootsOf(module.funcs.get('infer')!))
    .filter((v) => dependsOnInput(v) && v.op !== 'input')
    .map((v) => `${v.op}/${v.inputs.length} ${JSON.stringify(v.attrs)} [${v.type.shape}]`);
}

/** Deterministic pseudo-random elements for every name. */
export function parameters(module: Module, scale = 0.5): (name: string) => Tensor {
  const made = new Map<string, Tensor>();
  return (name) => {
    const known = made.get(name);
    if (known) return known;
    const declared = module.params.get(name);
    const type = declared?.type;
    if (declared?.data) return tensor(declared.type.shape, declared.data, declared.type.dtype);
    if (!type) throw new Error(`no parameter ${name}`);
    const t = random(type.shape, hash(name), scale);
    made.set(name, t);
    return t;
  };
}

function hash(text: string): number {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  return h >>> 0;
}

export function random(shape: readonly number[], seed: number, scale = 1): Tensor {
  let state = seed;
  const data = new Float64Array(sizeOf(shape));
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    let t = state ^ (state >>> 15);
    t = Math.imul(t, 0x2c1b3c6d);
    data[i] = (((t ^ (t >>> 12)) >>> 0) / 2 ** 32 - 0.5) * 2 * scale;
  }
  return tensor(shape, data);
}

/** Runs a module's `infer` for some samples, after its `prepare` if it has one; its one result. */
export function run(module: Module, params: (name: string) => Tensor, samples = 2): Tensor {
  const infer = module.funcs.get('infer')!;
  const given = (v: ValueOf<'input'>) => random(shapeAt(v.type.shape, samples), 7);
  const inputs = new Map(infer.inputs.flatMap((v) => (v.op === 'input' ? [[v.attrs.name, given(v)] as const] : [])));
  const prepared = module.funcs.has('prepare') ? interpret(module, 'prepare', { params }) : new Map<string, Tensor>();
  const made = interpret(module, 'infer', { inputs, params: (name) => prepared.get(name) ?? params(name) });
  return made.get(infer.results[0]!.name)!;
}

/** max |a - b| / max |a| */
export function relative(a: Tensor, b: Tensor): number {
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < a.data.length; i++) {
    worst = Math.max(worst, Math.abs(a.data[i]! - b.data[i]!));
    largest = Math.max(largest, Math.abs(a.data[i]!));
  }
  return Number.isNaN(worst) ? Number.NaN : worst / largest;
}

/** The plain model with a merged checkpoint: what `replaced` names, in the place of its own parameters. */
export function runPlain(
  plain: Module,
  merged: Module,
  replaced: ReadonlyMap<string, string>,
  params: (name: string) => Tensor,
): Tensor {
  const prepared = interpret(merged, 'prepare', { params });
  return run(plain, (name) => {
    const other = replaced.get(name);
    if (other === undefined) return params(name);
    return prepared.get(other)!;
  });
}
