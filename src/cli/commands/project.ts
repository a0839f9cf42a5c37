/** `init` and `doctor`: a first spec, and what this machine can do. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { diagnoseDevice } from '../../../runtime/node/index.js';
import { EspalierError } from '../../api/index.js';
import { nameOfFolder, specOfFolder } from '../../api/node/folders/spec-of.js';
import { diagnostic } from '../../diagnostics/catalogue.js';
import { writeFileAtomic } from '../../formats/node/writing.js';
import { type CommandOutput, guarded } from '../context.js';
import { EXIT } from '../exit.js';
import { bytes, table } from '../output.js';
import { hostFor, OFFLINE } from '../spec.js';

/** The spec that `init` writes. A test checks that it stays well formed and formatted. */
export const STARTER = `// What to adapt, how, and what to run it on. Check it with \`espalier check\`.
use std

model Starter(rank: int = 8) {
  // To start from pretrained weights, name a Hugging Face ViT folder: \`base = vit_auto() from "./folder"\`.
  base = vit_tiny_patch16()
  head = classify(base, pool: cls, classes: 10)
  in base.blocks[*] {
    adapt attn.qkv, attn.proj, mlp.fc1, mlp.fc2 with karst(rank: rank)
    prune mlp.fc1, mlp.fc2 with magnitude(sparsity: 50%, scope: global)
  }
  tune head
}

deploy Starter {
  adapters = merged
  weights = f32
  batch = [1]
}
`;

export function registerProject(program: Command, output: CommandOutput): void {
  program
    .command('init')
    .description('write a first spec, or the one that a folder amounts to')
    .argument('[dir]', 'where', '.')
    .option('--from <folder>', 'of a checkpoint, or of an adapter of `peft`')
    .option('--base <folder>', 'the base of the adapter, where its folder does not lead to it')
    .option('--force', 'write over a file that is there')
    .option(...OFFLINE)
    .action(
      guarded(
        output,
        async (dir: string, flags: { from?: string; base?: string; force?: boolean; offline?: boolean }) => {
          const { from, base, force } = flags;
          if (from === undefined && base !== undefined)
            throw new EspalierError([
              diagnostic('ESP1295', { folder: base, why: 'it is the base of no adapter: name that with --from' }),
            ]);
          const name = from === undefined ? 'starter' : nameOfFolder(from);
          const path = join(dir, `${name}.peft`);
          if (existsSync(path) && !force) throw new EspalierError([diagnostic('ESP0916', { path })]);
          const text =
            from === undefined ? STARTER : (await specOfFolder(from, { host: hostFor(flags), base, at: path })).text;
          await writeFileAtomic(path, text);
          output.print(
            `wrote ${path}\n\nNext:\n  espalier check ${path}\n  espalier inspect ${path}\n  espalier compile ${path} -o out`,
          );
          return EXIT.ok;
        },
      ),
    );

  program
    .command('doctor')
    .description('show GPU adapters, limits and features, and what to install')
    .option('--json', 'as JSON')
    .action(
      guarded(output, async (flags: { json?: boolean }) => {
        const found = await diagnoseDevice();
        const code = found.chosen ? EXIT.ok : EXIT.device;
        if (flags.json) {
          output.print(JSON.stringify(found, null, 2));
          return code;
        }
        output.print(`Node ${found.node} on ${found.platform}`);
        if (found.chosen) {
          const { chosen } = found;
          output.print(`\n${chosen.description}: ${found.why}`);
          output.print(
            table([
              ['  driver', chosen.manifest ? `${chosen.driver} (${chosen.manifest})` : chosen.driver],
              ['  subgroups', `${chosen.subgroups.min} to ${chosen.subgroups.max} lanes`],
              ['  features', chosen.features.join(', ')],
            ]),
          );
          const limits = Object.entries(chosen.limits).map(([k, v]) => [
            `    ${k}`,
            /Size$/.test(k) ? bytes(v) : String(v),
          ]);
          output.print(`  limits\n${table(limits)}`);
          for (const other of found.others)
            output.print(`also here: ${other.description} (ESPALIER_DRIVER=${other.driver})`);
        } else output.print(`\n${found.why}`);
        for (const { driver, outcome } of found.attempts) output.print(`tried ${driver}: ${outcome}`);
        if (found.install) output.print(`\n${found.install}`);
        return code;
      }),
    );
}
