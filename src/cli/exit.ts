/** Exit codes; documented in the README and in `espalier help`. */
export const EXIT = {
  ok: 0,
  /** The input is wrong: a spec, weights, an image. */
  input: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No usable GPU, or it failed. */
  device: 3,
  /** `fmt --check` found files to format; `eval --min` was not reached. */
  differs: 4,
  /** `run`, `eval` and `count`: some images could not be read; the others were run. */
  skipped: 5,
  /** `train`: the GPU was lost while it trained; the run goes on with `--resume`. */
  lost: 6,
  /** A fault in Espalier. */
  internal: 70,
} as const;
