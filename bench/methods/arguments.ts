/** The command line of `npm run bench:methods`. */
import { parseArgs } from 'node:util';
import { optionsOf, UsageError } from '../arguments.js';

export interface MethodsArguments {
  readonly methods: readonly string[];
  readonly seeds: readonly number[];
  /** Where runs are kept, and looked for. */
  readonly json: string;
  /** Nothing is run: the table of what there is. */
  readonly print: boolean;
}

export const unique = <T>(list: readonly T[]): T[] => [...new Set(list)];

/** @throws UsageError */
export function parseMethods(args: readonly string[], known: { methods: string[]; seeds: number[] }): MethodsArguments {
  const { values } = optionsOf(() =>
    parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        seed: { type: 'string' },
        json: { type: 'string', default: 'out/methods.json' },
        print: { type: 'boolean', default: false },
      },
    }),
  );
  const listed = <T>(option: string, text: string | undefined, all: readonly T[]): T[] =>
    text === undefined
      ? [...all]
      : text.split(',').map((one) => {
          const found = all.find((x) => String(x) === one);
          if (found === undefined) throw new UsageError(`${option} is of ${all.join(', ')}, not ${one}`);
          return found;
        });
  return {
    methods: unique(listed('--only', values.only, known.methods)),
    seeds: unique(listed('--seed', values.seed, known.seeds)),
    json: values.json,
    print: values.print,
  };
}
