/** Messages ESP04xx. */
import { entry } from './define.js';

export const MERGING = {
  ESP0400: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),
};
