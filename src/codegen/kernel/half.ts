/** Whether a kernel computes in f16, which a device must have. */
import type { Kernel, Type } from './types.js';
import { eachExpr, eachStmt } from './walk.js';

const isHalf = (t: Type | undefined): boolean => t?.scalar === 'f16';

export function usesHalf(k: Kernel): boolean {
  if (k.shared.some((s) => isHalf(s.type))) return true;
  if (k.functions.some((f) => isHalf(f.result) || f.params.some((p) => isHalf(p.type)))) return true;
  let found = false;
  for (const body of [k.main, ...k.functions.map((f) => f.body)]) {
    eachStmt(body, (s) => {
      if ((s.kind === 'var' || s.kind === 'array') && isHalf(s.type)) found = true;
      eachExpr(s, (e) => {
        if (isHalf(e)) found = true;
      });
    });
  }
  return found;
}
