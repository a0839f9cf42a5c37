/** Where parameters come from: one source for each `from`, with the names that its tensors have in each known layout. */
import type { CheckpointName, Source } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import { describe } from '../evaluate/show.js';
import type { ParamSlot, Val } from '../evaluate/values.js';
import { appliedAdapter } from '../sites/tree.js';
import { graftParams, ownParams } from '../sites/walk.js';
import { exportsOf } from './config.js';
import { bypassedIn, layoutsOf, strangersIn, unseenIn } from './names.js';
import type { Binding, ModelPlan, Tuning } from './plan.js';
import { hiddenAmong } from './unseen.js';

const identity = (params: readonly string[]): CheckpointName[] => params.map((param) => ({ param, tensor: param }));

/** @param fresh an engine that has made nothing yet, to try out what an option changes */
export function sourcesOf(engine: Engine, plan: ModelPlan, fresh: () => Engine): Source[] {
  const sources: Source[] = [];
  // A head that `tune` names is trained anew, or comes from its own file: the backbone's file need not have it. Single parameters are
  // trained from what they are.
  const namesOf = (tunings: readonly Tuning[], of: (t: Tuning) => Iterable<ParamSlot>) =>
    new Set(tunings.flatMap((t) => [...of(t)].map((p) => p.name)));
  const tuned = namesOf(plan.tunings, (t) => t.whole);
  const elsewhere = namesOf(
    plan.tunings.filter((t) => t.stmt.from),
    (t) => t.params,
  );
  for (const b of plan.bindings) {
    if (!b.from) continue;
    if (b.backbone) {
      sayUnseen(engine, plan, b, fresh);
      sources.push(backbone(engine, plan, b, tuned, elsewhere));
    } else {
      const params = ownParams(b.site).map((p) => p.name);
      sources.push({ ...b.from, kind: 'tune', params, layouts: { espalier: identity(params) } });
    }
  }
  for (const a of plan.adaptations) {
    if (!a.stmt.from) continue;
    const params = [...new Set(a.grafts.flatMap((g) => [...graftParams(g.owner).values()]))];
    const { value, span } = a.stmt.from;
    const adapters = a.grafts.map(appliedAdapter);
    sources.push({ location: value, span, kind: 'adapter', params, adapters, layouts: { espalier: identity(params) } });
  }
  for (const t of plan.tunings) {
    if (!t.stmt.from) continue;
    const params = t.params.map((p) => p.name);
    const { value, span } = t.stmt.from;
    // A tuned head may also come in the backbone's own layout (a checkpoint that was fine-tuned as a whole).
    const layouts = new Map<string, readonly CheckpointName[]>([['espalier', identity(params)]]);
    for (const b of plan.bindings) {
      if (!b.backbone || !b.variant) continue;
      for (const [layout, { names }] of layoutsOf(engine, plan, b)) {
        const ours = names.filter((n) => params.includes(n.param));
        if (!layouts.has(layout)) layouts.set(layout, ours);
      }
    }
    sources.push({ location: value, span, kind: 'tune', params, layouts: Object.fromEntries(layouts) });
  }
  for (const p of plan.prunings) {
    if (!p.stmt.from) continue;
    const params = p.sites.flatMap((s) => (s.kind === 'layer' && s.mask ? [s.mask.slot.name] : []));
    const { value, span } = p.stmt.from;
    sources.push({ location: value, span, kind: 'mask', params, layouts: { espalier: identity(params) } });
  }
  return sources;
}

/** A file without a configuration: what of the model it does not show, and what is taken for it. */
function sayUnseen(engine: Engine, plan: ModelPlan, b: Binding, fresh: () => Engine): void {
  const { tensors, config } = b.facts ?? {};
  if (!tensors || config || !b.from || b.site.kind !== 'module') return;
  const { scope } = b.site;
  const open = unseenIn(engine, plan, b, tensors).filter((option) => !b.said.has(option));
  const assumed = hiddenAmong(fresh, b.site, open).flatMap((option) => {
    const value = scope.own(option);
    return value ? [`${option}: ${show(value)}`] : [];
  });
  if (assumed.length === 0) return;
  engine.report.add(
    'ESP0541',
    { location: b.from.location, assumed },
    { primary: { span: b.from.span, text: 'named here' } },
  );
}

/** A head that is not trained and that the checkpoint's own does not fit would start at random. */
function sayStrangers(engine: Engine, plan: ModelPlan, b: Binding): void {
  const { tensors } = b.facts ?? {};
  const tuned = new Set(plan.tunings.flatMap((t) => t.params));
  if (!tensors || !b.from) return;
  const said = new Set<Binding>();
  for (const { part, path, tensor } of strangersIn(engine, plan, b, tensors)) {
    if (said.has(part) || part.from || ownParams(part.site).some((p) => tuned.has(p))) continue;
    said.add(part);
    engine.report.add(
      'ESP0542',
      { location: b.from.location, tensor, path, part: part.name },
      { primary: { span: part.span, text: `this has no \`${path.slice(part.name.length + 1)}\`` } },
    );
  }
}

const show = (v: Val): string => (v.kind === 'word' ? v.name : describe(v));

function backbone(
  engine: Engine,
  plan: ModelPlan,
  b: Binding,
  tuned: ReadonlySet<string>,
  elsewhere: ReadonlySet<string>,
): Source {
  const own = ownParams(b.site).map((p) => p.name);
  const all = layoutsOf(engine, plan, b);
  sayStrangers(engine, plan, b);
  const prefix = `${b.name}.`;
  // A head that the backbone's checkpoint has a name for comes from there, unless it is tuned.
  const mapped = [...all.values()].flatMap((l) => l.names.map((n) => n.param));
  const foreign = [...new Set(mapped)].filter((p) => !p.startsWith(prefix) && !tuned.has(p) && !elsewhere.has(p));
  const params = [...own.filter((p) => !elsewhere.has(p)), ...foreign];
  const wanted = new Set(params);
  const layouts = new Map<string, readonly CheckpointName[]>([['espalier', identity(params)]]);
  const optional = new Set<string>();
  for (const [layout, { names, ignored }] of all) {
    // What is trained anew has its place there as well: a merged checkpoint is written with it.
    layouts.set(
      layout,
      names.filter((n) => wanted.has(n.param) || (tuned.has(n.param) && !elsewhere.has(n.param))),
    );
    for (const n of names) {
      if (wanted.has(n.param)) continue;
      for (const t of [n.tensor, ...(n.also ?? [])]) optional.add(t.replace(/\.(weight|bias)$/, '.*'));
    }
    for (const pattern of ignored) optional.add(pattern);
  }
  const bypassed = bypassedIn(engine, b.variant);
  const exports = b.variant ? exportsOf(engine, b.variant, b.facts?.config) : [];
  return {
    ...b.from!,
    kind: 'backbone',
    params,
    layouts: Object.fromEntries(layouts),
    ...(optional.size > 0 ? { optional: [...optional] } : {}),
    ...(bypassed.length > 0 ? { bypassed } : {}),
    ...(exports.length > 0 ? { exports } : {}),
  };
}
