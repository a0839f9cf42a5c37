/** Loads a program, runs and disposes of it, and then just ends: a process of its own for node.test.ts. */
import { load } from '../../runtime/node/index.js';

const session = await load(process.argv[2] ?? '');
const { outputs } = await session.run({ tensors: { x: Float32Array.from([1, 2, 3, 4]) } });
session.dispose();
console.log(JSON.stringify(Array.from(outputs.logits ?? [])));
