/** What the language must be able to say: each spec is traced, verified and run, most against numbers worked out by hand. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { rootsOf, topological } from '../../../src/ir/graph.js';
import { initialise } from '../../../src/ir/run/init.js';
import { tensor } from '../../../src/ir/run/tensor.js';
import type { Tensor } from '../../../src/ir/types.js';
import { maxDifference } from '../../tensors.js';
import { codes, count, good, run, type Setup } from './helper.js';

const fixture = (name: string, setup: Setup) =>
  good(readFileSync(new URL(`./fixtures/${name}.peft`, import.meta.url), 'utf8'), setup);

function wave(shape: readonly number[], step = 0.7): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensor(
    shape,
    Float64Array.from({ length: size }, (_, i) => Math.sin(1 + i * step)),
  );
}

describe('shifted-window attention', () => {
  const [grid, window, heads, dim] = [4, 2, 2, 4];

  /** Token by token: who meets whom, by where they are in the shifted image. */
  function reference(x: Tensor, p: (name: string) => Tensor, shift: number): Float64Array {
    const n = grid * grid;
    const qkvW = p('base.attn.qkv.weight').data;
    const projW = p('base.attn.proj.weight').data;
    const bias = p('base.attn.bias').data;
    const width = dim / heads;
    const out = new Float64Array(x.data.length);
    for (let b = 0; b < x.type.shape[0]!; b++) {
      const qkv = (t: number, o: number) => {
        let s = 0;
        for (let c = 0; c < dim; c++) s += qkvW[o * dim + c]! * x.data[(b * n + t) * dim + c]!;
        return s;
      };
      const place = (t: number) => {
        const r = (Math.floor(t / grid) - shift + grid) % grid;
        const c = ((t % grid) - shift + grid) % grid;
        const strip = (k: number) => (k < grid - window ? 0 : k < grid - shift ? 1 : 2);
        return { r, c, window: Math.floor(r / window) * grid + Math.floor(c / window), zone: strip(r) * 3 + strip(c) };
      };
      for (let t = 0; t < n; t++) {
        const y: number[] = [];
        const me = place(t);
        for (let h = 0; h < heads; h++) {
          const scores: number[] = [];
          const seen: number[] = [];
          for (let u = 0; u < n; u++) {
            const it = place(u);
            if (it.window !== me.window || (shift > 0 && it.zone !== me.zone)) continue;
            let s = 0;
            for (let d = 0; d < width; d++) s += qkv(t, h * width + d) * qkv(u, dim + h * width + d);
            const near = (me.r - it.r + window - 1) * (2 * window - 1) + me.c - it.c + window - 1;
            scores.push(s / Math.sqrt(width) + bias[near * heads + h]!);
            seen.push(u);
          }
          const e = scores.map((s) => Math.exp(s));
          const total = e.reduce((a, v) => a + v, 0);
          for (let d = 0; d < width; d++) {
            y.push(seen.reduce((a, u, i) => a + (e[i]! / total) * qkv(u, 2 * dim + h * width + d), 0));
          }
        }
        for (let o = 0; o < dim; o++) {
          out[(b * n + t) * dim + o] = y.reduce((a, v, c) => a + projW[o * dim + c]! * v, 0);
        }
      }
    }
    return out;
  }

  it.each([0, 1])('equals attention token by token, shift %i', (shift) => {
    const e = fixture('swin', { model: 'Shifted', set: { shift: String(shift) } });
    const x = wave([2, 16, 4]);
    const p = (name: string) => initialise(e.module.params.get(name)!, 1, e.module, () => x);
    const y = run(e, { tokens: x }).get('base')!;
    expect(maxDifference(y, tensor([2, 16, 4], reference(x, p, shift)))).toBeLessThan(1e-6);
  });

  it('is a stage with loops and compile-time branches; equal tables are one constant', () => {
    const e = fixture('swin', { model: 'Whole' });
    expect(run(e, { tokens: wave([1, 16, 4]) }).get('base')!.type.shape).toEqual([1, 16, 4]);
    const constants = [...e.module.params.values()].filter((p) => p.role === 'constant').map((p) => p.name);
    expect(constants).toEqual(['base.stage.blocks.0.near', 'base.stage.blocks.1.meet']);
  });
});

