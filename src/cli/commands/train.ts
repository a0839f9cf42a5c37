/** `train`: fine-tunes what a spec says, into the folder of a run. */
import type { Command } from 'commander';
import type { RunFacts } from '../../api/node/run-folder.js';
import { train } from '../../api/node/train.js';
import { percent, scoreText } from '../../api/report/numbers.js';
import type { CandidateEvent, EpochEvent, PrunedEvent, TrainEvent } from '../../api/train/events.js';
import type { KeptFeatures } from '../../api/train/kept.js';
import { prefixText } from '../../api/train/prefix.js';
import type { TrainPlan } from '../../api/train/program.js';
import type { Diagnostic } from '../../diagnostics/types.js';
import { rateOf } from '../../search/journal.js';
import { type CommandOutput, collectSet, guarded, numberFor, showDiagnostics } from '../context.js';
import { EXIT } from '../exit.js';
import { bytes, count, startProgress } from '../output.js';
import { hostFor, OFFLINE } from '../spec.js';
import { clock, stepTexts } from '../steps.js';

interface TrainFlags {
  readonly out: string;
  readonly resume?: boolean;
  readonly seed?: number;
  readonly set?: Record<string, string>;
  readonly model?: string;
  readonly base?: string;
  readonly json?: boolean;
  readonly offline?: boolean;
}

/** What a run is, before its first step. */
function describe({ plan, data, settings }: RunFacts): string {
  const p = plan as unknown as TrainPlan;
  const split = data.split ? ' (taken from the training data)' : '';
  return [
    `${count(p.trained)} of ${count(p.total)} parameters are trained (${percent(p.trained / p.total)})`,
    `memory: ${bytes(p.peakBytes)} at the most: ${bytes(p.frozenBytes)} frozen, ${bytes(p.stateBytes)} trained and its moments, ${bytes(p.stepBytes)} for a step of ${p.part} images`,
    `each image leaves ${bytes(p.keptBytes)} for the backward pass${p.again > 0 ? `, with ${p.again} of ${p.segments} segments computed again` : ''}; training every weight would leave ${bytes(p.full.keptBytes)}, and hold ${bytes(p.full.stateBytes)} of weights and moments`,
    `data: ${count(data.train)} to train on, ${count(data.validation)} to validate on${split}, ${count(data.test)} to test on; ${data.kind === 'points' ? 'objects are counted' : `${data.classes.length} classes`}`,
    `${String(settings.epochs)} epochs, batches of ${String(settings.batch)}`,
    ...(['step', 'loss'] as const).flatMap((of) => (p.prefixes?.[of] ? [prefixText(of, p.prefixes[of])] : [])),
  ].join('\n');
}

/** What was computed once, and what each epoch is shorter by. */
function keptText({ of, images, bytes: size, path, seconds }: KeptFeatures): string {
  const what = `features of ${count(images)} ${of === 'step' ? 'images' : 'validation images'} (${bytes(size)})`;
  if (seconds === undefined) return `${what} are in ${path}: nothing was computed`;
  const where = path === undefined ? 'memory' : path;
  return `${what} are in ${where}: computed in ${seconds.toFixed(1)} s, by which each epoch is shorter`;
}

function epochText({ epoch, train: t, validation, best, rate, waited }: EpochEvent, epochs: number): string {
  const after = validation ? `; validation ${scoreText(validation)}${best ? ', the best so far' : ''}` : '';
  return `epoch ${epoch + 1}/${epochs}: ${scoreText(t)}${after} (${rate.toFixed(1)} images/s, ${percent(waited)} of it waiting for data)`;
}

