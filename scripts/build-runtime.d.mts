/** Types of build-runtime.mjs, for tests. */
export function bundleRuntime(): Promise<string>;
export function buildRuntime(): Promise<string>;
export function bundled(entry: string): Promise<string>;
export function bundledInParts(
  entry: string,
): Promise<Readonly<Record<'first' | 'later', readonly { readonly text: string }[]>>>;
