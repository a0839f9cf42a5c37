import { limitSuite } from './limit-suite.js';

await limitSuite('lavapipe');
