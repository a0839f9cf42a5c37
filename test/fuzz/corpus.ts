/** Specs to start from: those of the repository, and small ones that use each part of the language. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '../../src/dsl/parse.js';
import { ROOT } from './host.js';

const FILES = [
  'examples/fashion/karst.peft',
  'examples/fashion/alore.peft',
  'examples/fashion/lora.peft',
  'src/dsl/std/adapters.peft',
  'src/dsl/std/backbones/transformers/vit.peft',
  'test/dsl/semantics/fixtures/branches.peft',
  'test/dsl/semantics/fixtures/siblings.peft',
  'test/dsl/semantics/fixtures/stacked.peft',
  'test/dsl/semantics/fixtures/swin.peft',
  'test/dsl/syntax/fixtures/sketch.peft',
];

const TINY = 'vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 2, heads: 2)';

/** A classifier on a tiny ViT whose weights start as they are initialised. */
const tiny = (body: string, before = '', after = '') => `use std
${before}
model M {
  base = ${TINY}
  head = classify(base, classes: 3)
  ${body}
}
${after}`;

const graft = (adapter: string, sites = 'base.blocks[*].attn.qkv, base.blocks[*].mlp.fc1') =>
  tiny(`adapt ${sites} with ${adapter}`);

const SMALL = [
  graft('lora(rank: 2, rslora: true)'),
  graft('dora(rank: 2, alpha: 4)'),
  graft('karst(kernels: 2, factor: 2, rank: 2, rescale: channel, input: true)'),
  graft('alore(experts: 2, rank: 2, bias: true)', 'base.blocks[0..2].{attn.proj, mlp.fc2}'),
  graft('repadapter(hidden: 4, groups: 2, scale: 0.5)'),
  graft('ssf', 'base.**.{norm1, norm2, qkv}, base.patch_embed'),
  graft('lora_conv(rank: 2, bias: true)', 'base.patch_embed'),
  graft('fact_tt(rank: 3)', 'base.blocks[1].attn.qkv.{q, v}'),
  graft('adaptformer(hidden: 2)', 'base.blocks[*].mlp_branch'),
  graft('vpt(prompts: 3)', 'base.blocks'),
  tiny(
    `in base.blocks[*] {
    prune mlp.fc1, mlp.fc2 with magnitude(sparsity: 2:4, over: sum)
    prune attn.proj with magnitude(sparsity: 50%, scope: global, shape: block(2, 2))
    adapt mlp.fc1 with lora(rank: 1)
  }
  tune head, base.norm`,
    '',
    `deploy M {
  adapters = factored
  weights = f16
  batch = [1, 3]
  limits = baseline
}
train M {
  optimizer = adamw(lr: 1e-3, weight_decay: 0.05)
  schedule = cosine(epochs: 5, warmup: 1)
  augment = [flip(50%), mixup(0.2)]
  groups = [group("head", lr: 1e-2)]
}
`,
  ),
  tiny(
    'adapt base.blocks[*].mlp.fc2 with own(rank: 2)',
    `adapter own(rank: int, scale: float = 0.5, deep: bool = false) on base: Linear(in -> out) {
  require(rank >= 1, "rank must be at least 1")
  A = param [rank, in] kaiming_uniform(sqrt(5))
  B = param [out, rank] normal(0.02)
  g = param [out] ones
  I = table(i < in, j < in: if i == j { 1.0 } else { 0.0 })
  forward(x) {
    y = x @ A.T @ B.T
    if deep { g * (base(x) + scale * y) } else { base(x @ I) + scale * y }
  }
}`,
  ),
  `use std.vit
use std.heads
module Stem(dim: int) {
  conv = Conv2d(1 -> dim, kernel: 3, stride: 2, padding: 1)
  norm = LayerNorm(dim)
  forward(pixels: [b, 1, 8, 8]) { norm(rearrange(conv(pixels), "b d h w -> b (h w) d")) }
}
backbone net(dim: int = 8, depth: int = 2) {
  stem = Stem(dim)
  layers = repeat i < depth { Linear(dim -> dim, bias: i % 2 == 0) }
  scale = param [dim] ones
  forward(pixels: [b, 1, 8, 8]) {
    x = stem(pixels)
    for i < depth { x = x + scale * silu(layers[i](x)) }
    x
  }
}
variant small = net(dim: 4)
model N(depth: int = 3, wide: bool = false) {
  base = if wide { net(dim: 16) } else { net(depth: depth) }
  head = classify(base, pool: mean, classes: ["a", "b"])
  if wide { tune head } else { tune base.layers }
}
`,
  tiny('adapt base.blocks[*].attn.qkv with lora(rank: 2) from "./own"').replace(TINY, 'vit_auto() from "./vit-grey"'),
  `use std
model V {
  base = vit_auto() from "./vit-odd"
  head = classify(base)
  in base.blocks[0, 2] { adapt attn.qkv.q, attn.qkv.v with lora(rank: 2) }
}
`,
];

