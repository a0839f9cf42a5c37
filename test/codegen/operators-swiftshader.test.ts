import { operatorSuite } from './suite.js';

await operatorSuite('swiftshader');
