/** Erases what only training needs: dropout, dropped paths and stopped gradients are identities when a model infers. */
import { rewriteFunc, withInputs } from '../ir/graph.js';
import { traitsOf } from '../ir/ops/index.js';
import { overFunc, type Pass } from './pass.js';

export const erase: Pass = {
  name: 'erase',
  doc: 'Dropout, dropped paths and stopped gradients go: in `infer` they are identities.',
  run: overFunc((func) => rewriteFunc(func, (v, inputs) => (traitsOf(v).erased ? inputs[0]! : withInputs(v, inputs)))),
};
