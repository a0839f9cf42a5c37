/** `import`: an ONNX file as a spec. */
import type { Command } from 'commander';
import { importModel, parseShape, writeImported } from '../../api/index.js';
import { type CommandOutput, guarded } from '../context.js';
import { EXIT } from '../exit.js';
import { count } from '../output.js';
import { hostFor, OFFLINE, withProgress } from '../spec.js';

interface ImportFlags {
  readonly output: string;
  readonly shape: readonly string[];
  readonly result: readonly string[];
  readonly offline?: boolean;
}

const collect = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export function registerOnnx(program: Command, output: CommandOutput): void {
  program
    .command('import')
    .description('write the spec that an ONNX file amounts to, and its weights')
    .argument('<model>', 'an .onnx file')
    .option('-o, --output <dir>', 'where', '.')
    .option('--shape <name=sizes>', 'sizes of an input: "x = b, 3, 224, 224"', collect, [])
    .option('--result <name>', 'an output that is wanted; all of them if none is named', collect, [])
    .option(...OFFLINE)
    .action(
      guarded(output, async (path: string, flags: ImportFlags) => {
        const shapes = Object.fromEntries(flags.shape.map(parseShape));
        const model = await withProgress((progress) =>
          importModel(path, { host: hostFor(flags, progress), shapes, outputs: flags.result }),
        );
        try {
          const { spec, weights } = await writeImported(model, flags.output);
          const raised = [...model.raised].map(([rule, times]) => `${count(times)} ${rule}`);
          output.print(
            `${path} -> ${spec}, ${weights}\n  parameters  ${count(model.params.length)} tensors\n  recognised  ${raised.join(', ') || 'nothing'}`,
          );
          output.print(`\nNext:\n  espalier inspect ${spec}\n  espalier compile ${spec} -o out`);
          return EXIT.ok;
        } finally {
          await model.close();
        }
      }),
    );
}
