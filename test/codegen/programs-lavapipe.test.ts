import { programSuite } from './suite.js';

await programSuite('lavapipe');
