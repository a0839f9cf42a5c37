/** Every parameter's value: from the files that a spec names, from a search for masks, or as it starts. */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError, type Span } from '../diagnostics/types.js';
import type { Elaborated, Source } from '../dsl/elaborated.js';
import { fitting } from '../dsl/fitting.js';
import { readMasks } from '../formats/adapters/masks.js';
import { namesOfModel } from '../formats/adapters/sites.js';
import { loadSources, nonFinite, type OpenCheckpoint } from '../formats/checkpoint.js';
import { Waivers } from '../formats/waivers.js';
import { sameType, showType, sizeOf } from '../ir/ops/shapes.js';
import { initialise } from '../ir/run/init.js';
import type { Param, Tensor } from '../ir/types.js';
import type { Statistics } from '../prune/calibration.js';
import { type FoundMasks, findMasks } from '../prune/index.js';
import { type Rates, withRates } from '../prune/rates.js';
import { otherBaseWeights } from './adapters/base-weights.js';
import { bypassedModules } from './adapters/bypassed.js';
import { mergedBefore } from './adapters/merged-before.js';
import { otherBases } from './adapters/other-base.js';
import type { Analysis } from './analyse.js';
import { calibrate } from './calibrate.js';
import { alikeHelp } from './folders/alike.js';
import { graftLines } from './folders/grafts.js';
import type { Progress } from './host.js';

/** A folder in memory: contents by relative path. */
export type Files = ReadonlyMap<string, string | Uint8Array>;

export interface Loaded {
  /** @throws Error for a name that the model does not have. */
  readonly get: (name: string) => Tensor;
  /** The same, of parameters of which an adapter's folder has other values as the base's own file has them. */
  readonly ofBase: (name: string) => Tensor;
  readonly warnings: readonly Diagnostic[];
  /** Those of them that say that adapters and base do not belong together. */
  readonly mismatches: readonly Diagnostic[];
  /** Parameters of the base of which an adapter's folder has other values than the base's file: what that has; undefined where it has none. */
  readonly replaced: ReadonlyMap<string, Tensor | undefined>;
  /** The masks that criteria find, by parameter, where a search has found these rates. @throws as `findMasks` and `withRates` */
  readonly masks: (rates: Rates) => FoundMasks;
}

/** Start values that no file gives are the same every time, but for those of what is trained, of which a run has its own. */
const SEED = 0;

/** A diagnostic of a file, shown where the spec names the file. */
function at(d: Diagnostic, span: Span): Diagnostic {
  return d.primary ? d : { ...d, primary: { span, text: 'loaded here' } };
}

/** What a reader of files refuses is said at the statement that named the file. */
async function readAt<T>(span: Span, read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    throw new EspalierError(error.diagnostics.map((d) => at(d, span)));
  }
}

/** Of a file that does not fit, which variants it does fit. */
function alikeTo(analysis: Analysis, checkpoint: OpenCheckpoint, error: EspalierError): string[] {
  if (!error.diagnostics.some((d) => d.code === 'ESP0510' || d.code === 'ESP0511')) return [];
  return alikeHelp(checkpoint, (c) => analysis.known(c));
}

