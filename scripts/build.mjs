/** `npm run build`: JavaScript and declarations of src and runtime into dist, and the runtime's bundle beside them. */
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildRuntime } from './build-runtime.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' });
// Declarations name WebGPU's types, which a project that installs the package does not have in its own configuration.
for (const entry of ['dist/src/api/index.d.ts', 'dist/src/api/browser/index.d.ts', 'dist/runtime/index.d.ts']) {
  const path = join(root, entry);
  writeFileSync(path, `/// <reference types="@webgpu/types" />\n${readFileSync(path, 'utf8')}`);
}
await buildRuntime();
chmodSync(join(root, 'dist/src/cli/main.js'), 0o755);
