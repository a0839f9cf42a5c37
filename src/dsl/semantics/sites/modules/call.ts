/** What a site computes without the adapters on it: the forward of a module, a labelled stretch, a list, a layer. */
import { showPath } from '../../../../ir/path.js';
import type { BlockExpr, Span, TensorParam } from '../../../ast.js';
import { requireForward } from '../../evaluate/block.js';
import type { ArgVal, Frame } from '../../evaluate/engine.js';
import { Scope, type Site, tensorVal, type Val } from '../../evaluate/values.js';
import type { Tracer } from '../memo.js';
import { bindTensors } from './arguments.js';
import { callLayer, oneTensor } from './layer.js';

/** What is being traced inside of a site; the layers that an adapter owns are the adapter's. */
export const frameOf = (site: Site): Frame => frameIn(site, site.adapter);

/** What an adapter on a site computes. */
export const frameIn = (site: Site, adapter: string | undefined): Frame => ({
  site: site.path,
  ...(adapter === undefined ? {} : { owner: { kind: 'adapter', ids: [adapter] } }),
});

/** What a site computes without the adapters on it. */
export function callPlain(engine: Tracer, site: Site, args: readonly ArgVal[], span: Span): Val {
  site.called = true;
  return engine.within(frameOf(site), () => {
    switch (site.kind) {
      case 'module': {
        const forward = requireForward(site.decl.body, () =>
          engine.report.stop(
            'ESP0221',
            { of: site.type },
            {
              primary: { span, text: 'called here' },
              secondary: [{ span: site.decl.name.span, text: 'declared here' }],
            },
          ),
        );
        return engine.report.along(span, `\`${showPath(site.path)}\` is called here`, () =>
          callForward(engine, showPath(site.path), forward.params, forward.body, site.scope, args, span),
        );
      }
      case 'label': {
        return once(engine, site, span, () => {
          const { stmt, owner } = site;
          const inner = new Scope(owner.scope);
          bindTensors(engine, showPath(site.path), stmt.params, inner, args, span);
          return engine.evaluate(stmt.value, inner);
        });
      }
      case 'list': {
        let x = args;
        let out: Val | undefined;
        for (const item of site.items) {
          out = engine.callSite(item, x, span);
          x = [{ value: out, span }];
        }
        return out ?? args[0]!.value;
      }
      case 'layer':
      case 'part':
        return tensorVal(callLayer(engine, site, oneTensor(engine, site, args, span), span));
    }
  });
}

function once(engine: Tracer, site: Site, span: Span, work: () => Val): Val {
  const active = engine.memo.running;
  if (active.has(site)) {
    engine.report.stop(
      'ESP0225',
      { name: showPath(site.path) },
      { primary: { span, text: 'called inside of itself' } },
    );
  }
  active.add(site);
  try {
    return work();
  } finally {
    active.delete(site);
  }
}

function callForward(
  engine: Tracer,
  of: string,
  params: readonly TensorParam[],
  body: BlockExpr,
  scope: Scope,
  args: readonly ArgVal[],
  span: Span,
): Val {
  const inner = new Scope(scope);
  bindTensors(engine, of, params, inner, args, span);
  const v = engine.runBlock(body.statements, inner);
  return (
    v ??
    engine.report.stop(
      'ESP0224',
      { what: `the forward of ${of}` },
      { primary: { span: body.span, text: 'ends without a value' } },
    )
  );
}
