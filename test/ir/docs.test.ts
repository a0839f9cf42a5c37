/** docs/operators.md is what the table says. */
import { expect, test } from 'vitest';
import { describeOps } from '../../src/ir/ops/describe.js';
import { OP_NAMES } from '../../src/ir/ops/index.js';
import { expectFile } from '../golden.js';

test('the operator reference is fresh', () => {
  expectFile('docs/operators.md', describeOps());
});

test('every operator is in it once', () => {
  const rows = describeOps()
    .split('\n')
    .flatMap((line) => /^\| `(\w+)` \|/.exec(line)?.[1] ?? []);
  expect(rows.sort()).toEqual([...OP_NAMES].sort());
});