describe('stacked adapters', () => {
  it('nest in statement order, and the outer one reads the merged weight', () => {
    const e = fixture('stacked', {});
    const scopes = e.adapters.map((a) => a.id);
    expect(scopes).toEqual(['base.fc1@alore', 'base.fc1@lora', 'base.fc1@dora', 'base.fc2.a@lora', 'base.fc2@dora']);
    const x = wave([3, 8]);
    const w = (name: string, shape: number[], step: number) => ({ [name]: wave(shape, step) });
    const given = {
      ...w('base.fc1@alore.U', [2, 4, 2], 0.3),
      ...w('base.fc1@alore.c', [8], 0.4),
      ...w('base.fc1@lora.B', [8, 2], 0.5),
      ...w('base.fc1@dora.B', [8, 2], 0.6),
      ...w('base.fc1@dora.m', [8], 0.9),
      ...w('base.fc2.a@lora.B', [8, 2], 0.8),
      ...w('base.fc2@dora.B', [16, 2], 1.1),
      ...w('base.fc2@dora.m', [16], 1.3),
    };
    const y = run(e, { x }, given).get('base')!;
    const p = (name: string): Tensor =>
      (given as Record<string, Tensor>)[name] ?? initialise(e.module.params.get(name)!, 1, e.module, p);
    expect(maxDifference(y, tensor([3, 16], byHand(x, p)))).toBeLessThan(1e-6);
  });
});

type Matrix = number[][];
const mat = (t: Tensor): Matrix => {
  const [r, c] = t.type.shape as [number, number];
  return Array.from({ length: r }, (_, i) => Array.from({ length: c }, (_, j) => t.data[i * c + j]!));
};
const mul = (a: Matrix, b: Matrix): Matrix =>
  a.map((r) => b[0]!.map((_, j) => r.reduce((s, v, k) => s + v * b[k]![j]!, 0)));
const plus = (a: Matrix, b: Matrix): Matrix => a.map((r, i) => r.map((v, j) => v + b[i]![j]!));
const rescaled = (v: Matrix, m: ArrayLike<number>): Matrix =>
  v.map((r, i) => r.map((x) => (m[i]! / Math.hypot(...r)) * x));

/** The stack of the fixture with plain matrices: fc1 = DoRA(LoRA(ALoRE)), fc2 = DoRA(concat(LoRA, plain)). */
function byHand(x: Tensor, p: (name: string) => Tensor): Float64Array {
  const S = p('base.fc1@alore.S').data;
  const U = p('base.fc1@alore.U').data;
  const V = p('base.fc1@alore.V').data;
  const inner: Matrix = Array.from({ length: 8 }, (_, i) => Array.from({ length: 8 }, (_, j) => (i === j ? 1 : 0)));
  for (let e = 0; e < 2; e++) {
    for (let i = 0; i < 8; i++) {
      for (let j = 0; j < 8; j++) {
        let uv = 0;
        for (let r = 0; r < 2; r++) uv += U[(e * 4 + (i % 4)) * 2 + r]! * V[(e * 2 + r) * 4 + (j % 4)]!;
        inner[i]![j]! += S[(e * 2 + Math.floor(i / 4)) * 2 + Math.floor(j / 4)]! * uv;
      }
    }
  }
  const W = mat(p('base.fc1.weight'));
  const b = [...p('base.fc1.bias').data];
  const c = [...p('base.fc1@alore.c').data];
  const bias = b.map((v, i) => v + W[i]!.reduce((s, w, k) => s + w * c[k]!, 0));
  const lora = plus(mul(W, inner), mul(mat(p('base.fc1@lora.B')), mat(p('base.fc1@lora.A'))));
  const dora = plus(lora, mul(mat(p('base.fc1@dora.B')), mat(p('base.fc1@dora.A'))));
  const W1 = rescaled(dora, p('base.fc1@dora.m').data);
  const W2 = mat(p('base.fc2.weight'));
  const part = mul(mat(p('base.fc2.a@lora.B')), mat(p('base.fc2.a@lora.A')));
  for (let i = 0; i < 8; i++) for (let j = 0; j < 8; j++) W2[i]![j]! += part[i]![j]!;
  const V2 = rescaled(plus(W2, mul(mat(p('base.fc2@dora.B')), mat(p('base.fc2@dora.A')))), p('base.fc2@dora.m').data);
  const out: number[] = [];
  for (const row of mat(x)) {
    const h = W1.map((r, i) => r.reduce((s, w, k) => s + w * row[k]!, bias[i]!));
    out.push(...V2.map((r) => r.reduce((s, w, k) => s + w * h[k]!, 0)));
  }
  return Float64Array.from(out);
}

