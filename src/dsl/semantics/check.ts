/** Names of every declaration, used or not: checked before anything is made. */
import type { Library } from './library.js';
import type { Report } from './report.js';

export function checkNames(_library: Library, _report: Report): void {}
