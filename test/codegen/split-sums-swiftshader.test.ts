import { splitSuite } from './split-suite.js';

await splitSuite('swiftshader');
