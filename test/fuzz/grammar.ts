/** Specs from the grammar: expressions of any kind, and whole models whose shapes fit, so that they get as far as kernels. */
import { someNumber, someString } from './mutate.js';
import type { Random } from './random.js';

const NAMES = [
  'x',
  'base',
  'in',
  'out',
  'dim',
  'rank',
  'i',
  'n',
  'b',
  'y',
  'A',
  'base.weight',
  'base.parts',
  'base.axis',
  'blocks',
  'head',
];
const FUNCTIONS = [
  'sum',
  'mean',
  'max',
  'min',
  'grow',
  'norm',
  'argmax',
  'top_k',
  'softmax',
  'abs',
  'exp',
  'log',
  'sqrt',
  'relu',
  'gelu',
  'silu',
  'sigmoid',
  'tanh',
  'cast',
  'pow',
  'where',
  'full',
  'arange',
  'size',
  'attention',
  'linear',
  'conv2d',
  'layer_norm',
  'group_norm',
  'solve',
  'rearrange',
  'reshape',
  'transpose',
  'expand',
  'broadcast',
  'concat',
  'stack',
  'pad',
  'roll',
  'gather',
  'resize',
  'kron',
  'factorize',
  'table',
  'require',
  'maximum',
  'minimum',
  'round',
  'ceil',
  'floor',
  'dropout',
  'drop_path',
  'stop_gradient',
  'Linear',
  'Conv2d',
  'LayerNorm',
  'base',
  'lora',
  'karst',
  'vit',
  'classify',
  'block',
  'normal',
  'zeros',
];
const KEYS = [
  'axis',
  'axes',
  'weight',
  'bias',
  'kernel',
  'stride',
  'padding',
  'groups',
  'rank',
  'eps',
  'keep',
  'h',
  'shape',
  'dtype',
];

/** Any expression; what it means is not looked at. */
export function anyExpression(random: Random, depth = 3): string {
  const e = (): string => anyExpression(random, depth - 1);
  const some = (most: number, of: () => string): string =>
    Array.from({ length: random.below(most + 1) }, of).join(', ');
  const leaf = (): string =>
    random.weighted<() => string>([
      [4, () => random.pick(NAMES)],
      [4, () => String(someNumber(random))],
      [1, () => random.pick(['true', 'false', 'none', '50%', '2:4', '1e-3', '1.0', '3 epochs', '1e400'])],
      [0.5, () => JSON.stringify(someString(random).slice(0, 40))],
      [0.3, () => '"b n (h d) -> b h n d"'],
    ])();
  if (depth <= 0) return leaf();
  const argument = (): string => (random.chance(0.3) ? `${random.pick(KEYS)}: ${e()}` : e());
  const index = (): string => random.pick([':', 'new', `${e()}..`, `..${e()}`, `${e()}..${e()}`, e(), e()]);
  return random.weighted<() => string>([
    [3, leaf],
    [
      4,
      () =>
        `${e()} ${random.pick(['+', '-', '*', '/', '%', '@', 'and', 'or', '==', '!=', '<', '<=', '>', '>='])} ${e()}`,
    ],
    [4, () => `${random.pick(FUNCTIONS)}(${some(3, argument)})`],
    [
      1,
      () =>
        `${random.pick(['sum', 'table', 'concat', 'stack', 'max', 'min'])}(i < ${e()}: ${e()}${random.chance(0.3) ? ', axis: 0' : ''})`,
    ],
    [1, () => `${random.pick(['-', 'not '])}${e()}`],
    [1, () => `(${e()})`],
    [1, () => `(${e()}).${random.pick(['T', 'weight', 'bias', 'parts', 'q', 'dim', 'constructor'])}`],
    [1, () => `${random.pick(NAMES)}[${some(3, index) || ':'}]`],
    [0.5, () => `[${some(3, e)}]`],
    [0.3, () => `{q: ${e()}, k: ${e()}}`],
    [0.5, () => `if ${e()} { ${e()} } else { ${e()} }`],
    [0.3, () => `repeat i < ${e()} { ${e()} }`],
    [0.5, () => `param [${some(3, e)}] ${random.pick(['zeros', 'ones', 'normal(0.02)', 'default', e()])}`],
    [0.3, () => `${e()} -> ${e()}`],
  ])();
}

