/** docs/operators.md is what the table says. `npx vitest run test/ir -u` writes it again. */
import { expect, test } from 'vitest';
import { describeOps } from '../../src/ir/ops/describe.js';
import { OP_NAMES } from '../../src/ir/ops/index.js';

test('the operator reference is fresh', async () => {
  await expect(describeOps()).toMatchFileSnapshot('../../docs/operators.md');
});

test('every operator is in it once', () => {
  const rows = describeOps()
    .split('\n')
    .flatMap((line) => /^\| `(\w+)` \|/.exec(line)?.[1] ?? []);
  expect(rows.sort()).toEqual([...OP_NAMES].sort());
});
