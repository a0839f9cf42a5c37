/**
 * The module tree of an imported graph, found in its names. Exporters leave the path of a module in the names of nodes (`/layers.1/blocks.0/attn/qkv/MatMul`) and
 * of weights (`layers.1.blocks.0.attn.qkv.bias`); where they leave nothing, a weight's name is what its layer is called.
 */
import { RESERVED } from '../../../dsl/tokens.js';
import { scopeOf } from '../graph.js';
import { type Layer, type Maker, type Net, readsOf } from '../raise/net.js';
import type { Raised } from '../raise/raise.js';

export type Path = readonly string[];

/** A computation, and the module whose forward it stands in. */
export interface Item {
  readonly maker: Maker;
  path: Path;
  /** Of a layer: its own path, which is below `path`. */
  readonly layer?: Path;
}

/** A constant of the graph that is a parameter of the model by itself. */
export interface Weight {
  readonly constant: string;
  readonly path: Path;
}

export interface Module {
  readonly path: Path;
  readonly children: Map<string, Module>;
  layer?: Layer;
  readonly weights: Weight[];
}

export interface Tree {
  readonly root: Module;
  readonly items: readonly Item[];
  /** Where each constant that is a parameter by itself lies. */
  readonly weights: ReadonlyMap<string, Weight>;
}

export const key = (path: Path): string => path.join('.');
const isIndex = (segment: string): boolean => /^\d+$/.test(segment);
export const startsWith = (path: Path, head: Path): boolean => head.every((s, i) => path[i] === s);
const endsWith = (path: Path, tail: Path): boolean => startsWith([...path].reverse(), [...tail].reverse());

/** A segment as a name of the language. */
export function nameOf(segment: string): string {
  const word = segment.replace(/[^A-Za-z0-9_]+/g, '_').replace(/^_+|_+$/g, '') || 'value';
  const safe = /^\d/.test(word) ? `n${word}` : word;
  // What the language has names for could not be called any more where it stands.
  return Object.hasOwn(RESERVED, safe) || safe === 'b' || safe === 'n' ? `${safe}_` : safe;
}

/** The path that a dotted name of the file says; undefined for names that exporters made up. */
function dotted(name: string): Path | undefined {
  if (!/^[\w.]+$/.test(name) || !name.includes('.')) return undefined;
  return name.split('.').filter((s) => s !== '');
}

/** @param outputs of the graph, which can be constants themselves */
export function treeOf({ makers, net }: Raised, outputs: readonly string[]): Tree {
  const prefixes = prefixesOf(makers);
  const scopes = makers.map((m): Path => {
    const scope = scopeOf(m.node.name);
    return [...(prefixes.get(scope[0] ?? '') ?? []), ...scope];
  });
  const isConstant = (name: string): boolean => net.graph.constants.has(name);
  // Where there is code, or a weight by itself, or something below, there is a module: a layer of that path lies in it.
  const taken = new Set<string>();
  const take = (path: Path): void => {
    for (let end = 1; end <= path.length; end++) taken.add(key(path.slice(0, end)));
  };
  for (const [i, maker] of makers.entries()) {
    take(maker.layer ? layerPath(maker, scopes[i]!).slice(0, -1) : scopes[i]!);
    if (maker.layer) continue;
    for (const value of readsOf(maker)) if (isConstant(value)) take(dotted(value)?.slice(0, -1) ?? []);
  }
  const layers = new Map<string, Layer>();
  const items = makers.map((maker, i): Item => {
    if (!maker.layer) return { maker, path: scopes[i]! };
    const layer = layerAt(layerPath(maker, scopes[i]!), maker, taken, layers, net);
    return { maker, path: layer.slice(0, -1), layer };
  });
  const weights = weightsOf(items, outputs, isConstant, taken);
  const root: Module = { path: [], children: new Map(), weights: [] };
  for (const { layer, path, maker } of items) {
    moduleAt(root, path);
    if (layer) moduleAt(root, layer).layer ??= maker.layer!;
  }
  for (const w of weights.values()) moduleAt(root, w.path.slice(0, -1)).weights.push(w);
  return { root, items, weights };
}

export function moduleAt(root: Module, path: Path): Module {
  let at = root;
  path.forEach((segment, i) => {
    let next = at.children.get(segment);
    if (!next) {
      next = { path: path.slice(0, i + 1), children: new Map(), weights: [] };
      at.children.set(segment, next);
    }
    at = next;
  });
  return at;
}

/**
 * What stands before scopes in the names of weights: a node is called by the module that was exported, a weight by the one that has it as a part (`/transformer/layers.0` and
 * `mask_decoder.transformer.layers.0`).
 */
