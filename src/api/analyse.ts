/**
 * From a spec's text to what it means: parse, open what it names (without reading weights), elaborate. Everything after this works
 * on an `Analysis`.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Checked, type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { ModelDecl, ModelStmt, SourceFile, StringLit } from '../dsl/ast.js';
import { check, elaborate } from '../dsl/elaborate.js';
import type { Elaborated, Source } from '../dsl/elaborated.js';
import { isJsonSpec } from '../dsl/json/document.js';
import { type KnownLayout, knownLayouts } from '../dsl/lookalikes.js';
import { type Parsed, parse } from '../dsl/parse.js';
import { type ModelNames, namesOfModel } from '../formats/adapters/sites.js';
import type { TrainedOn } from '../formats/adapters/trained-on.js';
import type { OpenCheckpoint } from '../formats/checkpoint.js';
import { atCommit } from '../formats/huggingface/name.js';
import { withoutPrefixes } from '../formats/prefixes.js';
import type { Tensor } from '../ir/types.js';
import type { Rates } from '../prune/rates.js';
import { withAlikes } from './folders/alike.js';
import type { Host } from './host.js';
import type { WithGraphs } from './onnx/graphs.js';

/** A spec by path, or its text with the path that locations in it are relative to. */
export type Spec = string | { readonly text: string; readonly path: string };

export interface SpecOptions {
  readonly host: Host;
  /** Options of the model, as `--set` gives them. */
  readonly set?: Readonly<Record<string, string>> | undefined;
  /** What is to be said beside what is wrong with it: how this spec was come by. */
  readonly notes?: readonly Diagnostic[] | undefined;
  /** Needed when the spec has several models. */
  readonly model?: string | undefined;
  /** Values of parameters by name, in place of those that files have or that they start as: what a run trained. */
  readonly trained?: ReadonlyMap<string, Tensor> | undefined;
  /** The base that they were trained on, as the run has recorded it. */
  readonly trainedOn?: TrainedOn | undefined;
  /** What a search has found to be pruned, where the spec has one: as a run keeps it. */
  readonly rates?: Rates | undefined;
  /** Commits of the repositories that the spec names, by location as written: as whoever recorded them found them, whatever a branch is now. */
  readonly commits?: Readonly<Record<string, string>> | undefined;
  /** Names of the classes that it was trained to tell apart, in the order of the head's outputs. Absent: what the spec's files say. */
  readonly labels?: readonly string[] | undefined;
}

export interface Analysis {
  /** What it was opened on. */
  readonly host: Host;
  readonly path: string;
  readonly file: SourceFile;
  /** Absent for a file of declarations without a model. */
  readonly elaborated?: Elaborated;
  /** What each `from` opened, by location as written. */
  readonly checkpoints: ReadonlyMap<string, OpenCheckpoint>;
  readonly warnings: readonly Diagnostic[];
  readonly trained?: ReadonlyMap<string, Tensor>;
  readonly trainedOn?: TrainedOn;
  readonly rates?: Rates;
  /** The same spec without what is grafted and pruned. */
  plain(): Elaborated;
  /** What checkpoints of the variants in reach of the spec hold. */
  known(checkpoint: Pick<OpenCheckpoint, 'store'>): readonly KnownLayout[];
}

/** Statements that name files. */
const NAMING = ['model_bind', 'adapt', 'tune', 'prune'] as const;

/** Every `from` below a list of statements, of some kinds of them. */
function* locations(
  statements: readonly ModelStmt[],
  kinds: readonly (typeof NAMING)[number][] = NAMING,
): Iterable<StringLit> {
  for (const s of statements) {
    switch (s.kind) {
      case 'model_bind':
      case 'adapt':
      case 'tune':
      case 'prune':
        if (s.from && kinds.includes(s.kind)) yield s.from;
        break;
      case 'in':
      case 'model_for':
        yield* locations(s.body, kinds);
        break;
      case 'model_if':
        yield* locations([...s.then, ...(s.otherwise ?? [])], kinds);
    }
  }
}

