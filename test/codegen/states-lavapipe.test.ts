import { statesSuite } from './states-suite.js';

await statesSuite('lavapipe');
