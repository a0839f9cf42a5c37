import { sparseSuite } from './sparse-suite.js';

await sparseSuite('swiftshader');
