/** Bytes of a model's parameters, held against what can be compiled before any of them is read or made. */
import { sizeOf } from '../../../ir/ops/shapes.js';
import type { Span } from '../../ast.js';
import type { Source } from '../../elaborated.js';
import type { Engine } from '../evaluate/engine.js';
import { graftParams, ownParams } from '../sites/walk.js';
import type { ModelPlan } from './plan.js';

/** All parameters: a ViT of 2 billion. */
const MOST_BYTES = 8 * 2 ** 30;
/** Those that no file gives: a ViT-L, and more. */
const MOST_STARTED = 2 * 2 ** 30;

/** Reports parameters of too many bytes at what asks for the most of them. */
export function checkWeight(engine: Engine, plan: ModelPlan, sources: readonly Source[]): void {
  const given = new Set(sources.filter((s) => s.kind !== 'mask').flatMap((s) => s.params));
  const bytesOf = (name: string) => 4 * sizeOf(engine.params.get(name)!.type.shape);
  const refuse = (names: readonly string[], limit: number, started: boolean): boolean => {
    const counted = new Set(names);
    const bytes = names.reduce((sum, name) => sum + bytesOf(name), 0);
    if (bytes <= limit) return false;
    const owners = ownersOf(plan).map(({ span, params }) => {
      const own = new Set(params.filter((name) => counted.has(name)));
      return { span, bytes: [...own].reduce((sum, name) => sum + bytesOf(name), 0) };
    });
    const largest = owners.reduce((a, b) => (b.bytes > a.bytes ? b : a));
    const text = `${(largest.bytes / 2 ** 30).toFixed(1)} GiB of them`;
    engine.report.add(
      'ESP0316',
      { bytes, limit, started, most: MOST_BYTES },
      { primary: { span: largest.span, text } },
    );
    return true;
  };
  const all = [...engine.params.slots.keys()];
  const started = all.filter((name) => !given.has(name) && engine.params.get(name)!.role !== 'constant');
  if (!refuse(started, MOST_STARTED, true)) refuse(all, MOST_BYTES, false);
}

/** What a model's statements make, with the statement. */
function ownersOf(plan: ModelPlan): { span: Span; params: string[] }[] {
  return [
    ...plan.bindings.map((b) => ({ span: b.span, params: ownParams(b.site).map((p) => p.name) })),
    ...plan.adaptations.map((a) => ({
      span: a.stmt.span,
      params: a.grafts.flatMap((g) => [...graftParams(g.owner).values()]),
    })),
  ];
}
