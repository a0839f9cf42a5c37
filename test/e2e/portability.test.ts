/**
 * A folder that was compiled here runs elsewhere and gives the same numbers: on SwiftShader in a process of its own, and through its own
 * host module in a page under `default-src 'self'`. A kernel that is broken is caught by the golden input.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { fileEntry, seal } from '../../runtime/program/digest.js';
import type { Program } from '../../runtime/program/program.js';
import { relativeError } from '../../src/api/golden/rows.js';
import { openProgram } from '../../src/api/index.js';
import { adapted, random } from '../api/support.js';
import { launchChromium, runPage } from '../browser.js';
import { compileTo, copyFolder, scratch, withProgram } from './support.js';

// Falling back compiles every portable kernel, which takes lavapipe a minute on a busy machine without its cache.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const folder = scratch();
const program = join(folder, 'program');
const pixels = Float32Array.from(random('pixels', [2, 3, 24, 24]).data);
let here: number[];

beforeAll(async () => {
  const spec = await adapted(
    folder,
    'vit-shards',
    'base.blocks[*].{attn.qkv, mlp.fc1} with karst(kernels: 2, rank: 2)',
  );
  await compileTo(program, spec, { batch: [1] });
  here = await withProgram(program, async (session) => [
    ...(await session.run({ tensors: { pixels } })).outputs.logits!,
  ]);
  expect(here).toHaveLength(10);
});

test('SwiftShader gives the same logits', async () => {
  const script = `
    import { load } from './runtime/node/index.ts';
    const session = await load(process.argv[1]);
    const pixels = Float32Array.from(JSON.parse(process.argv[2]));
    const { outputs } = await session.run({ tensors: { pixels } });
    console.log(JSON.stringify({ logits: [...outputs.logits], variants: session.variants.map((v) => v.variant) }));
    session.dispose();`;
  const { VK_ICD_FILENAMES: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script, `${program}/`, JSON.stringify([...pixels])],
    { cwd: new URL('../..', import.meta.url), env: { ...env, ESPALIER_DRIVER: 'swiftshader' } },
  );
  const { logits, variants } = JSON.parse(stdout) as { logits: number[]; variants: string[] };
  expect(relativeError(here, logits)).toBeLessThan(1e-5);
  // It has subgroups of 4 and nothing else, so nothing made for another size may be picked.
  expect(variants.filter((v) => !/^portable$|4$/.test(v))).toEqual([]);
});

describe('in headless Chromium, under its own index.js', () => {
  let browser: Awaited<ReturnType<typeof launchChromium>>;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  test('gives the same logits, and names the class', async () => {
    const module = readFileSync(join(program, 'index.js'), 'utf8');
    const exported = [...module.matchAll(/export (?:const|(?:async )?function) (\w+)|export \{([^}]*)\}/g)].map(
      (m) => m[1] ?? m[2],
    );
    expect(exported.join()).toContain('load');
    const page = `
      import { load } from '/program/index.js';
      globalThis.result = (async () => {
        const session = await load();
        const { outputs } = await session.run({ tensors: { pixels: Float32Array.from(${JSON.stringify([...pixels])}) } });
        const { classes } = await session.run({ tensors: { pixels: Float32Array.from(${JSON.stringify([...pixels.slice(0, 1728)])}) } });
        session.dispose();
        return { logits: [...outputs.logits], label: classes[0].label };
      })();`;
    const found = (await runPage(browser, { files: { '/page.js': page }, folders: { '/program/': program } })) as {
      logits: number[];
      label: string;
    };
    expect(relativeError(here, found.logits)).toBeLessThan(1e-5);
    const first = here.slice(0, 5);
    expect(found.label).toBe(`class ${first.indexOf(Math.max(...first))}`);
  });
});

describe('the golden input', () => {
  /** The folder with one term of one kernel's sum subtracted instead of added, in those of its variants that `choose` takes. */
  async function broken(name: string, choose: (variant: string) => boolean): Promise<string> {
    const path = join(folder, name);
    copyFolder(program, path);
    const { files, digest: _, ...rest } = JSON.parse(readFileSync(join(path, 'program.json'), 'utf8')) as Program;
    const kernel = rest.kernels.find((k) => k.archetype === 'contract' && k.name.includes('gelu'))!;
    for (const { file } of kernel.variants.filter((v) => choose(v.name))) {
      const text = readFileSync(join(path, file), 'utf8');
      const changed = text.replace(/fma\(/, 'fma(-');
      expect(changed, file).not.toBe(text);
      writeFileSync(join(path, file), changed);
    }
    // As if it had been compiled to this: a file that was only changed would be refused before it runs.
    const entries = await Promise.all(files.map((f) => fileEntry(f.name, readFileSync(join(path, f.name)))));
    writeFileSync(join(path, 'program.json'), JSON.stringify(await seal(rest, entries)));
    return path;
  }

  test('catches a broken kernel', async () => {
    const path = await broken('broken', () => true);
    expect(readdirSync(path).length).toBe(readdirSync(program).length);
    await expect(withProgram(path, async () => 'loaded')).rejects.toMatchObject({
      name: 'GoldenMismatchError',
      code: 'ESP0706',
    });
  });

  test('falls back to the portable variants where only the others are broken', async () => {
    const path = await broken('half-broken', (variant) => variant !== 'portable');
    await withProgram(path, async (session) => {
      const { outputs } = await session.run({ tensors: { pixels } });
      expect(relativeError(here, outputs.logits!)).toBeLessThan(1e-5);
      // Where this driver picks the portable variant anyway, there was nothing to fall back from.
      const own = await openProgram(program, { golden: false });
      const picked = own.variants.some((v) => v.kernel.includes('gelu') && v.variant !== 'portable');
      own.dispose();
      expect(session.usesFallback).toBe(picked);
    });
  });
});