/** Of a folder of peft that does not fit, the statements that take what of it has a place in the model. */
function graftsOf(
  analysis: Analysis,
  {
    location,
    opened,
    error,
  }: { readonly location: string; readonly opened: OpenCheckpoint; readonly error: EspalierError },
): string[] {
  if (!opened.peft || !error.diagnostics.some((d) => UNFIT.has(d.code))) return [];
  const lines = graftLines(analysis.plain(), { location, opened }, fitting());
  return lines.length === 0 ? [] : [`What fits it: ${lines.map((line) => `\`${line}\``).join(' and ')}.`];
}

const UNFIT: ReadonlySet<string> = new Set(['ESP0510', 'ESP0511', 'ESP0514']);

function warnAboutStarts(elaborated: Elaborated, started: ReadonlySet<string>): Diagnostic[] {
  const warnings: Diagnostic[] = [];
  const adapterParams = new Set(elaborated.adapters.flatMap((a) => Object.values(a.params)));
  const bare = [...started].filter(
    (name) => !adapterParams.has(name) && elaborated.module.params.get(name)?.role === 'frozen',
  );
  if (bare.length > 0) {
    const size = bare.reduce((sum, name) => sum + sizeOf(elaborated.module.params.get(name)!.type.shape), 0);
    warnings.push(diagnostic('ESP0907', { source: bare[0]!.split('.')[0]!, count: size }));
  }
  const tuned = [...started].filter(
    (name) => !adapterParams.has(name) && elaborated.module.params.get(name)?.role === 'trainable',
  );
  for (const name of new Set(tuned.map((param) => param.split('.')[0]!))) {
    warnings.push(diagnostic('ESP0908', { name, input: `tune ${name} from "./trained.safetensors"` }));
  }
  const seen = new Set<string>();
  for (const { name, params, span } of elaborated.adapters) {
    if (seen.has(name) || !Object.values(params).some((p) => started.has(p))) continue;
    seen.add(name);
    warnings.push(
      diagnostic(
        'ESP0908',
        { name, input: `adapt ... with ${name}(...) from "./${name}.safetensors"` },
        { primary: { span, text: 'no trained tensors' } },
      ),
    );
  }
  return warnings;
}

/** Patterns of `ignore` that waive nothing: misspelt, or no longer needed. */
function idleWaivers(elaborated: Elaborated, waivers: Waivers): Diagnostic[] {
  return waivers.results().flatMap(({ pattern, tensors, others }) => {
    if (tensors.length > 0) return [];
    const { span } = elaborated.ignored.find((i) => i.pattern === pattern)!;
    return [diagnostic('ESP1294', { pattern, others }, { primary: { span, text: 'waives nothing' } })];
  });
}

/** No array here holds this many bytes, nor does a buffer of any GPU. */
const MAX_TENSOR_BYTES = 2 ** 32;
/** What every WebGPU offers. */
const BUFFER_BYTES = 2 ** 28;

function refuseTooLarge(params: ReadonlyMap<string, Param>): void {
  const sized = [...params.values()].map(({ name, type }) => ({
    name,
    bytes: 4 * sizeOf(type.shape),
  }));
  const tooLarge = sized.filter(({ bytes }) => bytes >= MAX_TENSOR_BYTES);
  if (tooLarge.length === 0) return;
  throw new EspalierError(
    tooLarge
      .slice(0, 3)
      .map(({ name, bytes }) =>
        diagnostic('ESP0604', { name, bytes, limit: BUFFER_BYTES, what: 'weight', device: false }),
      ),
  );
}

/**
 * @param seed of the start values of what is trained
 * @throws EspalierError listing every tensor that is missing, unexpected, misshapen or not finite
 */
export async function loadParameters(
  analysis: Analysis & { readonly elaborated: Elaborated },
  progress?: Progress,
  seed = SEED,
): Promise<Loaded> {
  const { elaborated, checkpoints } = analysis;
  const { params } = elaborated.module;
  const types = new Map([...params].map(([name, p]) => [name, p.type]));
  refuseTooLarge(params);
  const names = namesOfModel(elaborated.root, elaborated.sources);
  const values = new Map<string, Tensor>();
  const problems: Diagnostic[] = [];
  const waivers = new Waivers(elaborated.ignored.map(({ pattern }) => pattern));
  // The base first: an adapter's folder may hold other values of its biases.
  const isBase = (s: Source): boolean => s.kind === 'backbone';
  const files = elaborated.sources.filter((s) => s.kind !== 'mask');
  const places = [...new Set([...files.filter(isBase), ...files].map((s) => s.location))];
  const ofBase = new Set(elaborated.sources.filter(isBase).flatMap((s) => s.params));
  const base = (param: string): Tensor | undefined => (ofBase.has(param) ? values.get(param) : undefined);
  const explicit = new Set(elaborated.sources.filter((s) => !isBase(s)).flatMap((s) => s.params));
  const replaced = new Map<string, string>();
  const before = new Map<string, Tensor | undefined>();
  for (const [i, location] of places.entries()) {
    const checkpoint = checkpoints.get(location);
    const sources = elaborated.sources.filter((s) => s.location === location);
    if (!checkpoint) continue;
    progress?.(`reading ${location}`, i / places.length);
    try {
      const loaded = await loadSources(sources, checkpoint, { types, names, base, waivers });
      problems.push(...nonFinite(location, loaded).map((d) => at(d, sources[0]!.span)));
      const asked = new Set(sources.flatMap((s) => s.params));
      for (const [name, tensor] of loaded) {
        if (!asked.has(name)) {
          // Which file a parameter comes from the spec has said.
          if (explicit.has(name)) continue;
          const other = replaced.get(name);
          if (other !== undefined) {
            const problem = `holds another ${name} than ${other}, and the model has one`;
            throw new EspalierError([diagnostic('ESP0507', { file: location, problem })]);
          }
          replaced.set(name, location);
          before.set(name, values.get(name));
        }
        values.set(name, tensor);
      }
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      const help = sources.some((s) => s.kind === 'backbone')
        ? alikeTo(analysis, checkpoint, error)
        : graftsOf(analysis, { location, opened: checkpoint, error });
      problems.push(...error.diagnostics.map((d) => ({ ...at(d, sources[0]!.span), help: [...d.help, ...help] })));
    }
  }
  for (const [name, tensor] of analysis.trained ?? []) {
    const type = types.get(name);
    if (type && sameType(type, tensor.type)) values.set(name, tensor);
    else problems.push(diagnostic('ESP1112', { name, found: showType(tensor.type), expected: type && showType(type) }));
  }
  const idle = idleWaivers(elaborated, waivers);
  if (problems.length > 0) throw new EspalierError([...problems, ...idle]);

  const started = new Set<string>();
  const get = (name: string): Tensor => {
    const known = values.get(name);
    if (known) return known;
    const param: Param | undefined = params.get(name);
    if (!param) throw new Error(`no parameter ${name}`);
    let value: Tensor;
    if (param.data) value = { type: param.type, data: param.data };
    else {
      started.add(name);
      value = initialise(param, param.role === 'trainable' ? seed : SEED, elaborated.module, get);
    }
    values.set(name, value);
    return value;
  };

  const mismatches = [
    ...otherBases(elaborated, checkpoints),
    ...bypassedModules(elaborated, checkpoints),
    ...otherBaseWeights(elaborated, checkpoints, analysis.trainedOn, (name) => before.get(name) ?? values.get(name)),
    ...(await mergedBefore(elaborated, checkpoints)),
  ];
  const warnings: Diagnostic[] = [...idle, ...mismatches];
  const { rates } = analysis;
  const searched = elaborated.prune.find((job) => job.searched);
  if (searched && !rates) {
    const place = { primary: { span: searched.span, text: 'searched for' } };
    throw new EspalierError([diagnostic('ESP1136', { model: elaborated.name }, place)]);
  }
  let statistics: Statistics | undefined;
  const masks = (found: Rates): FoundMasks =>
    findMasks(withRates(elaborated.prune, found), { params: get, ...(statistics ? { statistics } : {}) });
  if (elaborated.prune.length > 0) {
    progress?.('finding masks');
    for (const job of elaborated.prune) {
      const file = job.from === undefined ? undefined : checkpoints.get(job.from);
      if (!file) continue;
      const masks = await readAt(job.span, readMasks(file.store));
      for (const { mask } of job.targets) {
        const found = masks.get(mask);
        if (!found)
          throw new EspalierError([
            at(diagnostic('ESP0516', { file: file.name, problem: `it has no ${mask}` }), job.span),
          ]);
        values.set(mask, found);
      }
    }
    const { host, path } = analysis;
    statistics = await calibrate({ host, path, elaborated, params: get, progress });
    const found = masks(rates ?? []);
    for (const [name, mask] of found.masks) values.set(name, mask);
    warnings.push(...found.report.warnings);
  }
  for (const name of params.keys()) get(name);
  warnings.push(...warnAboutStarts(elaborated, started));
  return { get, ofBase: (name) => before.get(name) ?? get(name), warnings, mismatches, masks, replaced: before };
}