describe('sites that are not layers', () => {
  const pixels = wave([1, 1, 8, 8]);
  const plain = () =>
    run(
      good(
        'use std\nvariant tiny = vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 2, heads: 2)\nmodel M {\n  base = tiny()\n  head = classify(base, classes: 3)\n}',
      ),
      { pixels },
    ).get('logits')!;

  it('an adapter on a labelled stretch, its layers under its own name', () => {
    const e = fixture('branches', { model: 'Labelled' });
    expect(e.adapters[0]!.id).toBe('base.blocks.0.mlp_branch@adaptformer');
    expect(Object.values(e.adapters[0]!.params)).toEqual(
      ['down.weight', 'down.bias', 'up.weight', 'up.bias'].map((p) => `base.blocks.0.mlp_branch@adaptformer.${p}`),
    );
    // `up` starts at zero, so nothing changes at first; with another `up` it does.
    expect(maxDifference(run(e, { pixels }).get('logits')!, plain())).toBeLessThan(1e-12);
    const changed = run(e, { pixels }, { 'base.blocks.0.mlp_branch@adaptformer.up.weight': wave([8, 4]) });
    expect(maxDifference(changed.get('logits')!, plain())).toBeGreaterThan(1e-3);
  });

  it('VPT puts prompts inside of the list of blocks, or inside of each block', () => {
    const shallow = fixture('branches', { model: 'Prompts' });
    expect(shallow.adapters.map((a) => a.id)).toEqual(['base.blocks@vpt']);
    expect(maxDifference(run(shallow, { pixels }).get('logits')!, plain())).toBeGreaterThan(1e-4);
    const deep = fixture('branches', { model: 'DeepPrompts' });
    expect(count(deep, (n) => n.includes('@vpt'))).toBe(2 * 3 * 8);
  });

  it("FacT's U and V are one tensor for the whole statement", () => {
    const e = fixture('branches', { model: 'Shared' });
    const own = [...e.module.params.keys()].filter((n) => n.includes('@'));
    expect(own.filter((n) => n.endsWith('.U') || n.endsWith('.V'))).toEqual(['base@fact_tt.U', 'base@fact_tt.V']);
    expect(own.filter((n) => n.endsWith('.core'))).toHaveLength(6);
    expect(e.adapters.every((a) => Object.values(a.params).includes('base@fact_tt.U'))).toBe(true);
  });
});

