/**
 * Options of a backbone that its tensors do not show: with another value the same tensors make another model. Each is tried out, so that one that plays no
 * part here (how a table is resampled that need not be) and one that a shape shows after all (heads, where a table has a number for each) are left out.
 */
import { input, rewriteFunc, withInputs } from '../../../ir/graph.js';
import { traitsOf } from '../../../ir/ops/index.js';
import { printFunc } from '../../../ir/text/print.js';
import type { Elements, Func } from '../../../ir/types.js';
import type { CallExpr, TypeExpr } from '../../ast.js';
import { forwardOf } from '../evaluate/block.js';
import type { Engine } from '../evaluate/engine.js';
import { bool, type ModuleSite, NONE, num, type Owner, type Val } from '../evaluate/values.js';
import { inputType } from '../sites/input.js';
import { ownParams } from '../sites/walk.js';

/** What a backbone with some options is, as text. */
interface Made {
  /** Names and shapes of its parameters, and of what it takes: images are as large as the spec says, whatever a file holds. */
  readonly tensors: string;
  /** What it computes when it infers, in numbers too. */
  readonly program: () => Program | undefined;
}

interface Program {
  readonly text: string;
  readonly tables: readonly Elements[];
}
const sameProgram = (a: Program, b: Program): boolean =>
  a.text === b.text &&
  a.tables.length === b.tables.length &&
  a.tables.every((t, i) => t.length === b.tables[i]!.length && t.every((x, j) => x === b.tables[i]![j]));

/**
 * Those of some options that do not show in this module's tensors, and that change what it computes.
 * @param fresh an engine that has made nothing yet
 */
export function hiddenAmong(fresh: () => Engine, site: ModuleSite, options: readonly string[]): string[] {
  const params = site.decl.params.filter((p) => options.includes(p.name.name));
  if (params.length === 0) return [];
  const values = new Map(site.decl.params.map(({ name: { name } }) => [name, site.scope.own(name) ?? NONE]));
  const now = make(fresh, site, values);
  const program = now?.program();
  if (!now || !program) return [];
  const hidden = params.filter(({ name: { name }, type }) =>
    othersThan(values.get(name)!, type).some((v) => {
      const other = make(fresh, site, new Map(values).set(name, v));
      if (other?.tensors !== now.tensors) return false;
      const another = other.program();
      return another !== undefined && !sameProgram(program, another);
    }),
  );
  return hidden.map((p) => p.name.name);
}

/** Undefined where there is no such module. */
function make(fresh: () => Engine, site: ModuleSite, preset: ReadonlyMap<string, Val>): Made | undefined {
  const engine = fresh();
  const { decl, span, path } = site;
  const callee = { kind: 'name' as const, name: decl.name.name, span };
  const call: CallExpr = { kind: 'call', callee, generators: [], args: [], span };
  const owner: Owner = { ...site, children: new Map(), params: new Map() };
  const made = engine.report.attempt(() => {
    const copy = engine.instantiate(decl, call, site.scope, { owner, path }, { preset });
    const inputs = (forwardOf(decl.body)?.params ?? []).map((p, i) =>
      input(p.name.name, inputType(engine, copy, p, i)),
    );
    return { copy, inputs };
  });
  if (!made || engine.report.failed) return undefined;
  const { copy, inputs } = made;
  const own = ownParams(copy).flatMap((p) => (p.data ? [] : [[p.name, p.type.shape]]));
  return {
    tensors: JSON.stringify([own, inputs.map((v) => v.type.shape)]),
    program: () => {
      const out = engine.report.attempt(() => {
        const args = inputs.map((value) => ({ value: { kind: 'tensor' as const, value }, span }));
        return engine.tensor(engine.callSite(copy, args, span), span);
      });
      if (!out) return undefined;
      const infer: Func = { name: 'infer', inputs, results: [{ name: 'out', value: out }], updates: [] };
      const erased = rewriteFunc(infer, (v, xs) => (traitsOf(v).erased ? xs[0]! : withInputs(v, xs)));
      const tables = [...engine.params.slots.values()].flatMap((p) => (p.data ? [p.data] : []));
      return { text: printFunc(erased), tables };
    },
  };
}

/** Some other values that an option of this type may have. */
function othersThan(now: Val, type: TypeExpr): Val[] {
  switch (type.kind) {
    case 'type_enum':
      return type.options.flatMap(({ name }) =>
        now.kind === 'word' && now.name === name ? [] : [{ kind: 'word', name }],
      );
    case 'type_union':
      return type.items.flatMap((t) => othersThan(now, t));
    case 'type_list': {
      const items = now.kind === 'list' && now.items.length > 0 ? now.items : [num(0)];
      const [first] = items;
      return othersThan(first!, type.item).map((v) => ({ kind: 'list', items: items.map(() => v) }));
    }
    default:
      break;
  }
  if (type.name === 'bool')
    return [bool(true), bool(false)].filter((v) => now.kind !== 'bool' || v.value !== now.value);
  if (type.name === 'none') return now.kind === 'word' && now.name === NONE.name ? [] : [NONE];
  const n = now.kind === 'num' && typeof now.value === 'number' ? now.value : 0;
  if (type.name === 'float') return [num(n === 0 ? 0.5 : n / 2)];
  // Some are no divisors of what they have to divide.
  return type.name === 'int' ? [1, 2, n * 2].filter((x) => x !== n).map((x) => num(x)) : [];
}
