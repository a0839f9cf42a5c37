/**
 * Runs before every test file: in CI, property tests draw the same cases every time, so that a run is red because of a change. Elsewhere they
 * look at new cases each time; what they find there is printed with its seed.
 */
import fc from 'fast-check';

if (process.env.CI) fc.configureGlobal({ seed: 20261122 });
