/** The module tree as `inspect` shows it. */
import type { AppliedAdapter, SiteNode } from '../../elaborated.js';
import type { Graft, Site } from '../evaluate/values.js';
import { graftParams } from './walk.js';

export const appliedAdapter = (g: Graft): AppliedAdapter => ({
  name: g.name,
  id: g.id,
  site: g.site.path,
  params: Object.fromEntries(graftParams(g.owner)),
  span: g.span,
});

function detail(site: Site): string {
  switch (site.kind) {
    case 'module':
      return site.detail;
    case 'layer':
      return site.layer.detail;
    case 'part':
      return `${site.whole.layer.in} -> ${site.rows[1] - site.rows[0]} (rows ${site.rows[0]} to ${site.rows[1]})`;
    case 'label':
      return 'labelled stretch';
    case 'list':
      return `${site.items.length} x ${site.items[0]?.type ?? 'nothing'}`;
  }
}

export function siteNode(site: Site): SiteNode {
  return {
    path: site.path,
    type: site.type,
    kind: site.kind,
    detail: detail(site),
    params: Object.fromEntries([...site.params].map(([short, p]) => [short, p.name])),
    adapters: site.grafts.map(appliedAdapter),
    children: [...site.children.values()].map(siteNode),
  };
}
