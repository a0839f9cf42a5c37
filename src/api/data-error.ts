/** Values of the spec or its weights for which an operator has no result are wrong input: said at the operator's place. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import { DataError } from '../ir/ops/errors.js';

/** @throws EspalierError ESP0317 in place of a DataError */
export async function sayDataErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const { at } = error;
    const primary = at && { primary: { span: at, text: 'this value' } };
    throw new EspalierError([diagnostic('ESP0317', { op: error.op, why: error.reason }, primary ?? {})]);
  }
}
