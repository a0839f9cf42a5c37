/** Brings ONNX's own cases into the cache: Debian's `libonnx-testdata` (to opset 17) and those of PyPI's `onnx` for 18 to 21. Nothing that is there is fetched again. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../reference/onnx_cases.py', import.meta.url));

const run = (command: string, args: readonly string[], cwd: string): void => {
  execFileSync(command, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
};

/** @param python one that has the package `onnx`; without it a virtual environment is made */
export function fetchCases(cache: string, python: string | undefined): void {
  mkdirSync(cache, { recursive: true });
  const libonnx = join(cache, 'libonnx');
  if (!existsSync(libonnx)) {
    console.error('fetching libonnx-testdata');
    const work = join(cache, 'work');
    rmSync(work, { recursive: true, force: true });
    mkdirSync(work);
    run('apt-get', ['download', 'libonnx-testdata'], work);
    const deb = readdirSync(work).find((f) => f.endsWith('.deb'))!;
    run('dpkg-deb', ['-x', deb, 'unpacked'], work);
    renameSync(join(work, 'unpacked/usr/share/libonnx-testdata/data/node'), libonnx);
    rmSync(work, { recursive: true });
  }
  const onnx = join(cache, 'onnx');
  if (existsSync(onnx)) return;
  let interpreter = python;
  if (interpreter === undefined) {
    console.error('installing the Python package onnx');
    const venv = join(cache, 'venv');
    if (!existsSync(venv)) run('python3', ['-m', 'venv', venv], cache);
    interpreter = join(venv, 'bin/python');
    run(interpreter, ['-m', 'pip', 'install', '--quiet', 'onnx'], cache);
  }
  run(interpreter, [SCRIPT, 'write', join(cache, 'onnx.new')], cache);
  renameSync(join(cache, 'onnx.new'), onnx);
}
