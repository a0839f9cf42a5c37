/** Erases what only training needs: dropout, dropped paths and stopped gradients are identities when a model infers. */
import { rewriteFunc, withInputs } from '../ir/graph.js';
import { overFunc, type Pass } from './pass.js';

export const erase: Pass = {
  name: 'erase',
  doc: 'Dropout, dropped paths and stopped gradients go: in `infer` they are identities.',
  run: overFunc((func) =>
    rewriteFunc(func, (v, inputs) =>
      v.op === 'dropout' || v.op === 'drop_path' || v.op === 'stop_gradient' ? inputs[0]! : withInputs(v, inputs),
    ),
  ),
};