/** Every spec, whole. */
export const SPECS: readonly string[] = [
  ...FILES.map((file) => readFileSync(join(ROOT, file), 'utf8')),
  ...SMALL,
  ...SMALL,
];

export const tokensOf = (text: string): string[] => text.match(/\w+|\s+|->|\.\.|\*\*|[<>=!]=|[^\w\s]/g) ?? [];

/** Every token and line of them, for a slip to take. */
export const TOKENS: readonly string[] = [
  ...new Set(SPECS.flatMap(tokensOf)),
  ...[
    '0',
    '-1',
    '1e9',
    '1e400',
    '2:0',
    '50%',
    '0..',
    '..',
    'none',
    'new',
    ';',
    '\\',
    '"',
    '//',
    '\r\n',
    '\u2028',
    'NaN',
    '5 epochs',
    '2k',
    '__proto__',
    'constructor',
  ],
];
export const LINES: readonly string[] = [...new Set(SPECS.flatMap((text) => text.split('\n')))];

/** A stretch of a text that is a node of its tree. */
export interface Piece {
  readonly start: number;
  readonly end: number;
}

const EXPRESSIONS =
  /^(number|string|bool|none|ratio|name|member|index|call|unary|binary|arrow|if|repeat|param|list|record|block)$/;
const STATEMENTS = /^(bind|expr|if_stmt|for|site|forward|model_bind|in|adapt|prune|tune|model_if)$/;
const DECLARATIONS = /^(use|module|backbone|adapter|criterion|variant|model|train|deploy)$/;

export type Sort = 'expression' | 'statement' | 'declaration' | 'selector' | 'item' | 'name';

function sortOf(node: Record<string, unknown>): Sort | undefined {
  const { kind } = node;
  if (typeof kind !== 'string')
    return 'steps' in node ? 'selector' : 'name' in node && !('value' in node) ? 'name' : undefined;
  if (EXPRESSIONS.test(kind)) return 'expression';
  if (STATEMENTS.test(kind)) return 'statement';
  if (DECLARATIONS.test(kind)) return 'declaration';
  return 'item';
}

/** Those of the specs that mutations start from: parsing is most of what making a case costs. */
const known = new Map<string, ReadonlyMap<Sort, readonly Piece[]>>();

/** The nodes of a text's tree by sort. */
export function piecesOf(text: string): ReadonlyMap<Sort, readonly Piece[]> {
  return known.get(text) ?? readPieces(text);
}

function readPieces(text: string): Map<Sort, Piece[]> {
  const found = new Map<Sort, Piece[]>();
  const stack: unknown[] = [parse('f.peft', text).file.decls];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    const { span } = node as { span?: Piece };
    const sort = span && sortOf(node as Record<string, unknown>);
    if (span && sort) found.set(sort, [...(found.get(sort) ?? []), { start: span.start, end: span.end }]);
    for (const value of Object.values(node)) if (typeof value === 'object') stack.push(value);
  }
  return found;
}

/** The texts of all nodes of all specs. */
export const POOL: ReadonlyMap<Sort, readonly string[]> = (() => {
  const pool = new Map<Sort, Set<string>>();
  for (const text of new Set(SPECS)) {
    const all = readPieces(text);
    known.set(text, all);
    for (const [sort, pieces] of all) {
      const texts = pool.get(sort) ?? new Set();
      for (const { start, end } of pieces) if (end - start < 600) texts.add(text.slice(start, end));
      pool.set(sort, texts);
    }
  }
  return new Map([...pool].map(([sort, texts]) => [sort, [...texts]]));
})();
