/** `prune` statements: masks as constant parameters, and each criterion's score as a function of the weight. */

import { input, paramRef } from '../../../../ir/graph.js';
import { showPath } from '../../../../ir/path.js';
import type { PruneJob, PruneTarget } from '../../../../ir/prune.js';
import type { About, Func } from '../../../../ir/types.js';
import type { CriterionDecl, PruneStmt } from '../../../ast.js';
import type { Engine } from '../../evaluate/engine.js';
import { describe, showShape } from '../../evaluate/show.js';
import { type LayerSite, type ParamSlot, Scope, type Site, tensorVal, type Val } from '../../evaluate/values.js';
import { undeclared, withArticle } from '../../names/undeclared.js';
import { bindTensors } from '../modules/arguments.js';
import { divides, type Pruning, readSettings } from './settings.js';

/** Makes the masks and what is needed to find them. Masks must exist before anything is traced. */
export function pruneJobs(engine: Engine, prunings: readonly Pruning[]): PruneJob[] {
  const taken = new Map<Site, PruneStmt>();
  return prunings.flatMap(
    ({ stmt, sites, scope }) =>
      engine.report.attempt(() => {
        const criterion = criterionOf(engine, stmt);
        const settings = readSettings(engine, stmt, scope);
        const layers = sites.filter((s): s is LayerSite => s.kind === 'layer');
        if (!criterion) return [];
        const targets: PruneTarget[] = [];
        const score: Func[] = [];
        for (const site of layers) {
          const before = taken.get(site);
          if (before) {
            engine.report.add(
              'ESP0342',
              { site: showPath(site.path) },
              {
                primary: { span: stmt.span, text: 'again here' },
                secondary: [{ span: before.span, text: 'first here' }],
              },
            );
            continue;
          }
          taken.set(site, stmt);
          engine.report.attempt(() => {
            const weight = site.params.get('weight')!;
            divides(engine, stmt, site, weight, settings.shape);
            score.push(scoreOf(engine, criterion, stmt, weight));
            const slot = maskFor(engine, weight, stmt);
            site.mask = { slot, over: settings.over };
            targets.push({ param: weight.name, mask: slot.name, site: site.path });
          });
        }
        const job: PruneJob = {
          criterion: criterion.name.name,
          span: stmt.span,
          targets,
          score,
          ...settings,
          ...(stmt.from ? { from: stmt.from.value } : {}),
        };
        return [job];
      }) ?? [],
  );
}

function criterionOf(engine: Engine, stmt: PruneStmt): CriterionDecl | undefined {
  const callee = stmt.method.callee;
  const name = callee.kind === 'name' ? callee.name : '';
  const decl = callee.kind === 'name' ? engine.meanings.declared(callee) : undefined;
  if (decl?.kind === 'criterion') {
    const more = decl.params.slice(1)[0];
    if (more && !stmt.from) {
      engine.report.stop(
        'ESP0343',
        { criterion: name, needs: more.name.name },
        { primary: { span: callee.span, text: 'used here' }, secondary: [{ span: more.span, text: 'asked for here' }] },
      );
    }
    return decl;
  }
  const all = engine.library.makers(callee.span.file, ['criterion']);
  return undeclared(engine.library, engine.report, {
    what: 'criterion',
    name,
    span: callee.span,
    found: decl,
    candidates: all,
    ...(decl ? { text: `${withArticle(decl.kind)}, not a criterion` } : {}),
    help: [
      ...(all.length > 0 ? [`There are: ${all.join(', ')}.`] : []),
      'Procedures that search for a mask (learned rates, second-order updates) are not in this version.',
    ],
  });
}

function scoreOf(engine: Engine, criterion: CriterionDecl, stmt: PruneStmt, weight: ParamSlot): Func {
  const name = criterion.name.name;
  const scope = new Scope();
  const inputs = criterion.params.slice(0, 1).map((p) => input(p.name.name, weight.type));
  const args = inputs.map((v) => ({ value: tensorVal(v) as Val, span: stmt.span }));
  const span = criterion.value.span;
  const traced = engine.report.onBehalfOf(stmt.span, `\`${name}\` scores ${weight.name} here`, () => {
    // What else the criterion reads is found together with the mask and not traced here.
    if (criterion.params.length > 1) return undefined;
    bindTensors(engine, name, criterion.params, scope, args, stmt.span);
    return engine.tensor(engine.evaluate(criterion.value, scope), span);
  });
  if (!traced) return { name: 'score', inputs, results: [], updates: [] };
  if (traced.type.shape.join() !== weight.type.shape.join()) {
    engine.report.stop(
      'ESP0344',
      { criterion: name, expected: showShape(weight.type.shape), found: showShape(traced.type.shape) },
      {
        primary: { span, text: `this is ${describe(tensorVal(traced))}` },
        secondary: [{ span: stmt.span, text: 'used here' }],
      },
    );
  }
  return { name: 'score', inputs, results: [{ name: 'score', value: traced }], updates: [] };
}

function maskFor(engine: Engine, weight: ParamSlot, stmt: PruneStmt): ParamSlot {
  const name = `${weight.name}#mask`;
  const about: About = { ...engine.about(stmt.span), owner: { kind: 'mask', of: weight.name } };
  const value = paramRef({ name, type: weight.type, role: 'constant', about });
  return engine.params.add({ name, type: weight.type, role: 'constant', span: stmt.span, value });
}
