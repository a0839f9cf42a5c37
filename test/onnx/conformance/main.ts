/**
 * Runs ONNX's own cases: `npm run conformance`. It prints by operator how many pass of those in scope, names the others with the reason, and says what is out of scope by which
 * rule. Which cases are in scope onnxruntime said (test/reference/onnx_cases.py); they stand in scope.json.
 *
 *   npm run conformance -- [--only resize] [--gpu] [--bundle]
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { MOST_BYTES, sizeOfFiles, writeBundle } from './bundle.js';
import { caseOf, type Files, filesIn, type Outcome, outcome, type Run } from './cases.js';
import { fetchCases } from './fetch.js';

interface Scope {
  readonly in: readonly string[];
  readonly out: Readonly<Record<string, readonly string[]>>;
}

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    gpu: { type: 'boolean', default: false },
    bundle: { type: 'boolean', default: false },
    python: { type: 'string' },
  },
});
const root = fileURLToPath(new URL('../../..', import.meta.url));
const cache = process.env.ESPALIER_ONNX_CASES ?? join(root, 'out/onnx-cases');
fetchCases(cache, values.python);
const scopes = JSON.parse(readFileSync(new URL('./scope.json', import.meta.url), 'utf8')) as Record<string, Scope>;
const by: Run | undefined = values.gpu ? (await import('./on-gpu.js')).onGpu : undefined;

/** The operator that a case is of: what its graph has one of, or the first of several. */
function operatorOf(name: string, files: Files | undefined): string {
  if (!files) return '(no case)';
  try {
    const ops = [...new Set(caseOf(name, files).model.graph.nodes.map((n) => n.op))];
    return ops.length === 1 ? ops[0]! : `composed of several`;
  } catch {
    return '(not read)';
  }
}

/** What cases of one kind have in common: operators, opset and attributes. */
function kindOf(name: string, files: Files): string {
  const { graph, opsets } = caseOf(name, files).model;
  const node = (n: (typeof graph.nodes)[number]) =>
    `${n.op}(${[...n.attributes.keys()].sort().join()}) ${n.inputs.length}`;
  return graph.nodes.length > 1 ? graph.nodes.map((n) => n.op).join() : `${node(graph.nodes[0]!)} ${opsets.get('')}`;
}

const bundle = new Map<string, { readonly name: string; readonly files: Files }>();
for (const [source, scope] of Object.entries(scopes)) {
  const groups = new Map<string, { passed: number; all: number }>();
  const others: string[] = [];
  const kinds: Record<Outcome['kind'], number> = { passed: 0, refused: 0, differs: 0, crashed: 0 };
  let bound = 0;
  for (const name of scope.in) {
    if (values.only && !name.includes(values.only)) continue;
    const folder = join(cache, source, name);
    const files = existsSync(folder) ? filesIn(folder) : undefined;
    const found: Outcome = files
      ? await outcome(() => caseOf(name, files), by)
      : { kind: 'refused', why: 'the case is not in the cache' };
    kinds[found.kind]++;
    const operator = operatorOf(name, files);
    const group = groups.get(operator) ?? { passed: 0, all: 0 };
    groups.set(operator, group);
    group.all++;
    if (found.kind !== 'passed') {
      const lines = found.why.split('\n').slice(0, found.kind === 'crashed' ? 4 : 1);
      others.push(`${name}  ${found.kind}: ${lines.join(' | ')}`);
      continue;
    }
    group.passed++;
    if (found.bound > 0) bound++;
    if (!values.bundle || sizeOfFiles(files!) > MOST_BYTES) continue;
    const kind = kindOf(name, files!);
    const smaller = bundle.get(kind);
    if (!smaller || sizeOfFiles(smaller.files) > sizeOfFiles(files!)) bundle.set(kind, { name, files: files! });
  }
  const all = Object.values(kinds).reduce((a, b) => a + b, 0);
  console.log(source);
  for (const [operator, { passed, all: of }] of [...groups].sort())
    console.log(`  ${operator.padEnd(28)} ${passed} / ${of}`);
  if (others.length > 0) console.log('  not passed:');
  for (const line of others) console.log(`    ${line}`);
  const share = all === 0 ? 0 : (100 * kinds.passed) / all;
  const { passed, refused, differs, crashed } = kinds;
  console.log(
    `  in scope ${all}: passed ${passed} (${share.toFixed(1)} %), refused ${refused}, differ ${differs}, crashed ${crashed}; of those that passed ${bound} have operands that are constants`,
  );
  for (const [why, names] of Object.entries(scope.out)) console.log(`  out of scope: ${why}: ${names.length}`);
}
if (values.bundle) {
  const cases = new Map([...bundle.values()].map(({ name, files }) => [name, files]));
  console.log(`${cases.size} cases in the bundle, ${writeBundle(cases)} bytes`);
}
