/** A reporter: says which tests were left out and why, and fails the run where one was left out in another way than by `needs.ts`. */
import type { Reporter, TestModule, Vitest } from 'vitest/node';

export default class Skips implements Reporter {
  private filtered = false;

  onInit(vitest: Vitest): void {
    this.filtered = vitest.config.testNamePattern !== undefined;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // With `-t`, what it leaves out is left out on purpose.
    if (this.filtered) return;
    const reasons = new Map<string, number>();
    const stray: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state !== 'skipped') continue;
        const { note = '' } = result;
        if (note.startsWith('needs ')) reasons.set(note, (reasons.get(note) ?? 0) + 1);
        else stray.push(`${module.relativeModuleId}: ${test.fullName}`);
      }
    }
    for (const [note, count] of reasons) console.log(`left out: ${count} ${count === 1 ? 'test' : 'tests'}, ${note}`);
    for (const name of stray) console.error(`left out without a reason (test/needs.ts takes one): ${name}`);
    if (stray.length > 0) process.exitCode = 1;
  }
}