/** The statements without those that graft or prune. */
function withoutGrafts(statements: readonly ModelStmt[]): ModelStmt[] {
  return statements.flatMap((s): ModelStmt[] => {
    if (s.kind === 'adapt' || s.kind === 'prune') return [];
    if (s.kind === 'in' || s.kind === 'model_for') {
      const body = withoutGrafts(s.body);
      return body.length > 0 ? [{ ...s, body }] : [];
    }
    if (s.kind === 'model_if') {
      const { otherwise, ...rest } = s;
      return [{ ...rest, then: withoutGrafts(s.then), ...(otherwise ? { otherwise: withoutGrafts(otherwise) } : {}) }];
    }
    return [s];
  });
}

/** Without what is grafted, and without what trains it. */
function plainFile(file: SourceFile): SourceFile {
  const decls = file.decls.filter((d) => d.kind !== 'train');
  return { ...file, decls: decls.map((d) => (d.kind === 'model' ? { ...d, body: withoutGrafts(d.body) } : d)) };
}

function pickModel(file: SourceFile, wanted: string | undefined, diagnostics: Diagnostic[]): ModelDecl | undefined {
  const models = file.decls.filter((d): d is ModelDecl => d.kind === 'model');
  if (wanted === undefined && models.length > 1) {
    diagnostics.push(diagnostic('ESP0902', { names: models.map((m) => m.name.name), file: file.path }));
    return undefined;
  }
  return wanted === undefined ? models[0] : models.find((m) => m.name.name === wanted);
}

/** @returns ESP1309 for JSON where the host does not read it */
function parsedBy(host: Host, path: string, text: string): Parsed {
  if (host.parse) return host.parse(path, text);
  if (!isJsonSpec(path, text)) return parse(path, text);
  const why = 'a spec in JSON is not read here: give its `.peft` text (`espalier fmt --to peft`)';
  const file = { path, text, decls: [], comments: [] };
  return { file, diagnostics: [diagnostic('ESP1309', { file: path, why })] };
}

/** The spec with its ONNX graphs in place. What imports these is large, so it is loaded for specs that may have one. */
async function graphsOf(
  file: SourceFile,
  opened: ReadonlyMap<string, OpenCheckpoint>,
): Promise<WithGraphs & { explained(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] }> {
  if (!/\bonnx\b/i.test(file.text) && ![...opened.values()].some((checkpoint) => checkpoint.onnx))
    return { file, texts: new Map(), checkpoints: opened, diagnostics: [], explained: (said) => said };
  const { inGraphs, withGraphs } = await import('./onnx/graphs.js');
  const graphs = withGraphs(file, opened);
  return { ...graphs, explained: (said) => inGraphs(said, graphs.texts) };
}

const failed = (diagnostics: readonly Diagnostic[]) => diagnostics.some((d) => d.severity === 'error');

/**
 * Reads and resolves a spec. Never throws for bad input; without an error `value` is there.
 * @param options.library accept a file that declares no model
 */