describe('base', () => {
  it("keeps a convolution's stride, groups, padding and missing bias when its weight is replaced", () => {
    const text = (adapt: string) => `backbone one() {
  conv = Conv2d(4 -> 8, kernel: 3, stride: 2, padding: [1, 0], groups: 2, bias: false)
  forward(x: [b, 4, 6, 7]) { conv(x) }
}
adapter double() on base: Conv2d(in -> out) {
  half = param [out] 0.5
  forward(x) { base(x, weight: half[:, new, new, new] * (4 * base.weight)) + base.bias }
}
model M {
  base = one()
  ${adapt}
}`;
    const x = wave([1, 4, 6, 7]);
    const once = run(good(text('')), { x }).get('base')!;
    const twice = run(good(text('adapt base.conv with double()')), { x }).get('base')!;
    expect(twice.type.shape).toEqual([1, 8, 3, 3]);
    expect(
      maxDifference(
        twice,
        tensor(
          once.type.shape,
          Float64Array.from(once.data, (v) => 2 * v),
        ),
      ),
    ).toBeLessThan(1e-12);
  });

  it('says the sides of a convolution’s kernel and its groups, of other layers neither', () => {
    const text = (made: string, adapter: string, adapt: string) => `use std
backbone one() {
  c = ${made}
  forward(x: [b, 4, 6, 4]) { c(x) }
}
adapter own() on base: Layer(in -> out) {
  ${adapter}
  forward(x) { base(x) }
}
model M {
  base = one()
  adapt base.c with ${adapt}
}`;
    const conv = 'Conv2d(4 -> 8, kernel: [3, 2], groups: 2)';
    const own = 'kh, kw = base.kernel\n  A = param [kh, kw, base.groups] zeros';
    expect(good(text(conv, own, 'own()')).module.params.get('base.c@own.A')!.type.shape).toEqual([3, 2, 2]);
    for (const member of ['kernel', 'groups'])
      expect(codes(text('Linear(4 -> 8)', `A = base.${member}`, 'own()'))).toEqual(['ESP0333']);
    for (const adapter of ['lora_conv', 'dora_conv']) {
      expect(codes(text(conv, '', `${adapter}(rank: 2)`))).toEqual(['ESP0223']);
      expect(codes(text(conv.replace('groups: 2', 'groups: 1'), '', `${adapter}(rank: 0)`))).toEqual(['ESP0223']);
    }
  });

  it('is the merged weight of a convolution of single pixels, with its kernel', () => {
    const text = (adapt: string) => `backbone one() {
  conv = Conv2d(4 -> 8, kernel: 1)
  forward(x: [b, 4, 6, 7]) { conv(x) }
}
adapter low() on base: Conv2d(in -> out) {
  s = param [out] 3
  forward(x) { s[:, new, new] * base(x) }
}
adapter high() on base: Conv2d(in -> out) {
  half = param [out] 0.5
  forward(x) { base(x, weight: half[:, new, new, new] * (4 * base.weight), bias: 2 * base.bias) }
}
model M {
  base = one()
  ${adapt}
}`;
    const x = wave([2, 4, 6, 7]);
    const once = run(good(text('')), { x }).get('base')!;
    const both = run(good(text('adapt base.conv with low()\n  adapt base.conv with high()')), { x }).get('base')!;
    const six = tensor(
      once.type.shape,
      Float64Array.from(once.data, (v) => 6 * v),
    );
    expect(maxDifference(both, six)).toBeLessThan(1e-12);
  });

  it('frozen and shared parameters: VeRA in eight lines', () => {
    const e = good(`use std
adapter vera(rank: int = 4) on base: Linear(in -> out) {
  A = shared frozen param [rank, in] kaiming_uniform
  B = shared frozen param [out, rank] kaiming_uniform
  d = param [rank] 0.1
  c = param [out] zeros
  forward(x) { base(x) + c * ((d * (x @ A.T)) @ B.T) }
}
model M {
  base = vit_base_patch16()
  adapt base.blocks[*].attn.qkv.{q, v} with vera(rank: 256)
}`);
    expect(count(e, (_, role) => role === 'trainable')).toBe(24_576);
    expect(e.module.params.get('base@vera.A')!.role).toBe('frozen');
  });

  it('serves norms and other layers through `Layer`', () => {
    const e = good(
      'use std\nmodel M {\n  base = vit_auto(image: 8, patch: 4, dim: 8, depth: 1, heads: 2)\n  adapt base.{patch_embed, norm} with ssf()\n}',
    );
    expect(run(e, { pixels: wave([1, 3, 8, 8]) }).get('base')!.type.shape).toEqual([1, 5, 8]);
  });
});

describe("a user's own method", () => {
  it('needs nothing but a declaration', () => {
    const e = good(
      `backbone one() {
  fc = Linear(4 -> 4)
  forward(x: [n, 4]) { fc(x) }
}
adapter reflect(strength: float = 2) on base: Linear(in -> out) {
  require(in == out, "reflect needs a square layer")
  v = param [in] ones
  forward(x) { base(x - strength / in * ((x @ v[:, new]) @ v[new, :])) }
}
model M {
  base = one()
  adapt base.fc with reflect()
}`,
    );
    const eye = tensor(
      [4, 4],
      Float64Array.from({ length: 16 }, (_, i) => (i % 5 === 0 ? 1 : 0)),
    );
    const y = run(e, { x: tensor([1, 4], [1, 2, 3, 4]) }, { 'base.fc.weight': eye }).get('base')!;
    expect([...y.data]).toEqual([-4, -3, -2, -1]);
  });
});

describe('dropout', () => {
  it('draws from a stream of its own wherever it stands, the same ones each time', () => {
    const text = `backbone two() {
  fc = Linear(4 -> 4)
  again = Linear(4 -> 4)
  forward(x: [n, 4]) { again(dropout(x, rate: 0.5) + dropout(x, rate: 0.5)) + fc(x) }
}
adapter dropped() on base: Linear(in -> out) {
  forward(x) { base(dropout(x, rate: 0.1)) }
}
model M {
  base = two()
  adapt base.{fc, again} with dropped()
}`;
    const streams = () => {
      const { funcs } = good(text).module;
      const values = topological(rootsOf(funcs.get('infer')!));
      return values.flatMap((v) => (v.op === 'dropout' ? [v.attrs.stream] : []));
    };
    const found = streams();
    expect(found).toHaveLength(4);
    expect(new Set(found).size).toBe(4);
    expect(streams()).toEqual(found);
  });
});
