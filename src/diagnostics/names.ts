/** Messages ESP02xx. */
import { entry } from './define.js';

export const NAMES = {
  ESP0200: entry<{ what: string }>({
    title: 'Internal error',
    message: (a) => `internal error: ${a.what}`,
    explain: 'Espalier broke one of its own rules. Please report it with the spec that caused it.',
  }),
};
