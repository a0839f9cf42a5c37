/** `check`, `fmt`, `explain`: what needs a spec's text and nothing else. */
import { type Command, Option } from 'commander';
import { analyse, convertSpec, EspalierError, nodeHost, schemaText } from '../../api/index.js';
import { CATALOGUE, type Code, diagnostic } from '../../diagnostics/catalogue.js';
import { explain } from '../../diagnostics/explain.js';
import { toJson } from '../../diagnostics/render.js';
import { nearest } from '../../diagnostics/suggest.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { type CommandOutput, collectSet, exitCode, guarded, oneOf, showDiagnostics, textOf } from '../context.js';
import { EXIT } from '../exit.js';
import { count } from '../output.js';
import { asked, OFFLINE, withProgress } from '../spec.js';

interface CheckOptions {
  readonly set?: Record<string, string>;
  readonly base?: string;
  readonly model?: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

interface FormatOptions {
  readonly check?: boolean;
  readonly stdout?: boolean;
  readonly to?: string;
}

export function registerLanguage(program: Command, output: CommandOutput): void {
  program
    .command('check')
    .description('check a spec: names, options, shapes, selectors; reads no weights')
    .argument('<spec>', 'a .peft file, the same as .json, or the folder of a checkpoint or an adapter')
    .option('--base <folder>', 'the base of an adapter folder given as the spec, where that does not lead to it')
    .option('--set <name=value>', "give one of the model's options a value", collectSet)
    .option('--model <name>', 'which model, when the spec has several')
    .option('--json', 'diagnostics as JSON')
    .option(...OFFLINE)
    .action(
      guarded(output, async (path: string, options: CheckOptions) => {
        const { value, diagnostics } = await withProgress((progress) =>
          analyse(path, { ...asked(options, progress), library: true }),
        );
        if (options.json)
          output.print(JSON.stringify({ ok: value !== undefined, diagnostics: toJson(diagnostics, textOf) }, null, 2));
        else showDiagnostics(diagnostics, output, false);
        if (value === undefined) return exitCode(diagnostics);
        if (!options.json) {
          const { elaborated } = value;
          output.print(
            elaborated
              ? `${path}: ${elaborated.name} is well formed (${elaborated.adapters.length} adapters, ${count(elaborated.module.params.size)} tensors)`
              : `${path}: well formed`,
          );
        }
        return EXIT.ok;
      }),
    );

  program
    .command('fmt')
    .description('format specs in place, or print one in another form')
    .argument('<spec...>', '.peft files, or .json')
    .option('--check', 'change nothing; exit 4 if a file is not formatted')
    .addOption(new Option('--stdout', 'print instead of writing').conflicts('check'))
    .addOption(new Option('--to <form>', 'print the spec as json or peft').conflicts(['check', 'stdout']))
    .action(
      guarded(output, async (paths: string[], options: FormatOptions) => {
        const to = oneOf('--to', options.to, ['json', 'peft'] as const);
        const results = paths.map((path) => ({ path, ...formatFile(path, to) }));
        const errors = results.flatMap((r) => r.diagnostics);
        if (errors.length > 0) throw new EspalierError(errors);
        let differing = 0;
        for (const { path, before, after, lost } of results) {
          if (options.stdout || to) output.print(after);
          if (lost > 0) output.note(`${path}: ${lost} ${lost === 1 ? 'comment is' : 'comments are'} not in the JSON`);
          if (before === after || to) continue;
          differing++;
          if (options.check) output.note(`${path} is not formatted`);
          else if (!options.stdout) await writeFileAtomic(path, after);
        }
        if (!options.stdout && !to)
          output.note(`${paths.length} checked, ${differing} ${options.check ? 'to format' : 'formatted'}`);
        return options.check && differing > 0 ? EXIT.differs : EXIT.ok;
      }),
    );

  program
    .command('schema')
    .description('print the JSON Schema of specs in JSON, for editors')
    .action(
      guarded(output, async () => {
        output.print(schemaText());
        return EXIT.ok;
      }),
    );

  program
    .command('explain')
    .description('explain a diagnostic: what it means, an example, the cure')
    .argument('[code]', 'such as ESP0201; without it, all are listed')
    .action(
      guarded(output, async (code: string | undefined) => {
        if (code === undefined) {
          for (const [key, e] of Object.entries(CATALOGUE)) output.print(`${key}  ${e.title}`);
          return EXIT.ok;
        }
        const page = explain(code.toUpperCase());
        if (page === undefined) {
          throw new EspalierError([
            diagnostic('ESP0913', { code, near: nearest(code.toUpperCase(), Object.keys(CATALOGUE) as Code[]) }),
          ]);
        }
        output.print(page);
        return EXIT.ok;
      }),
    );
}

interface Formatted {
  readonly before: string;
  readonly after: string;
  readonly lost: number;
  readonly diagnostics: EspalierError['diagnostics'];
}

function formatFile(path: string, to: 'json' | 'peft' | undefined): Formatted {
  const before = nodeHost().readText(path);
  if (before === undefined) throw new EspalierError([diagnostic('ESP0901', { path })]);
  try {
    const { text, lost } = convertSpec(path, before, to);
    return { before, after: text, lost, diagnostics: [] };
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return { before, after: before, lost: 0, diagnostics: error.diagnostics };
  }
}
