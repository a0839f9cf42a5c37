/** The command line inside of the test's process, and as a process of its own. */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { seal } from '../../runtime/program/digest.js';
import type { Program } from '../../runtime/program/program.js';
import { runCommandLine } from '../../src/cli/program.js';
import { command } from '../command.js';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const FASHION = `${ROOT}examples/fashion`;

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What `espalier <args>` prints and how it ends. */
export async function cli(...args: string[]): Promise<Ended> {
  const out: string[] = [];
  const err: string[] = [];
  const line = (text: string) => (text.endsWith('\n') ? text : `${text}\n`);
  const code = await runCommandLine(args, {
    colour: false,
    open: () => true,
    print: (text) => out.push(line(text)),
    note: (text) => err.push(line(text)),
  });
  return { code, out: out.join(''), err: err.join('') };
}

/** The same as a real process. */
export async function child(...args: string[]): Promise<Ended> {
  const process_ = spawn(process.execPath, [...(await command()), ...args], { cwd: ROOT });
  let [out, err] = ['', ''];
  process_.stdout.on('data', (data) => (out += data));
  process_.stderr.on('data', (data) => (err += data));
  return new Promise((resolve, reject) => {
    process_.on('error', reject);
    process_.on('close', (code) => resolve({ code: code ?? -1, out, err }));
  });
}

/** A refusal: the exit code, a message with this code, and nothing on standard output. */
export function expectRefused({ code, out, err }: Ended, exit: number, diagnostic: string): void {
  expect(err).toContain(`[${diagnostic}]`);
  expect(err).not.toContain('ESP0900');
  expect(out).toBe('');
  expect(code).toBe(exit);
}

/** Nothing of `name` is in the folder, under that name or a temporary one. */
export function expectNothingWritten(folder: string, name: string): void {
  expect(readdirSync(folder).filter((file) => file === name || file.endsWith('.tmp'))).toEqual([]);
}

/** Changes what a compiled folder's program.json says, as somebody would who can also compute digests. */
export async function reseal(folder: string, change: (program: Program) => Program): Promise<void> {
  const path = join(folder, 'program.json');
  const changed = change(JSON.parse(readFileSync(path, 'utf8')) as Program);
  writeFileSync(path, JSON.stringify(await seal(changed, changed.files)));
}