export async function analyse(
  spec: Spec,
  options: SpecOptions & { readonly library?: boolean },
): Promise<Checked<Analysis>> {
  const { host } = options;
  const path = typeof spec === 'string' ? spec : spec.path;
  const diagnostics: Diagnostic[] = [...(options.notes ?? [])];
  const guard = <T>(body: () => T): T | undefined => {
    try {
      return body();
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      diagnostics.push(...error.diagnostics);
      return undefined;
    }
  };
  const text = typeof spec === 'string' ? guard(() => host.readText(spec)) : spec.text;
  if (text === undefined)
    return { diagnostics: diagnostics.length > 0 ? diagnostics : [diagnostic('ESP0901', { path })] };

  const parsed = parsedBy(host, path, text);
  diagnostics.push(...parsed.diagnostics);
  const model = pickModel(parsed.file, options.model, diagnostics);
  if (diagnostics.some((d) => d.code === 'ESP0902')) return { diagnostics };

  const opened = new Map<string, OpenCheckpoint>();
  const unreadable = new Set<string>();
  for (const literal of model ? locations(model.body) : []) {
    if (opened.has(literal.value) || unreadable.has(literal.value)) continue;
    try {
      const commit = options.commits?.[literal.value];
      const location = commit === undefined ? literal.value : atCommit(literal.value, commit);
      const checkpoint = await host.openCheckpoint(host.resolve(path, location));
      opened.set(literal.value, checkpoint);
      diagnostics.push(...checkpoint.warnings);
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      unreadable.add(literal.value);
      diagnostics.push(
        ...error.diagnostics.map((d) =>
          d.primary ? d : { ...d, primary: { span: literal.span, text: 'named here' } },
        ),
      );
    }
  }

  const graphs = await graphsOf(parsed.file, opened);
  const { file, texts, checkpoints } = graphs;
  diagnostics.push(...graphs.diagnostics);
  const elaborateOptions = {
    ...(options.set ? { set: options.set } : {}),
    ...(options.model ? { model: options.model } : {}),
    readFile: (p: string) => texts.get(p) ?? host.readText(p),
    parseFile: (p: string, t: string) => parsedBy(host, p, t),
    facts: (location: string, _kind: Source['kind']) =>
      unreadable.has(location) ? ('unreadable' as const) : checkpoints.get(location)?.facts,
  };
  const known: Analysis['known'] = ({ store }) => knownLayouts(file, elaborateOptions, store.tensors);
  if (model === undefined && options.model === undefined) {
    diagnostics.push(...check(file, elaborateOptions));
    // A file that could not be read may well declare one.
    if (!options.library && !failed(parsed.diagnostics)) diagnostics.push(diagnostic('ESP0914', { file: path }));
    if (failed(diagnostics)) return { diagnostics };
    const plain = () => {
      throw new EspalierError([diagnostic('ESP0914', { file: path })]);
    };
    return { value: { host, path, file, checkpoints, warnings: diagnostics, plain, known }, diagnostics };
  }

  const first = elaborate(file, elaborateOptions);
  const bases = model ? [...locations(model.body, ['model_bind'])] : [];
  diagnostics.push(...withAlikes(graphs.explained(first.diagnostics), bases, checkpoints, known));
  if (failed(diagnostics) || !first.value) return { diagnostics };
  const plain = (): Elaborated => {
    const result = elaborate(plainFile(file), elaborateOptions);
    if (!result.value) throw new EspalierError(result.diagnostics.filter((d) => d.severity === 'error'));
    return result.value;
  };
  const { trained, trainedOn, labels, rates } = options;
  const elaborated = labels ? { ...first.value, labels } : first.value;
  const bare = new Map(checkpoints);
  let names: ModelNames | undefined;
  const modelNames = (): ModelNames => {
    names ??= namesOfModel(elaborated.root, elaborated.sources);
    return names;
  };
  for (const [location, opened] of checkpoints) {
    const ours = elaborated.sources.filter((s) => s.location === location && s.kind !== 'mask');
    const { checkpoint, note } = withoutPrefixes(opened, ours, modelNames);
    if (!note) continue;
    bare.set(location, checkpoint);
    diagnostics.push(note);
  }
  const value = { host, path, file, elaborated, checkpoints: bare, warnings: diagnostics, plain, known };
  return {
    value: {
      ...value,
      ...(trained ? { trained } : {}),
      ...(trainedOn ? { trainedOn } : {}),
      ...(rates ? { rates } : {}),
    },
    diagnostics,
  };
}

/** The repositories that a spec names, by location as written, each at the commit that was opened. */
export const commitsOf = ({ checkpoints }: Pick<Analysis, 'checkpoints'>): Record<string, string> =>
  Object.fromEntries([...checkpoints].flatMap(([location, { hub }]) => (hub ? [[location, hub.commit] as const] : [])));

/** `analyse` for those who cannot go on without a model: throws an `EspalierError` with everything that is wrong. */
export async function analyseModel(
  spec: Spec,
  options: SpecOptions,
): Promise<Analysis & { readonly elaborated: Elaborated }> {
  const { value, diagnostics } = await analyse(spec, options);
  if (!value?.elaborated) throw new EspalierError(diagnostics.filter((d) => d.severity === 'error'));
  return { ...value, elaborated: value.elaborated };
}
