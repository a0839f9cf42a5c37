/** Compiling to a folder of the test's own and running what was written. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { openDevice } from '../../runtime/node/index.js';
import type { Compiled, CompileOptions } from '../../src/api/compile.js';
import { compile, nodeHost, openProgram, type Session, type Spec, writeCompiled } from '../../src/api/index.js';

export const host = nodeHost();

/** A folder that is removed after this file's tests. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-e2e-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function compileTo(
  folder: string,
  spec: Spec,
  options: Omit<CompileOptions, 'host'> = {},
): Promise<Compiled> {
  const compiled = await compile(spec, { host, ...options });
  await writeCompiled(compiled, folder);
  return compiled;
}

export async function withProgram<T>(folder: string, use: (session: Session) => Promise<T>): Promise<T> {
  const session = await openProgram(folder);
  try {
    return await use(session);
  } finally {
    session.dispose();
  }
}

/** The driver that tests run on here. */
export async function driverName(): Promise<string> {
  const { driver, release } = await openDevice();
  release();
  return driver.name;
}

export function copyFolder(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
}
