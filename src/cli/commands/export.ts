/** `export`: adapters for the Python library peft, or the whole model as an ONNX file. */
import type { Command } from 'commander';
import { exportAdapters, exportOnnx } from '../../api/node/spec.js';
import { requireOnnxOutput, requireOutput, writeAdapters, writeOnnx } from '../../api/node/write.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { WRITTEN } from '../../onnx/export/graph.js';
import { type CommandOutput, guarded, numberFor, oneOf, showDiagnostics } from '../context.js';
import { EXIT } from '../exit.js';
import { count, table } from '../output.js';
import { asJson, asked, type SpecFlags, specOptions, withProgress } from '../spec.js';
import { fates, layersText, zeroRows } from '../summary.js';

interface ExportFlags extends SpecFlags {
  readonly out?: string;
  readonly asStored?: boolean;
  readonly onnx?: string;
  readonly opset?: string;
  readonly adapters?: string;
  readonly external?: boolean;
  readonly picture?: string;
  readonly layout?: string;
}

/** `480x640`, as height and width. */
function pictureOf(text: string, layout: 'nhwc' | 'nchw' | undefined) {
  const [, height, width] = /^(\d{1,5})x(\d{1,5})$/.exec(text) ?? [];
  if (!Number(height) || !Number(width)) {
    throw new EspalierError([
      diagnostic('ESP0912', { option: '--picture', value: text, allowed: ['HEIGHTxWIDTH, such as 480x640'] }),
    ]);
  }
  return { height: Number(height), width: Number(width), ...(layout ? { layout } : {}) };
}

async function onnxCommand(path: string, file: string, flags: ExportFlags, output: CommandOutput): Promise<void> {
  const adapters = oneOf('--adapters', flags.adapters, ['merged', 'factored', 'auto'] as const);
  const layout = oneOf('--layout', flags.layout, ['nhwc', 'nchw'] as const);
  if (layout && flags.picture === undefined) throw misused('--layout says how the colors of a --picture lie');
  const range = { from: WRITTEN.first, to: WRITTEN.last, whole: true };
  const [exported, written] = await withProgress(async (progress) => {
    await requireOnnxOutput(file);
    const result = await exportOnnx(path, {
      ...asked(flags, progress),
      ...(flags.opset === undefined ? {} : { opset: numberFor('--opset', flags.opset, range) }),
      ...(adapters ? { adapters } : {}),
      ...(flags.picture === undefined ? {} : { picture: pictureOf(flags.picture, layout) }),
    });
    return [result, await writeOnnx(result, file, flags.external ? { external: true } : {})] as const;
  });
  const { model, report, check, zeros, warnings } = exported;
  const { nodes, initialisers, inputs, outputs } = model.graph;
  if (flags.json) {
    const said = { files: written, opset: model.opsets.get(''), nodes: nodes.length, weights: initialisers.size };
    output.print(asJson({ ...said, inputs, outputs, merged: report, check, ...(zeros ? { zeros } : {}) }, warnings));
    return;
  }
  showDiagnostics(warnings, output, false);
  const shown = ({ name, dtype, shape = [] }: (typeof inputs)[number]) => `${name} ${dtype} [${shape.join(', ')}]`;
  const rows: [string, string][] = [
    ['takes', inputs.map(shown).join(', ')],
    ['gives', outputs.map(shown).join(', ')],
    ['graph', `${count(nodes.length)} nodes of opset ${model.opsets.get('')}, ${count(initialisers.size)} weights`],
    ...(written.length > 1 ? [['weights', written[0]!] as [string, string]] : []),
    ...fates(report).map((line, i): [string, string] => [i === 0 ? 'adapters' : '', line]),
    ['check', layersText(check)],
    ...(zeros ? zeroRows(zeros) : []),
  ];
  output.print(`${file}\n${table(rows).replaceAll(/^/gm, '  ')}`);
}

const misused = (problem: string) => new EspalierError([diagnostic('ESP0922', { problem, command: 'export' })]);

/** Options that only an ONNX file has. */
const ONNX_ONLY = ['opset', 'adapters', 'external', 'picture', 'layout'] as const;

async function exportCommand(path: string, flags: ExportFlags, output: CommandOutput): Promise<void> {
  if (flags.onnx !== undefined) {
    if (flags.out !== undefined) throw misused('--onnx writes a file and --out a folder of adapters: give one of them');
    if (flags.asStored) throw misused('--as-stored is of a folder of adapters, not of --onnx');
    return onnxCommand(path, flags.onnx, flags, output);
  }
  const stray = ONNX_ONLY.find((name) => flags[name] !== undefined);
  if (stray) throw misused(`--${stray} is of an ONNX file: give --onnx FILE`);
  if (flags.out === undefined) throw misused('give --out DIR for a folder of adapters, or --onnx FILE');
  return adaptersCommand(path, { ...flags, out: flags.out }, output);
}

async function adaptersCommand(
  path: string,
  flags: ExportFlags & { readonly out: string },
  output: CommandOutput,
): Promise<void> {
  const { adapted, saved, warnings } = await withProgress(async (progress) => {
    const before = await requireOutput(flags.out, 'adapters');
    const result = await exportAdapters(path, { ...asked(flags, progress), asStored: flags.asStored ?? false });
    await writeAdapters(result, flags.out, before);
    return result;
  });
  if (flags.json) {
    output.print(asJson({ folder: flags.out, adapted, saved }, warnings));
    return;
  }
  showDiagnostics(warnings, output, false);
  const whole = saved.length > 0 ? `, and ${saved.join(', ')} as a whole` : '';
  output.print(`${flags.out}: adapters of ${count(adapted.length)} modules, such as ${adapted[0]!}${whole}`);
}

export function registerExport(program: Command, output: CommandOutput): void {
  specOptions(program.command('export'))
    .description(
      'write LoRA or DoRA adapters, and what was trained beside them, as a folder of the Python library peft; or the whole model as an ONNX file',
    )
    .option('-o, --out <dir>', 'folder of adapters to write; an earlier output in it is replaced')
    .option('--onnx <file>', 'file of the model to write, .onnx; an earlier one is replaced')
    .option('--opset <version>', "version of ONNX's operators, 13 to 21 (17 if nothing is said)")
    .option('--adapters <mode>', 'in the ONNX file: merged, factored or auto; instead of what `deploy` says')
    .option('--external', 'weights in a file beside the ONNX file, FILE.data; where they are more than 2 GB, always')
    .option('--picture <size>', 'the ONNX file takes pictures of 8 bits and this size, 480x640, and preprocesses them')
    .option('--layout <order>', 'how these pictures lie: nhwc (if nothing is said) or nchw')
    .option('--as-stored', "call modules as the base's file does, where transformers 5 calls them something else")
    .action(
      guarded(output, async (path: string, flags: ExportFlags) => {
        await exportCommand(path, flags, output);
        return EXIT.ok;
      }),
    );
}
