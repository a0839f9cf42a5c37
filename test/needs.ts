/**
 * The one way for a test to be left out: it needs something that a machine may lack, and says so. On a machine that has to have it
 * (`ESPALIER_REQUIRE`, which `.ci/run` sets) the test fails instead. `skips.ts` counts those left out, and refuses any that did not come here.
 */
import { describe, it, type TestContext } from 'vitest';

/** A driver, what a device may lack, a system, a user who is not root. */
export type Need = 'lavapipe' | 'swiftshader' | 'subgroups' | 'unix' | 'linux' | 'user';

/** Goes on only where `there` holds. @param why what was found instead, where there is more to say */
export function needs(context: TestContext, need: Need, there: boolean, why = 'not on this machine'): void {
  if (there) return;
  if ((process.env.ESPALIER_REQUIRE ?? '').split(/\s+/).includes(need))
    throw new Error(`this machine has to have ${need}, or the test says nothing: ${why}`);
  context.skip(`needs ${need}: ${why}`);
}

/** A suite of one test that is left out, in place of those that need what is not there. */
export function suiteThatNeeds(need: Need, why: string): void {
  describe(need, () => {
    it(`needs ${need}`, (context) => needs(context, need, false, why));
  });
}
