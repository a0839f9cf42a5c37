/** The `.peft` text of an imported graph: a module for each part of its tree, alike ones once, and a backbone. */
import { spellString } from '../../../dsl/grammar/literals.js';
import { BATCH, hasBatch, isBatch } from '../../../ir/batch.js';
import { ARGUMENT, type Value } from '../node.js';
import { sizes } from '../operators/text.js';
import { type Net, readsOf } from '../raise/net.js';
import type { TypedInput } from '../types.js';
import type { Region, Unit } from './regions.js';
import { isList, key, type Module, nameOf, type Path, startsWith, type Tree } from './tree.js';

export interface Printed {
  readonly text: string;
  /** Parameters of the backbone by their path, and the constants of the graph that they are. */
  readonly params: ReadonlyMap<
    string,
    { readonly constant: string; readonly shape: readonly number[]; readonly transposed: boolean }
  >;
}

const camel = (word: string): string => word.replace(/(?:^|_+)([a-z0-9])/gi, (_, c: string) => c.toUpperCase());

/** A value's type as `forward` declares it. */
const typed = (dtype: string, shape: string): string => (dtype === 'f32' ? shape : `${dtype}${shape}`);

export function print(
  name: string,
  {
    tree,
    region,
    net,
    inputs,
    outputs,
    classes,
  }: {
    readonly tree: Tree;
    readonly region: Region;
    readonly net: Net;
    readonly inputs: readonly TypedInput[];
    readonly outputs: readonly string[];
    readonly classes?: readonly string[] | undefined;
  },
): Printed {
  return new Printer(name, tree, region, net, inputs, outputs, classes).print();
}

class Printer {
  private readonly params = new Map<string, { constant: string; shape: readonly number[]; transposed: boolean }>();
  private readonly regions = new Map<string, Region>();
  /** Bodies of modules, and what they are called. */
  private readonly declared = new Map<string, string>();
  private readonly taken = new Set<string>();
  /** What is called in some expression. */
  private readonly calls: ReadonlySet<string>;
  private readonly declarations: string[] = [];
  /** What children are called, by module. */
  private readonly labels = new Map<Module, ReadonlyMap<string, string>>();