async function trainCommand(spec: string, flags: TrainFlags, output: CommandOutput): Promise<number> {
  const progress = startProgress();
  const stop = new AbortController();
  const say = (text: string): void => {
    progress.done();
    output.print(text);
  };
  const warn = (d: Diagnostic): void => {
    progress.done();
    showDiagnostics([d], output, false);
  };
  const interrupted = (): void => {
    progress.done();
    output.note('stopping after this step; once more ends at once');
    process.removeListener('SIGINT', interrupted);
    stop.abort();
  };
  process.on('SIGINT', interrupted);
  let epochs = 1;
  let textOfStep = stepTexts(1, 1);
  const unread = new Set<string>();
  try {
    const run = train(spec, {
      host: hostFor(flags, progress.report),
      out: flags.out,
      resume: flags.resume ?? false,
      ...(flags.seed === undefined ? {} : { seed: flags.seed }),
      ...(flags.set ? { set: flags.set } : {}),
      ...(flags.model ? { model: flags.model } : {}),
      ...(flags.base ? { base: flags.base } : {}),
      signal: stop.signal,
      progress: progress.report,
      warn,
      skipped: ({ id, diagnostics }) => {
        unread.add(id);
        warn(diagnostics[0] ?? { code: '', severity: 'warning', message: id, secondary: [], help: [] });
      },
      kept: (features) => {
        if (!flags.json) say(keptText(features));
      },
      began: (facts) => {
        epochs = Number(facts.settings.epochs);
        textOfStep = stepTexts(epochs, Math.ceil(facts.data.train / Number(facts.settings.batch)));
        if (!flags.json) say(describe(facts));
      },
    });
    for await (const event of run) {
      if (flags.json) output.print(JSON.stringify(event));
      else if (event.kind === 'step') {
        const { text, share } = textOfStep(event);
        progress.report(text, share);
      } else say(textOf(event, epochs, flags.out));
    }
    if (unread.size > 0)
      output.note(`${count(unread.size)} ${unread.size === 1 ? 'image' : 'images'} could not be read and took no part`);
    return EXIT.ok;
  } finally {
    progress.done();
    process.removeListener('SIGINT', interrupted);
  }
}

/** What became of a candidate, and what the search makes of it. */
function candidateText(event: CandidateEvent): string {
  const { number, similarity, loss, problem, again, action, reward, accepted, steps, seconds } = event;
  const what = [
    `${percent(rateOf(event))} pruned`,
    ...(problem === undefined ? [] : [problem]),
    ...(similarity === undefined ? [] : [`similarity ${similarity.toFixed(4)}`]),
    ...(loss ? [`loss ${loss.recovered.toFixed(4)} (${loss.pruned.toFixed(4)} before it recovered)`] : []),
    ...(action === undefined ? [] : [`the agent would ${action} it`]),
    ...(reward === undefined ? [] : [`reward ${reward.toFixed(4)}`]),
    accepted ? 'good enough' : 'not good enough',
  ];
  const took = again === undefined ? `${count(steps)} steps in ${clock(seconds)}` : `as candidate ${again}`;
  return `candidate ${number}: ${what.join(', ')} (${took})`;
}

/** What a search has found, and what it took. */
function prunedText({ rates, elements, zeros, why, candidates, steps, images, seconds }: PrunedEvent): string {
  const took = `${count(candidates)} ${candidates === 1 ? 'candidate' : 'candidates'}, ${count(steps)} steps, ${count(images)} images in ${clock(seconds)}`;
  const what =
    rates.length === 0
      ? 'nothing is pruned'
      : `${percent(zeros / elements)} of ${count(elements)} weights are pruned${rates.length > 1 ? ', each layer by its own rate' : ''}`;
  return `search: ${what}: ${why} (${took})`;
}

function textOf(event: Exclude<TrainEvent, { kind: 'step' }>, epochs: number, out: string): string {
  if (event.kind === 'epoch') return epochText(event, epochs);
  if (event.kind === 'candidate') return candidateText(event);
  if (event.kind === 'pruned') return prunedText(event);
  if (event.kind === 'test') return `test: ${scoreText(event.score)}; nothing was selected on it`;
  if (event.why === 'stopped') return `stopped; go on with --resume. ${out} holds what was trained so far`;
  const early = event.why === 'patience' ? 'no better validation for a while; ' : '';
  return `${early}${out}/adapter.safetensors holds the weights of epoch ${event.epoch + 1} (by ${event.selected}): compile ${out}, or name the file with \`from\``;
}

export function registerTrain(program: Command, output: CommandOutput): void {
  program
    .command('train')
    .description(
      'Fine-tune what a spec says on the GPU: its adapters, and what it tunes. Ctrl-C stops after a step; --resume goes on.',
    )
    .argument('<spec>', 'a .peft file, or the same as .json, with a `train` block')
    .requiredOption('-o, --out <folder>', 'folder of the run: metrics, checkpoints, the adapter')
    .option('--resume', 'go on with the run in the folder')
    .option('--seed <n>', "in place of the `train` block's seed", (text) =>
      numberFor('--seed', text, { from: 0, to: 2 ** 31 - 1, whole: true }),
    )
    .option('--set <name=value>', "give one of the model's options a value", collectSet)
    .option('--model <name>', 'which model, when the spec has several')
    .option('--base <folder>', 'the base of an adapter folder given as the spec: it is refused with the lines to write')
    .option('--json', 'events as JSON, one a line')
    .option(...OFFLINE)
    .action(guarded(output, (spec: string, flags: TrainFlags) => trainCommand(spec, flags, output)));
}
