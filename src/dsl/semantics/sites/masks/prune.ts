/** `prune` statements: masks as constant parameters, and what is needed to find them. */

import { paramRef } from '../../../../ir/graph.js';
import { showPath } from '../../../../ir/path.js';
import type { PruneJob, PruneTarget, Reading } from '../../../../ir/prune.js';
import type { About, Func } from '../../../../ir/types.js';
import type { PruneStmt } from '../../../ast.js';
import type { Engine } from '../../evaluate/engine.js';
import type { LayerSite, ParamSlot, Site } from '../../evaluate/values.js';
import { criterionOf, looksAtInput, requireCalibration, scoreOf } from './criterion.js';
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
        requireCalibration(engine, stmt, criterion, settings.calibration);
        const targets: PruneTarget[] = [];
        const score: Func[] = [];
        const gathers: Reading[] = [];
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
            const made = scoreOf(engine, criterion, stmt, site, weight);
            const slot = maskFor(engine, weight, stmt);
            site.mask = { slot, over: settings.over };
            score.push(made.score);
            if (made.reading) gathers.push(made.reading);
            targets.push({ param: weight.name, mask: slot.name, site: site.path });
          });
        }
        const job: PruneJob = {
          criterion: criterion.name.name,
          span: stmt.span,
          targets,
          score,
          ...settings,
          ...(looksAtInput(criterion) && !stmt.from ? { gathers } : {}),
          ...(stmt.from ? { from: stmt.from.value } : {}),
          ...(stmt.by ? { searched: true } : {}),
        };
        return [job];
      }) ?? [],
  );
}

function maskFor(engine: Engine, weight: ParamSlot, stmt: PruneStmt): ParamSlot {
  const name = `${weight.name}#mask`;
  const about: About = { ...engine.about(stmt.span), owner: { kind: 'mask', of: weight.name } };
  const value = paramRef({ name, type: weight.type, role: 'constant', about });
  return engine.params.add({ name, type: weight.type, role: 'constant', span: stmt.span, value });
}