/** Any statement of a module or a model. */
export function anyStatement(random: Random): string {
  const e = (): string => anyExpression(random, 2);
  return random.pick([
    () => `y = ${e()}`,
    () => `a, b = ${e()}`,
    () => e(),
    () => `for i < ${e()} { x = ${e()} }`,
    () => `if ${e()} { y = ${e()} } else { y = ${e()} }`,
    () => `site s(x) = ${e()}`,
    () => `forward(x: [b, n, ${e()}]) { ${e()} }`,
    () =>
      `adapt base.blocks[*].${random.pick(['attn.qkv', 'mlp', '*', '**', 'attn.{q, proj}', 'norm1'])} with ${random.pick(FUNCTIONS)}(${e()})`,
    () => `prune base.blocks[${e()}].mlp.fc1 with magnitude(sparsity: ${e()}, shape: ${e()})`,
    () =>
      `tune ${random.pick(['head', 'base', 'base.blocks[0..9]', 'x'])} from ${JSON.stringify(someString(random).slice(0, 40))}`,
    () =>
      `in base.blocks[${random.pick(['*', '0', '0..1', '-1', '9', e()])}] { adapt attn.qkv with lora(rank: ${e()}) }`,
    () => `for i < ${e()} { adapt base.blocks[i].mlp.fc1 with lora(rank: ${e()}) }`,
    () => `tune ${random.pick(['base.cls_token', '**.bias', 'base.blocks[*].**.weight', 'base.norm.{weight, bias}'])}`,
    () => `batch = [${e()}]`,
  ])();
}

/** Parameters that an adapter turns out to need. */
class Adapter {
  readonly params: string[] = [];
  constructor(private readonly random: Random) {}

  private param(shape: string): string {
    const { random, params } = this;
    const init = random.pick(['normal(0.02)', 'normal(0.5)', 'zeros', 'ones', 'kaiming_uniform']);
    const dims = shape.split(',').length;
    params.push(
      `p${params.length} = ${random.chance(0.1) ? 'shared ' : ''}param [${shape}] ${dims < 2 && init === 'kaiming_uniform' ? 'ones' : init}`,
    );
    return `p${params.length - 1}`;
  }

  private factor(width: string): string {
    const { random } = this;
    return random.weighted<() => string>([
      [3, () => random.pick(['0.5', '2', '-1', '0', '1', '0.001', '100', '(1 / 3)'])],
      [3, () => this.param(width)],
      [2, () => this.param('1')],
      [1, () => `(1 + ${this.param(width)})`],
      [0.5, () => `tanh(${this.param('1')})`],
      [0.5, () => `table(i < ${width}: if i % 2 == 0 { 1.0 } else { ${random.pick(['0.0', '-1.0', '0.5'])} })`],
    ])();
  }

  /** A value as wide as `width`, one of `in` and `out`, from ones of x. */
  value(width: 'in' | 'out', depth: number): string {
    const { random } = this;
    const v = (w: 'in' | 'out' = width): string => this.value(w, depth - 1);
    if (depth <= 0) return width === 'in' ? 'x' : 'base(x)';
    return random.weighted<() => string>([
      [width === 'in' ? 3 : 0.5, () => (width === 'in' ? 'x' : 'base(x)')],
      [width === 'out' ? 4 : 0, () => `base(${v('in')})`],
      [width === 'out' ? 2 : 0, () => `base(${v('in')}, weight: ${this.weight(depth - 1)})`],
      [4, () => `(${v()} ${random.pick(['+', '-'])} ${v()})`],
      [3, () => `${this.factor(width)} * ${v()}`],
      [1, () => `(${v()} + ${this.factor(width)})`],
      [3, () => `${v('in')} @ ${this.param('rank, in')}.T @ ${this.param(`${width}, rank`)}.T`],
      [1, () => `${v()} @ ${this.param(`${width}, ${width}`)}.T`],
      [0.5, () => `${random.pick(['relu', 'gelu', 'silu', 'tanh', 'sigmoid', 'abs', 'exp'])}(${v()})`],
      [0.5, () => `(${v()} - mean(${v()}, axis: -1, keep: true))`],
      [0.5, () => `concat(${v()}[:, :, 0..4], ${v()}[:, :, 4..], axis: 2)`],
      [0.5, () => `roll(${v()}, [1], [2])`],
      [0.5, () => `gather(${v()}, table(i < ${width}: ${width} - 1 - i), axis: 2)`],
      [
        0.5,
        () =>
          `rearrange(rearrange(${v()}, "b n (g d) -> b n g d", g: 2), "b n g d -> b n (${random.pick(['g d', 'd g'])})")`,
      ],
      [0.3, () => `softmax(${v()}, axis: -1)`],
      [0.2, () => `(if rank < 2 { ${v()} } else { ${v()} })`],
    ])();
  }

