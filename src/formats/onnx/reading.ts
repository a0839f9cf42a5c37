/** What all parts of one file are read with, and how they refuse. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { ExternalFiles } from './external.js';

export interface Reader {
  /** For messages. */
  readonly file: string;
  readonly files: ExternalFiles;
}

/** Names that are read and not given, and of each one that reads it. */
export type Free = ReadonlyMap<string, string>;

export const notValid = (file: string, problem: string): EspalierError =>
  new EspalierError([diagnostic('ESP1201', { file, problem })]);
export const wrongNode = (file: string, node: string, problem: string): EspalierError =>
  new EspalierError([diagnostic('ESP1202', { file, node, problem })]);
/** @param type goes on "... is": `a sparse tensor`. */
export const notRead = (file: string, what: string, type: string): EspalierError =>
  new EspalierError([diagnostic('ESP1204', { file, what, type })]);
