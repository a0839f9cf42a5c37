/** Which variants a checkpoint looks like, by names and shapes of its tensors: said where a spec asks for another one. */
import type { Diagnostic } from '../../diagnostics/types.js';
import type { StringLit } from '../../dsl/ast.js';
import type { KnownLayout } from '../../dsl/lookalikes.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import { looksLike } from '../../formats/lookalike.js';

/** So many are named: published sizes of several families may have the same tensors. */
const NAMED = 4;

/** What helps with a file that does not fit; nothing where it looks like none of what is known. */
export function alikeHelp(
  checkpoint: OpenCheckpoint,
  known: (checkpoint: OpenCheckpoint) => readonly KnownLayout[],
): string[] {
  const alike = looksLike(checkpoint.store, known(checkpoint));
  if (alike.length === 0) return [];
  const more = alike.length > NAMED ? `, or one of ${alike.length - NAMED} more` : '';
  const named = alike.slice(0, NAMED).map((v) => `\`${v}\``);
  return [`It looks like ${named.join(' or ')}${more}.`];
}

/** A spec's options and a configuration's that disagree, a configuration that is not the variant's, and an option that neither says. */
const MISFITS: ReadonlySet<string> = new Set(['ESP0204', 'ESP0230', 'ESP0508']);

/**
 * What is wrong with a spec, with what helps where it is that it asks for another variant than a file holds.
 * @param bases the names of the files of its backbones, as they stand in it
 */
export function withAlikes(
  diagnostics: readonly Diagnostic[],
  bases: readonly StringLit[],
  checkpoints: ReadonlyMap<string, OpenCheckpoint>,
  known: (checkpoint: OpenCheckpoint) => readonly KnownLayout[],
): Diagnostic[] {
  return diagnostics.map((d) => {
    if (!MISFITS.has(d.code)) return d;
    const places = [d.primary, ...d.secondary].flatMap((label) => (label ? [label.span] : []));
    const named = bases.find(({ span }) => places.some((p) => p.file === span.file && p.start === span.start));
    const literal = named ?? (bases.length === 1 ? bases[0] : undefined);
    const checkpoint = literal && checkpoints.get(literal.value);
    if (!checkpoint) return d;
    return { ...d, help: [...d.help, ...alikeHelp(checkpoint, known)] };
  });
}
