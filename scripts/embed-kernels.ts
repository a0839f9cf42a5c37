/**
 * Writes runtime/images/preprocess.generated.ts: the text of the kernels of src/codegen/preprocess.ts, since the runtime has no compiler in it. Run it after
 * a change of these or of what prints kernels: `npx tsx scripts/embed-kernels.ts`. A test checks that the text is fresh.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explicitAddresses } from '../src/codegen/kernel/addresses.js';
import { printKernel } from '../src/codegen/kernel/print.js';
import type { Kernel } from '../src/codegen/kernel/types.js';
import { FINISH_PARAMS, finishKernel, RESAMPLE_PARAMS, resampleKernel, THREADS } from '../src/codegen/preprocess.js';
import { BASELINE } from '../src/codegen/schedule.js';

function entry(name: string, params: readonly string[], kernel: Kernel): string {
  const code = printKernel(explicitAddresses([kernel], BASELINE)[0]!);
  const list = params.map((p) => `    '${p}',\n`).join('');
  return `export const ${name} = {\n  params: [\n${list}  ],\n  code: \`${code}\`,\n} as const;\n`;
}

/** The generated file's text. */
export function generate(): string {
  const any = { source: 1, table: 1, result: 1 };
  return [
    `/** Generated from src/codegen/preprocess.ts by scripts/embed-kernels.ts; do not edit. */\nexport const THREADS = ${THREADS};\n`,
    entry('RESAMPLE', RESAMPLE_PARAMS, resampleKernel(any)),
    entry('FINISH', FINISH_PARAMS, finishKernel(any)),
  ].join('\n');
}

export const target = join(fileURLToPath(new URL('..', import.meta.url)), 'runtime/images/preprocess.generated.ts');

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(target, generate());