function prefixesOf(makers: readonly Maker[]): ReadonlyMap<string, Path> {
  const prefixes = new Map<string, Path>();
  for (const maker of makers) {
    const scope = scopeOf(maker.node.name);
    const [first] = scope;
    if (first === undefined || prefixes.has(first)) continue;
    const constants = maker.layer?.params.map((p) => p.constant) ?? readsOf(maker);
    for (const name of constants) {
      const owner = dotted(name)?.slice(0, -1);
      if (owner && endsWith(owner, scope)) prefixes.set(first, owner.slice(0, -scope.length));
    }
  }
  return prefixes;
}

/** A layer is called as its weights are, if they say; or by the scope of its node; or by whatever its weight is called. */
function layerPath(maker: Maker, scope: Path): Path {
  const names = maker.layer!.params.map((p) => p.constant);
  for (const name of [...names].reverse()) {
    const owner = dotted(name)?.slice(0, -1);
    if (owner && owner.length > 0) return owner;
  }
  return scope.length > 0 ? scope : [nameOf(names[0]!)];
}

/** The path of a layer. One that is called several times is one layer, though exporters write its weight once for each call. */
function layerAt(path: Path, maker: Maker, taken: ReadonlySet<string>, layers: Map<string, Layer>, net: Net): Path {
  const inner = maker.op === 'Conv2d' ? 'conv' : maker.op === 'Linear' ? 'linear' : 'norm';
  const from = taken.has(key(path)) ? [...path, inner] : path;
  for (let i = 1; ; i++) {
    const found = i === 1 ? from : [...from.slice(0, -1), `${from.at(-1)}_${i}`];
    const there = layers.get(key(found));
    if (there && !isSame(there, maker.layer!, net)) continue;
    if (!there && taken.has(key(found))) continue;
    layers.set(key(found), maker.layer!);
    return found;
  }
}

function isSame(a: Layer, b: Layer, net: Net): boolean {
  return a.make === b.make && a.params.every((p, i) => net.equal(p.constant, b.params[i]!.constant));
}

/** Constants that are read as they are. One whose name says nothing lies in the innermost module of all that read it. */
function weightsOf(
  items: readonly Item[],
  outputs: readonly string[],
  isConstant: (name: string) => boolean,
  taken: Set<string>,
): Map<string, Weight> {
  const uses = new Map<string, Item>();
  const readers = new Map<string, Path[]>(outputs.filter(isConstant).map((o) => [o, [[]]]));
  for (const item of items) {
    if (item.layer) continue;
    for (const value of readsOf(item.maker)) {
      if (!isConstant(value)) continue;
      readers.set(value, [...(readers.get(value) ?? []), item.path]);
      uses.set(value, item);
    }
  }
  const weights = new Map<string, Weight>();
  for (const [constant, paths] of readers) {
    const said = dotted(constant);
    const path = said ?? [...paths.reduce(common), shortName(constant, uses.get(constant))];
    weights.set(constant, { constant, path: free(path, taken) });
  }
  return weights;
}

/** What a constant is to what reads it, where exporters only numbered it. */
const ROLES: Readonly<Record<string, string>> = {
  Mul: 'gain',
  Add: 'shift',
  Attention: 'bias',
  Gather: 'table',
  MatMul: 'matrix',
};

function shortName(constant: string, item: Item | undefined): string {
  const word = nameOf(
    constant
      .split(/[/:]/)
      .filter((s) => s !== '')
      .at(-1) ?? 'value',
  ).toLowerCase();
  const numbered = /^(?:constant|[a-z]+)(?:_\d+)?(?:_output)?_\d+$|^[nt]?\d+$|^table\d+$/.test(word);
  return numbered ? (ROLES[item?.maker.op ?? ''] ?? 'value') : word;
}

function free(path: Path, taken: Set<string>): Path {
  let found = isIndex(path.at(-1)!) ? [...path.slice(0, -1), `n${path.at(-1)}`] : path;
  for (let i = 2; taken.has(key(found)); i++) found = [...path.slice(0, -1), `${path.at(-1)}_${i}`];
  taken.add(key(found));
  return found;
}

export function common(a: Path, b: Path): Path {
  const end = a.findIndex((s, i) => b[i] !== s);
  return end < 0 ? a : a.slice(0, end);
}

/** Whether the children of a module are a list: `blocks.0`, `blocks.1`. */
export const isList = (m: Module): boolean =>
  m.children.size > 0 && m.weights.length === 0 && [...m.children.keys()].every(isIndex);
