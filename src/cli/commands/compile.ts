/** `compile`, `merge`, `inspect`: from a spec to what can be shipped, and every stage between. */
import { type Command, Option } from 'commander';
import { STAGES } from '../../api/compile.js';
import { compile, inspect, merge } from '../../api/node/spec.js';
import { requireOutput, writeCompiled, writeMerged } from '../../api/node/write.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { type CommandOutput, guarded, numberFor, oneOf, showDiagnostics } from '../context.js';
import { EXIT } from '../exit.js';
import { count, table } from '../output.js';
import { asJson, asked, type SpecFlags, specOptions, withProgress } from '../spec.js';
import { describeCompiled, mergedRows, roundingRows, zeroRows } from '../summary.js';

interface CompileFlags extends SpecFlags {
  readonly out: string;
  readonly adapters?: string;
  readonly weights?: string;
  readonly prepare?: string;
  readonly batch?: string;
  readonly emit?: string;
  readonly golden: string | boolean;
}

const batchSize = (text: string) => numberFor('--batch', text, { from: 1, to: 4096, whole: true });

async function compileCommand(path: string, flags: CompileFlags, output: CommandOutput): Promise<void> {
  const adapters = oneOf('--adapters', flags.adapters, ['merged', 'factored', 'auto'] as const);
  const weights = oneOf('--weights', flags.weights, ['f32', 'f16'] as const);
  const prepare = oneOf('--prepare', flags.prepare, ['cpu', 'gpu', 'load'] as const);
  const golden =
    typeof flags.golden === 'string' ? oneOf('--golden', flags.golden, ['f64', 'gpu'] as const) : flags.golden;
  const compiled = await withProgress(async (progress) => {
    const before = await requireOutput(flags.out, 'program');
    const result = await compile(path, {
      ...asked(flags, progress),
      ...(golden === undefined ? {} : { golden }),
      ...(adapters ? { adapters } : {}),
      ...(weights ? { weights } : {}),
      ...(prepare ? { prepare } : {}),
      ...(flags.batch === undefined ? {} : { batch: flags.batch.split(',').map(batchSize) }),
      ...(flags.emit ? { emit: { stage: flags.emit, print: (text: string) => output.print(text) } } : {}),
    });
    await writeCompiled(result, flags.out, before);
    return result;
  });
  const { program, report, priced, rounding, check, warnings } = compiled;
  if (flags.json) {
    output.print(
      asJson(
        {
          folder: flags.out,
          summary: program.summary,
          merged: report,
          ...(priced ? { priced } : {}),
          ...(rounding ? { rounding } : {}),
          check,
        },
        warnings,
      ),
    );
    return;
  }
  showDiagnostics(warnings, output, false);
  output.print(describeCompiled(compiled, flags.out));
}

async function mergeCommand(path: string, flags: SpecFlags & { out: string }, output: CommandOutput): Promise<void> {
  const { layout, tensors, changed, zeros, rounding, merged, warnings } = await withProgress(async (progress) => {
    const before = await requireOutput(flags.out, 'checkpoint');
    const result = await merge(path, asked(flags, progress));
    await writeMerged(result, flags.out, before);
    return result;
  });
  if (flags.json) {
    const result = { folder: flags.out, layout, tensors, changed, ...(zeros ? { zeros } : {}), rounding, merged };
    output.print(asJson(result, warnings));
    return;
  }
  showDiagnostics(warnings, output, false);
  const some = `${count(changed.length)} of them changed by the merge`;
  output.print(`${flags.out}: ${count(tensors)} tensors in the ${layout} layout, ${some}`);
  const rows = [...mergedRows(merged), ...roundingRows(rounding), ...(zeros ? zeroRows(zeros) : [])];
  if (rows.length > 0) output.print(table(rows).replaceAll(/^/gm, '  '));
}

async function inspectCommand(
  path: string,
  flags: SpecFlags & { emit?: string; svg?: string },
  output: CommandOutput,
): Promise<void> {
  if (flags.emit === 'help') {
    output.print(STAGES.map((name) => `after:${name}`).join('\n'));
    return;
  }
  const inspected = await withProgress((progress) =>
    inspect(path, { ...asked(flags, progress), ...(flags.emit ? { emit: flags.emit } : {}) }),
  );
  showDiagnostics(inspected.warnings, output, false);
  if (flags.svg) {
    await writeFileAtomic(flags.svg, inspected.svg());
    output.note(`drew ${flags.svg}`);
  }
  if (flags.emit) output.print(inspected.emitted ?? '');
  else if (flags.json) output.print(JSON.stringify(inspected.tree, null, 2));
  else if (!flags.svg) output.print(inspected.text());
}

export function registerCompile(program: Command, output: CommandOutput): void {
  specOptions(program.command('compile'))
    .description('compile a spec into a folder that runs on any WebGPU')
    .requiredOption('-o, --out <dir>', 'folder to write; an earlier output in it is replaced')
    .option('--adapters <mode>', 'merged, factored or auto; instead of what `deploy` says')
    .option('--weights <type>', 'f32 or f16 storage; instead of what `deploy` says')
    .option(
      '--prepare <where>',
      'merge on the cpu, on the gpu here, or at each load of the program, where adapters can then be replaced',
    )
    .option(
      '--batch <sizes>',
      'the most images of a pass, such as 8 (of a list, the largest); instead of what `deploy` says',
    )
    .addOption(
      new Option('--emit <stage>', 'print the program after a pass, such as after:reparameterize').conflicts('json'),
    )
    .option('--golden <how>', 'compute the golden output by f64 or gpu; otherwise by what costs less')
    .option('--no-golden', 'leave out the golden input and output')
    .action(
      guarded(output, async (path: string, flags: CompileFlags) => {
        await compileCommand(path, flags, output);
        return EXIT.ok;
      }),
    );

  specOptions(program.command('merge'))
    .description('write the backbone with its adapters merged, in the layout it came in')
    .requiredOption('-o, --out <dir>', 'folder to write; an earlier output in it is replaced')
    .action(
      guarded(output, async (path: string, flags: SpecFlags & { out: string }) => {
        await mergeCommand(path, flags, output);
        return EXIT.ok;
      }),
    );

  specOptions(program.command('inspect'))
    .description('print the model as a tree: shapes, sites, adapters, the names in the checkpoint')
    .addOption(
      new Option('--emit <stage>', 'print the program after a pass instead (after:<pass>, or `help`)').conflicts(
        'json',
      ),
    )
    .option('--svg <file>', 'draw the model into a file')
    .action(
      guarded(output, async (path: string, flags: SpecFlags & { emit?: string; svg?: string }) => {
        await inspectCommand(path, flags, output);
        return EXIT.ok;
      }),
    );
}
