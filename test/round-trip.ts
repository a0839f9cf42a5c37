/**
 * Runs before every test file: whatever program a test elaborates, optimises (after each pass) or interprets must print, read back as
 * an equal one, of whose values and parameters the same is known. So the text form is held to every program in the tests, not to chosen ones.
 */
import { vi } from 'vitest';
import type { Module } from '../src/ir/types.js';
import { verifyModule } from '../src/ir/verify.js';
import { equalModules } from './equal.js';
import { knownOf } from './ir/known.js';

const seen = vi.hoisted(() => new WeakSet<object>());

/** @throws Error when the text of the module does not mean the module */
async function holdTo(): Promise<(module: Module) => void> {
  const { parseModule, printModule } =
    await vi.importActual<typeof import('../src/ir/text/print.js')>('../src/ir/text/print.js');
  return (module) => {
    if (seen.has(module)) return;
    seen.add(module);
    // Some tests break a program on purpose.
    if (verifyModule(module).length > 0) return;
    const text = printModule(module, { places: true });
    // Long tables are left out of the text by default; their elements are told beside it.
    const read = parseModule(text, { data: (name) => module.params.get(name)!.data! });
    if (equalModules(read, module) && knownOf(read) === knownOf(module)) return;
    throw new Error(`the IR of @${module.name} does not read back as it is:\n${text}`);
  };
}

vi.mock(import('../src/dsl/elaborate.js'), async (original) => {
  const [actual, check] = [await original(), await holdTo()];
  return {
    ...actual,
    elaborate: (...args) => {
      const made = actual.elaborate(...args);
      if (made.value) check(made.value.module);
      return made;
    },
  };
});

vi.mock(import('../src/passes/index.js'), async (original) => {
  const [actual, check] = [await original(), await holdTo()];
  return {
    ...actual,
    optimize: (module, options) => {
      check(module);
      const after: typeof options.after = (pass, made) => {
        check(made);
        options.after?.(pass, made);
      };
      return actual.optimize(module, { ...options, after });
    },
  };
});

vi.mock(import('../src/ir/run/interpret.js'), async (original) => {
  const [actual, check] = [await original(), await holdTo()];
  return {
    ...actual,
    interpret: (module, ...rest) => {
      check(module);
      return actual.interpret(module, ...rest);
    },
  };
});