  constructor(
    private readonly name: string,
    private readonly tree: Tree,
    private readonly root: Region,
    private readonly net: Net,
    private readonly inputs: readonly TypedInput[],
    private readonly outputs: readonly string[],
    private readonly classes: readonly string[] = [],
  ) {
    const note = (r: Region): void => {
      this.regions.set(key(r.module.path), r);
      for (const u of r.units) if ('region' in u) note(u.region);
    };
    note(root);
    const texts = tree.items.map(({ maker }) => maker.code?.text ?? '').join('\n');
    this.calls = new Set([...texts.matchAll(/\b([A-Za-z_]\w*)\(/g)].map((m) => m[1]!));
  }

  print(): Printed {
    const body = [...this.parts(this.tree.root), ...this.main()].map((l) => `  ${l}`);
    const options = this.classes.length > 0 ? `classes: [string] = [${this.classes.map(spellString).join(', ')}]` : '';
    const backbone = [`backbone ${this.name}(${options}) {`, ...body, '}'];
    return { text: ['use std', '', ...this.declarations, ...backbone, ''].join('\n'), params: this.params };
  }

  /** A name that takes none of the operators away that expressions call. */
  private unhidden(name: string): string {
    return this.calls.has(name) ? `${name}_` : name;
  }

  private value(name: string): Value {
    return this.net.values.get(name)!;
  }

  // ---- What a module has -------------------------------------------------------------------------------------------

  /** Names of a module's children and weights in the language, each once. */
  private labelled(module: Module): ReadonlyMap<string, string> {
    const known = this.labels.get(module);
    if (known) return known;
    const labels = new Map<string, string>();
    const used = new Set<string>();
    for (const segment of [...module.children.keys(), ...module.weights.map((w) => w.path.at(-1)!)]) {
      const wanted = isList(module) ? segment : this.unhidden(nameOf(segment));
      let name = wanted;
      for (let i = 2; used.has(name); i++) name = `${wanted}_${i}`;
      used.add(name);
      labels.set(segment, name);
    }
    this.labels.set(module, labels);
    return labels;
  }

  /** How something below a module is called from its body: `blocks[1].attn.qkv`. */
  private reference(from: Module, path: Path): string {
    let module = from;
    return path
      .slice(from.path.length)
      .map((segment, i) => {
        const label = this.labelled(module).get(segment)!;
        const list = isList(module);
        module = module.children.get(segment) ?? module;
        return list ? `[${label}]` : i === 0 ? label : `.${label}`;
      })
      .join('');
  }

  /** The path of something as the model has it: `blocks.1.attn.qkv`. */
  private absolute(path: Path): string {
    let module = this.tree.root;
    return path
      .map((segment) => {
        const label = this.labelled(module).get(segment)!;
        module = module.children.get(segment) ?? module;
        return label;
      })
      .join('.');
  }

  private parts(module: Module): string[] {
    const lines: string[] = [];
    const labels = this.labelled(module);
    for (const { path, constant } of module.weights) {
      const { dtype, shape } = this.value(constant).type;
      const label = labels.get(path.at(-1)!)!;
      lines.push(`${label} = ${dtype === 'f32' ? '' : 'frozen '}param ${typed(dtype, sizes(shape))} zeros`);
      this.params.set(this.absolute(path), { constant, shape, transposed: false });
    }
    for (const [segment, child] of module.children) lines.push(`${labels.get(segment)!} = ${this.made(child)}`);
    return lines;
  }

  /** A list, of which neighbours can be alike. */
  private list(list: Module): string {
    const count = Math.max(...[...list.children.keys()].map(Number)) + 1;
    const items = Array.from({ length: count }, (_, i) => {
      const item = list.children.get(String(i));
      return item ? this.made(item) : this.empty();
    });
    const runs = items.flatMap((item, i) => (items[i + 1] === item ? [] : [{ item, end: i + 1 }]));
    if (runs.length === 1) return `repeat i < ${count} { ${items[0]} }`;
    const chain = runs.map(({ item, end }, i) => `${i < runs.length - 1 ? `if i < ${end} ` : ''}{ ${item} }`);
    return `repeat i < ${count} { ${chain.join(' else ')} }`;
  }

  /** The call that makes a module or layer, or a list of them. */
  private made(module: Module): string {
    if (module.layer) {
      for (const p of module.layer.params) {
        const { constant, shape, transposed = false } = p;
        this.params.set(`${this.absolute(module.path)}.${p.name}`, { constant, shape, transposed });
      }
      return module.layer.make;
    }
    if (isList(module)) return this.list(module);
    const region = this.regions.get(key(module.path));
    const body = [...this.parts(module), ...(region ? this.forward(region) : [])];
    const word = [...module.path].reverse().find((s) => !/^\d+$/.test(s)) ?? 'part';
    return this.declare(word, body.map((l) => `  ${l}\n`).join(''));
  }

  /** What stands at an index that nothing has. */
  private empty(): string {
    return this.declare('nothing', '  forward(x) { x }\n');
  }

  /** The call of a module with this body, which is declared once. */
  private declare(wanted: string, body: string): string {
    let name = this.declared.get(body);
    if (name === undefined) {
      name = this.fresh(wanted);
      this.declared.set(body, name);
      this.declarations.push(`module ${name}() {\n${body}}\n`);
    }
    return `${name}()`;
  }

  /** A module's name: what declares it stands in one file with others, and may stand beside other graphs. */
  private fresh(wanted: string): string {
    const from = `${camel(this.name)}${camel(nameOf(wanted))}`;
    let name = from;
    for (let i = 2; this.taken.has(name); i++) name = `${from}${i}`;
    this.taken.add(name);
    return name;
  }

  // ---- What it computes --------------------------------------------------------------------------------------------

  /** The statements of a forward, with names for its values. */
  private statements(region: Region, names: Map<string, string>): Statement[] {
    const { module } = region;
    const reserved = new Set([...this.labelled(module).values(), ...names.values()]);
    let count = 0;
    const fresh = (): string => {
      for (;;) {
        const name = `v${++count}`;
        if (!reserved.has(name)) return name;
      }
    };
    const text = (value: string): string => {
      const weight = this.tree.weights.get(value);
      if (weight && startsWith(weight.path, module.path)) return this.reference(module, weight.path);
      return names.get(value)!;
    };
    return region.units.flatMap((unit) => {
      const { expression, outputs, alias } = this.unit(module, unit, text);
      if (alias !== undefined) {
        names.set(outputs[0]!, alias);
        return [];
      }
      const made = outputs.map(fresh);
      for (const [i, o] of outputs.entries()) names.set(o, made[i]!);
      return [{ names: made, expression }];
    });
  }

  private unit(
    module: Module,
    unit: Unit,
    text: (value: string) => string,
  ): { expression: string; outputs: readonly string[]; alias?: string } {
    if ('region' in unit) {
      const { region } = unit;
      const callee = this.reference(module, region.module.path);
      return { expression: `${callee}(${region.inputs.map(text).join(', ')})`, outputs: region.outputs };
    }
    const { maker, layer } = unit.item;
    const outputs = [maker.output];
    if (layer) return { expression: `${this.reference(module, layer)}(${text(readsOf(maker)[0]!)})`, outputs };
    const { code } = maker;
    const expression = code!.text.replace(ARGUMENT, (_, i: string) => text(code!.args[Number(i)]!));
    return /^arg\d+$/.test(code!.text) ? { expression, outputs, alias: expression } : { expression, outputs };
  }

  private forward(region: Region): string[] {
    const names = new Map(region.inputs.map((v, i) => [v, region.inputs.length === 1 ? 'x' : `x${i + 1}`]));
    const statements = this.statements(region, names);
    const results = region.outputs.map((o) => names.get(o)!);
    const body = short(statements, results.length === 1 ? results[0]! : `[${results.join(', ')}]`);
    const { params, first } = this.batched(region, names, body);
    return [`forward(${params.join(', ')}) {`, ...[...first, ...body].map((l) => `  ${l}`), '}'];
  }

  /** The arguments of a forward, of which one says what the batch is where its sizes are needed. */
  private batched(region: Region, names: ReadonlyMap<string, string>, body: readonly string[]) {
    const plain = region.inputs.map((v) => names.get(v)!);
    if (!body.some((l) => /(?<![.\w])b\b/.test(l))) return { params: plain, first: [] };
    const at = region.inputs.findIndex((v) => hasBatch(this.value(v).type.shape));
    const { dtype, shape } = this.value(region.inputs[at]!).type;
    const times = shape.find(isBatch)! / BATCH;
    const size = times === 1 ? 'b' : 'n';
    const said = `[${shape.map((d) => (isBatch(d) ? size : d)).join(', ')}]`;
    const params = plain.map((p, i) => (i === at ? `${p}: ${typed(dtype, said)}` : p));
    return { params, first: times === 1 ? [] : [`b = n / ${times}`] };
  }

  private main(): string[] {
    const labels = new Set(this.labelled(this.tree.root).values());
    const names = new Map<string, string>();
    const free = (wanted: string): string => {
      let name = wanted;
      for (let i = 2; labels.has(name); i++) name = `${wanted}_${i}`;
      labels.add(name);
      return name;
    };
    for (const i of this.inputs) names.set(i.name, free(this.unhidden(nameOf(i.name))));
    const params = this.inputs.map(
      (i) => `${names.get(i.name)}: ${typed(this.value(i.name).type.dtype, sizes(i.shape))}`,
    );
    const statements = this.statements(this.root, names);
    const results = this.outputs.map((o) => {
      const weight = this.tree.weights.get(o);
      return {
        name: free(this.unhidden(nameOf(o))),
        text: weight ? this.reference(this.tree.root, weight.path) : names.get(o)!,
      };
    });
    const [only] = results;
    // A model's result is called as the name is that its forward ends with.
    const body =
      results.length === 1
        ? [...short([...statements, { names: [only!.name], expression: only!.text }], ''), only!.name]
        : short(statements, `({${results.map((r) => `${r.name}: ${r.text}`).join(', ')}})`);
    return [`forward(${params.join(', ')}) {`, ...body.map((l) => `  ${l}`), '}'];
  }
}

interface Statement {
  readonly names: readonly string[];
  readonly expression: string;
}

/** The most characters of a line into which a value is written that only it reads. */
const WIDE = 88;

/** Whether an expression needs no parentheses inside of another one: a name, a number, a call, a place of one of them. */
function isTight(expression: string): boolean {
  let depth = 0;
  for (const c of expression) {
    if (c === '(' || c === '[' || c === '{') depth++;
    else if (c === ')' || c === ']' || c === '}') depth--;
    else if (depth === 0 && !/[\w.]/.test(c)) return false;
  }
  return true;
}

/** Names of values, and not of what modules have that are called so. */
const VALUES = /(?<![.\w])v\d+\b/g;

/** As people write it: what only the next line reads stands in that line, where there is room. Values are numbered anew. */
function short(statements: readonly Statement[], result: string): string[] {
  const all = [...statements, { names: [], expression: result }];
  const text = all.map((s) => s.expression).join('\n');
  const uses = new Map<string, number>();
  for (const word of text.match(VALUES) ?? []) uses.set(word, (uses.get(word) ?? 0) + 1);
  const kept: Statement[] = [];
  for (const s of all) {
    let { expression } = s;
    for (let before = kept.at(-1); before; before = kept.at(-1)) {
      const [name] = before.names;
      const once =
        before.names.length === 1 && uses.get(name!) === 1 && new RegExp(`(?<![.\\w])${name}\\b`).test(expression);
      const alone = expression === name || isTight(before.expression);
      const inner = alone ? before.expression : `(${before.expression})`;
      const whole = once ? expression.replace(new RegExp(`(?<![.\\w])${name}\\b`), () => inner) : '';
      if (!once || (whole.length > WIDE && expression !== name)) break;
      kept.pop();
      expression = whole;
    }
    kept.push({ ...s, expression });
  }
  const numbers = new Map<string, string>();
  for (const s of kept) for (const n of s.names) if (/^v\d+$/.test(n)) numbers.set(n, `v${numbers.size + 1}`);
  const numbered = (line: string): string => line.replace(VALUES, (v) => numbers.get(v) ?? v);
  return kept
    .filter((s) => s.expression !== '')
    .map((s) => numbered(s.names.length > 0 ? `${s.names.join(', ')} = ${s.expression}` : s.expression));
}