  private weight(depth: number): string {
    const { random } = this;
    const w = (): string => this.weight(depth - 1);
    if (depth <= 0) return 'base.weight';
    return random.weighted<() => string>([
      [2, () => 'base.weight'],
      [2, () => `(${w()} + ${this.param('out, rank')} @ ${this.param('rank, in')})`],
      [1, () => `${this.param('out')}[:, new] * ${w()}`],
      [1, () => `${w()} * ${this.param('in')}`],
      [1, () => `(${w()} + kron(${this.param('2, 2')}, ${this.param('out / 2, in / 2')}))`],
      [1, () => `${this.param('out, out')} @ ${w()}`],
      [0.5, () => `(${w()} / norm(${w()}, axis: 1)[:, new])`],
      [0.5, () => `(${w()} * table(i < out, j < in: if (i + j) % 2 == 0 { 1.0 } else { 0.0 }))`],
    ])();
  }
}

const SITES = [
  'attn.qkv',
  'attn.proj',
  'mlp.fc1',
  'mlp.fc2',
  'attn.qkv.q',
  'attn.qkv.{q, v}',
  '**.fc1, attn.proj',
  'attn.*',
];

/** A model on a tiny ViT with an adapter of its own (sometimes two), pruned or not. Most of them compile. */
export function wholeSpec(random: Random): string {
  const own = Array.from({ length: random.chance(0.2) ? 2 : 1 }, (_, i) => {
    const made = new Adapter(random);
    const value = made.value('out', 1 + random.below(4));
    const lines = [...made.params, `forward(x) { ${value} }`].map((line) => `  ${line}\n`).join('');
    return `adapter own${i}(rank: int = 2) on base: Linear(in -> out) {\n${lines}}\n`;
  });
  const rank = () => random.pick([String(1 + random.below(3)), 'grow(1)', 'grow(1, most: 2)']);
  const body = own.map((_, i) => `    adapt ${random.pick(SITES)} with own${i}(rank: ${rank()})\n`);
  if (random.chance(0.2)) {
    const share = random.pick(['50%', '2:4', '90%', '0%', '25%']);
    const over = random.pick(['base', 'sum']);
    body.push(
      `    prune ${random.pick(['mlp.fc1', 'attn.proj, mlp.fc2'])} with magnitude(sparsity: ${share}, over: ${over})\n`,
    );
  }
  const base = random.chance(0.2)
    ? 'vit_auto() from "./vit-grey"'
    : 'vit_auto(image: 8, patch: 4, channels: 1, dim: 8, depth: 1, heads: 2)';
  const deploy = random.chance(0.5)
    ? `deploy M {\n  adapters = ${random.pick(['merged', 'factored', 'auto'])}\n  weights = ${random.pick(['f32', 'f16'])}\n  batch = ${random.pick(['[1]', '[2]', '[1, 4]'])}\n}\n`
    : '';
  const around = random.chance(0.2) ? 'for i < size(base.blocks) {\n  in base.blocks[i]' : 'in base.blocks[*]';
  const grow = 'function grow(n: int, most: int | none = none) = if most == none { n + 1 } else { min([n + 1, most]) }';
  return `use std\n${grow}\n${own.join('')}model M {\n  base = ${base}\n  head = classify(base, classes: 3)\n  ${around} {\n${body.join('')}  }\n${around.startsWith('for') ? '  }\n' : ''}${random.chance(0.2) ? `  tune ${random.pick(['base.cls_token', '**.bias', 'base.norm'])}\n` : ''}}\n${deploy}`;
}
