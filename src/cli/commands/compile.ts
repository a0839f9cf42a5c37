/** `compile`, `merge`, `inspect`: from a spec to what can be shipped, and every stage between. */
import type { Command } from 'commander';
import { STAGES } from '../../api/compile.js';
import { compile, inspect, merge } from '../../api/index.js';
import { nodeHost } from '../../api/node/host.js';
import { requireOutput, writeCompiled, writeMerged } from '../../api/node/write.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { type CommandOutput, collectSet, guarded, oneOf, showDiagnostics } from '../context.js';
import { EXIT } from '../exit.js';
import { count, startProgress } from '../output.js';
import { describeCompiled } from '../summary.js';

interface SpecFlags {
  readonly set?: Record<string, string>;
  readonly model?: string;
  readonly json?: boolean;
}

const specOptions = (command: Command) =>
  command
    .argument('<spec>', 'a .peft file')
    .option('--set <name=value>', "give one of the model's options a value", collectSet)
    .option('--model <name>', 'which model, when the spec has several')
    .option('--json', 'the result, or the diagnostics, as JSON');

export function registerCompile(program: Command, output: CommandOutput): void {
  specOptions(program.command('compile'))
    .description('compile a spec into a folder that runs on any WebGPU')
    .requiredOption('-o, --out <dir>', 'folder to write (replaced as a whole)')
    .option('--adapters <mode>', 'merged, factored or auto; instead of what `deploy` says')
    .option('--weights <type>', 'f32 or f16 storage; instead of what `deploy` says')
    .option('--batch <sizes>', 'batch sizes, such as 1,8; instead of what `deploy` says')
    .option('--emit <stage>', 'print the program after a pass, such as after:reparameterize')
    .option('--no-golden', 'leave out the golden input and output')
    .action(
      guarded(
        output,
        async (
          path: string,
          flags: SpecFlags & {
            out: string;
            adapters?: string;
            weights?: string;
            batch?: string;
            emit?: string;
            golden: boolean;
          },
        ) => {
          const progress = startProgress();
          try {
            const adapters = oneOf('--adapters', flags.adapters, ['merged', 'factored', 'auto'] as const);
            const weights = oneOf('--weights', flags.weights, ['f32', 'f16'] as const);
            await requireOutput(flags.out, 'program');
            const compiled = await compile(path, {
              host: nodeHost(),
              progress: progress.report,
              golden: flags.golden,
              ...(flags.set ? { set: flags.set } : {}),
              ...(flags.model ? { model: flags.model } : {}),
              ...(adapters ? { adapters } : {}),
              ...(weights ? { weights } : {}),
              ...(flags.batch ? { batch: flags.batch.split(',').map(Number) } : {}),
              ...(flags.emit ? { emit: { stage: flags.emit, print: (text: string) => output.print(text) } } : {}),
            });
            await writeCompiled(compiled, flags.out);
            progress.done();
            showDiagnostics(compiled.warnings, output, false);
            if (flags.json)
              output.print(
                JSON.stringify(
                  { folder: flags.out, summary: compiled.program.summary, merged: compiled.report },
                  null,
                  2,
                ),
              );
            else output.print(describeCompiled(compiled, flags.out));
            return EXIT.ok;
          } finally {
            progress.done();
          }
        },
      ),
    );

  specOptions(program.command('merge'))
    .description('write the backbone with its adapters merged, in the layout it came in')
    .requiredOption('-o, --out <dir>', 'folder to write (replaced as a whole)')
    .action(
      guarded(output, async (path: string, flags: SpecFlags & { out: string }) => {
        const progress = startProgress();
        try {
          await requireOutput(flags.out, 'checkpoint');
          const merged = await merge(path, {
            host: nodeHost(),
            progress: progress.report,
            ...(flags.set ? { set: flags.set } : {}),
            ...(flags.model ? { model: flags.model } : {}),
          });
          await writeMerged(merged, flags.out);
          progress.done();
          showDiagnostics(merged.warnings, output, false);
          if (flags.json)
            output.print(
              JSON.stringify({ folder: flags.out, layout: merged.layout, changed: merged.changed }, null, 2),
            );
          else
            output.print(
              `${flags.out}: ${count(merged.tensors)} tensors in the ${merged.layout} layout, ${count(merged.changed.length)} of them changed by the merge`,
            );
          return EXIT.ok;
        } finally {
          progress.done();
        }
      }),
    );

  specOptions(program.command('inspect'))
    .description('print the model as a tree: shapes, sites, adapters, the names in the checkpoint')
    .option('--emit <stage>', 'print the program after a pass instead (after:<pass>, or `help`)')
    .option('--svg <file>', 'draw the model into a file')
    .action(
      guarded(output, async (path: string, flags: SpecFlags & { emit?: string; svg?: string }) => {
        if (flags.emit === 'help') {
          output.print(STAGES.map((name) => `after:${name}`).join('\n'));
          return EXIT.ok;
        }
        const inspected = await inspect(path, {
          host: nodeHost(),
          ...(flags.set ? { set: flags.set } : {}),
          ...(flags.model ? { model: flags.model } : {}),
          ...(flags.emit ? { emit: flags.emit } : {}),
        });
        showDiagnostics(inspected.warnings, output, false);
        if (flags.svg) {
          await writeFileAtomic(flags.svg, inspected.svg());
          output.note(`drew ${flags.svg}`);
        }
        if (flags.emit) output.print(inspected.emitted ?? '');
        else if (flags.json) output.print(JSON.stringify(inspected.tree, null, 2));
        else if (!flags.svg) output.print(inspected.text());
        return EXIT.ok;
      }),
    );
}
