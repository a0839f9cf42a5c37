/** `report` and `sweep`: what a run was, and many runs one after another. */
import type { Command } from 'commander';
import { type Spread, type SweepResult, type SweepRow, sweep, writeReport } from '../../api/index.js';
import { vtabText } from '../../data/index.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { toJson } from '../../diagnostics/render.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import { type CommandOutput, guarded, numberFor, showDiagnostics, textOf } from '../context.js';
import { EXIT } from '../exit.js';
import { count, startProgress, table } from '../output.js';
import { hostFor, OFFLINE } from '../spec.js';

interface ReportFlags {
  readonly out?: string;
  readonly json?: boolean;
}

interface SweepFlags {
  readonly out: string;
  readonly set?: Record<string, readonly string[]>;
  readonly seeds?: number;
  readonly model?: string;
  readonly base?: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

async function reportCommand(run: string, { out, json }: ReportFlags, output: CommandOutput): Promise<number> {
  const { path, report } = await writeReport(run, out);
  output.print(json ? JSON.stringify({ path, ...report }, null, 2) : `wrote ${path}`);
  return EXIT.ok;
}

/** `--set rank=2,4,8`: commas within brackets are the value's own. */
export function collectValues(
  text: string,
  soFar: Record<string, readonly string[]> = {},
): Record<string, readonly string[]> {
  const at = text.indexOf('=');
  const values = text
    .slice(at + 1)
    .split(/,(?![^[(]*[\])])/)
    .map((v) => v.trim());
  if (at <= 0 || values.includes('')) throw new EspalierError([diagnostic('ESP0903', { text })]);
  return { ...soFar, [text.slice(0, at).trim()]: [...new Set(values)] };
}

async function sweepCommand(spec: string, flags: SweepFlags, output: CommandOutput): Promise<number> {
  const { out, set, seeds, model, base, json } = flags;
  const progress = startProgress();
  const stop = new AbortController();
  const note = (text: string): void => {
    progress.done();
    output.note(text);
  };
  const interrupted = (): void => {
    note('stopping after this step; once more ends at once');
    process.removeListener('SIGINT', interrupted);
    stop.abort();
  };
  process.on('SIGINT', interrupted);
  const warned = new Set<string>();
  // What holds for all runs is said once.
  const warn = (d: Diagnostic): void => {
    progress.done();
    if (!warned.has(d.message)) showDiagnostics([d], output, false);
    warned.add(d.message);
  };
  try {
    const runs = sweep(spec, {
      host: hostFor(flags, progress.report),
      out,
      ...(set ? { set } : {}),
      ...(base ? { base } : {}),
      ...(seeds === undefined ? {} : { seeds }),
      ...(model === undefined ? {} : { model }),
      signal: stop.signal,
      warn,
      skipped: ({ diagnostics }) => diagnostics.forEach(warn),
    });
    for (;;) {
      const { value, done } = await runs.next();
      if (done) {
        progress.done();
        output.print(json ? JSON.stringify(forJson(value), null, 2) : sweepText(value));
        for (const { name, diagnostics } of value.failed) {
          note(`${name}:`);
          showDiagnostics(diagnostics, output, false);
        }
        if (value.stopped) note(`stopped; the same command goes on. ${out} holds what was run so far`);
        return value.failed.length > 0 ? EXIT.input : EXIT.ok;
      }
      const { job, index, of, kind, event } = value;
      const which = `${index + 1}/${of} ${job.name}`;
      if (kind === 'left') note(`${which}: has ended before`);
      else if (kind !== 'train') note(`${which}: ${kind === 'resumed' ? 'goes on' : 'begins'}`);
      else if (event?.kind === 'step')
        progress.report(`${which}: epoch ${event.epoch + 1}, loss ${event.loss.toFixed(4)}`, index / of);
    }
  } finally {
    progress.done();
    process.removeListener('SIGINT', interrupted);
  }
}

const forJson = ({ failed, ...rest }: SweepResult) => ({
  ...rest,
  failed: failed.map(({ diagnostics, ...job }) => ({ ...job, diagnostics: toJson(diagnostics, textOf) })),
});

/** Mean and spread in the digits that a person compares. */
function spreadText(spread: Spread | undefined, show: (x: number) => string): string {
  if (!spread) return '-';
  const { mean, deviation } = spread;
  return deviation === undefined ? show(mean) : `${show(mean)} ± ${show(deviation)}`;
}

/** Both of VTAB's means, named; or which tasks they lack. */
function vtabLine({ set, means, missing }: SweepResult['vtab'][number]): string {
  const of = Object.entries(set).map(([name, value]) => `${name}=${value}, `);
  const what = means
    ? vtabText(means)
    : `no mean before all 19 tasks have a test accuracy: ${missing.join(', ')} ${missing.length === 1 ? 'has' : 'have'} none`;
  return `VTAB-1k, ${of.join('')}test accuracy %: ${what}`;
}

export function sweepText({ rows, vtab }: SweepResult): string {
  const names = Object.keys(rows[0]?.set ?? {});
  const figure = rows.find((r) => r.runs > 0)?.figure ?? 'accuracy';
  const score = (s: Spread | undefined) =>
    spreadText(s, (x) => (figure === 'loss' || figure === 'mae' ? x.toPrecision(4) : (100 * x).toFixed(2)));
  const unit = { map: 'mean average precision %', accuracy: 'accuracy %', mae: 'mean absolute error', loss: 'loss' }[
    figure
  ];
  const cells = (r: SweepRow): string[] => [
    ...names.map((n) => r.set[n]!),
    r.runs === r.of ? String(r.runs) : `${r.runs} of ${r.of}`,
    score(r.validation),
    score(r.test),
    r.parameters === undefined ? '-' : count(r.parameters),
    spreadText(r.seconds, (x) => x.toFixed(1)),
  ];
  const heading = [...names, 'runs', `validation ${unit}`, `test ${unit}`, 'parameters', 'seconds'];
  const spread = rows.some((r) => r.seconds?.deviation !== undefined);
  const legend = spread ? '\n± is the standard deviation over seeds (of a sample)' : '';
  return [`${table(rows.map(cells), heading)}${legend}`, ...vtab.map(vtabLine)].join('\n');
}

export function registerReport(program: Command, output: CommandOutput): void {
  program
    .command('report')
    .description(
      "write a run's curves, mistakes, budget and settings as one HTML page; of a run that is under way, what there is so far",
    )
    .argument('<run>', 'a folder that `train` wrote')
    .option('-o, --out <file>', 'the page (default: report.html in the folder of the run)')
    .option('--json', 'print the figures as JSON too')
    .action(guarded(output, (run: string, flags: ReportFlags) => reportCommand(run, flags, output)));

  program
    .command('sweep')
    .description(
      'train a spec under several values of its options and several seeds, one run after another, and compare them; the same command goes on where it was ended',
    )
    .argument('<spec>', 'a .peft file, or the same as .json, with a `train` block')
    .requiredOption('-o, --out <folder>', 'folder of the runs, each in one of its own')
    .option(
      '--set <name=values>',
      "values of one of the model's options, `rank=2,4,8`; of several, all combinations",
      collectValues,
    )
    .option('--seeds <n>', 'train each under the seeds 0 to n - 1', (text) =>
      numberFor('--seeds', text, { from: 1, to: 1000, whole: true }),
    )
    .option('--model <name>', 'which model, when the spec has several')
    .option('--base <folder>', 'the base of an adapter folder given as the spec: it is refused with the lines to write')
    .option('--json', 'the table as JSON, with every run')
    .option(...OFFLINE)
    .action(guarded(output, (spec: string, flags: SweepFlags) => sweepCommand(spec, flags, output)));
}
