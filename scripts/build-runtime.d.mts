/** Types of build-runtime.mjs, for tests. */
export function bundleRuntime(): Promise<string>;
export function buildRuntime(): Promise<string>;
export function bundled(entry: string): Promise<string>;
