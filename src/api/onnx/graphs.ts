/**
 * ONNX files in a spec. `base = onnx() from "./encoder.onnx"` stands for a backbone that the file's graph is turned into: a file of declarations beside the spec, which is
 * elaborated as any other, and weights under the names that it gives them.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../../diagnostics/types.js';
import type { CallExpr, Expr, ModelBind, ModelStmt, SourceFile, Span, StringLit, VariantDecl } from '../../dsl/ast.js';
import { isColour, isPicture } from '../../dsl/semantics/models/variants.js';
import { resolvePath } from '../../dsl/semantics/names/library.js';
import type { OpenCheckpoint } from '../../formats/checkpoint.js';
import type { OnnxModel } from '../../formats/onnx/types.js';
import { backboneName, type ImportOptions, importedStore, importOnnx, parseShape } from '../../onnx/import/index.js';

/** What calls the graph of an ONNX file, in a spec. */
export const GRAPH = 'onnx';

export interface WithGraphs {
  /** The spec with a backbone of its own in the place of each `onnx()`. */
  readonly file: SourceFile;
  /** The files that declare them, by path. */
  readonly texts: ReadonlyMap<string, string>;
  /** Checkpoints with the tensors of graphs under our names. */
  readonly checkpoints: ReadonlyMap<string, OpenCheckpoint>;
  readonly diagnostics: readonly Diagnostic[];
}

/** @param opened what each `from` opened, by location as written */
export function withGraphs(file: SourceFile, opened: ReadonlyMap<string, OpenCheckpoint>): WithGraphs {
  const texts = new Map<string, string>();
  const checkpoints = new Map(opened);
  const diagnostics: Diagnostic[] = [];
  const uses: SourceFile['decls'][number][] = [];
  const variants: VariantDecl[] = [];
  // A file that is bound more than once is another one each time: tensors have the names of the graph that they are for.
  const bound = new Map<string, number>();
  const taken = (location: string): number => {
    const count = (bound.get(location) ?? 0) + 1;
    bound.set(location, count);
    return count;
  };
  const placed = (from: StringLit, count: number): StringLit =>
    count === 1 ? from : { ...from, value: `${from.value} (${count})` };

  const bind = (s: ModelBind): ModelStmt => {
    // What could not be imported has been reported, and what needs it stays silent.
    const lost: ModelStmt = { kind: 'error', names: [s.name.name], span: s.span };
    const from = s.from && opened.get(s.from.value);
    const call = s.value;
    const wanted = call.kind === 'call' && call.callee.kind === 'name' && call.callee.name === GRAPH;
    if (!wanted) {
      if (!s.from || !from?.onnx) return s;
      const place = placed(s.from, taken(s.from.value));
      checkpoints.set(place.value, renamed(from));
      return { ...s, from: place };
    }
    const at = (span: Span, text: string) => ({ primary: { span, text } });
    if (!s.from) {
      const args = { file: `\`${GRAPH}()\``, why: 'is the graph of a file, which `from "./model.onnx"` names' };
      diagnostics.push(diagnostic('ESP1234', args, at(s.span, 'no file here')));
      return lost;
    }
    if (!from?.onnx) {
      // A file that could not be opened has been reported.
      if (from) {
        const args = { file: from.name, why: `is no ONNX file, so \`${GRAPH}()\` has no graph to be` };
        diagnostics.push(diagnostic('ESP1234', args, at(s.from.span, 'named here')));
      }
      return lost;
    }
    try {
      // Graphs are told apart by what they are bound to, and those of one name in several models or branches by their number.
      const count = taken(s.from.value);
      const place = placed(s.from, count);
      const name = `${backboneName(s.from.value)}_${s.name.name}${count === 1 ? '' : `_${count}`}`;
      const { preprocess, ...options } = optionsOf(call);
      if (preprocess) requirePictures(from.onnx, options.shapes, preprocess[0]?.span ?? call.span);
      const imported = importOnnx(from.onnx, { name, ...options });
      const location = `${place.value}.${s.name.name}.peft`;
      texts.set(resolvePath(file.path, location), imported.source);
      uses.push({ kind: 'use', path: { file: location }, span: s.from.span });
      // What the spec says stands in the place of what the file does.
      const { processor, ...own } = from.facts;
      const facts = {
        ...own,
        ...(options.classes ? { labels: options.classes } : {}),
        ...(processor && (!preprocess || preprocess.every(isColour)) ? { processor } : {}),
      };
      checkpoints.set(place.value, {
        ...from,
        facts,
        store: importedStore(from.onnx, imported.params, `${s.name.name}.`),
      });
      const graph: CallExpr = { ...call, callee: { ...call.callee, name } as Expr, args: [] };
      if (!preprocess) return { ...s, from: place, value: graph };
      // Steps are a variant's, so the graph gets one.
      const variant = { name: `${name}_pictures`, span: call.span };
      variants.push({
        kind: 'variant',
        name: variant,
        params: [],
        value: graph,
        preprocess,
        names: [],
        configs: [],
        span: call.span,
      });
      return { ...s, from: place, value: { ...graph, callee: { ...call.callee, name: variant.name } as Expr } };
    } catch (error) {
      if (!(error instanceof EspalierError)) throw error;
      diagnostics.push(
        ...error.diagnostics.map((d) => (d.primary ? d : { ...d, ...at(s.from!.span, 'imported here') })),
      );
      return lost;
    }
  };

  const statements = (body: readonly ModelStmt[]): ModelStmt[] =>
    body.map((s) => {
      if (s.kind === 'model_bind') return bind(s);
      if (s.kind !== 'model_if') return s;
      const { otherwise, ...rest } = s;
      return { ...rest, then: statements(s.then), ...(otherwise ? { otherwise: statements(otherwise) } : {}) };
    });
  const decls = file.decls.map((d) => (d.kind === 'model' ? { ...d, body: statements(d.body) } : d));
  return { file: { ...file, decls: [...uses, ...variants, ...decls] }, texts, checkpoints, diagnostics };
}

/** What is said of declarations that graphs became, which stand in no file that could be changed. */
export function inGraphs(diagnostics: readonly Diagnostic[], texts: WithGraphs['texts']): readonly Diagnostic[] {
  return diagnostics.map((d) => {
    const labels = d.primary ? [d.primary, ...d.secondary] : d.secondary;
    if (!labels.some((label) => texts.has(label.span.file))) return d;
    const help =
      'This backbone is the graph of an ONNX file. `espalier import` writes it as a spec, which can be changed; or a head of your own calls it (`espalier explain ESP1111`).';
    return { ...d, help: [...d.help, help] };
  });
}

/** The tensors of an ONNX file by the paths of the layers that they are of; as the file calls them where its graph cannot be read. */
function renamed(checkpoint: OpenCheckpoint): OpenCheckpoint {
  try {
    const { params } = importOnnx(checkpoint.onnx!, { name: 'graph' });
    return { ...checkpoint, store: importedStore(checkpoint.onnx!, params) };
  } catch (error) {
    if (!(error instanceof EspalierError)) throw error;
    return checkpoint;
  }
}

function stop(span: Span, why: string): never {
  const args = { file: `\`${GRAPH}()\``, why };
  throw new EspalierError([diagnostic('ESP1234', args, { primary: { span, text: 'this one' } })]);
}

/** Steps from pictures are for a graph that begins with one: [b, channels, height, width], gray or RGB. */
function requirePictures({ graph, file }: OnnxModel, shapes: ImportOptions['shapes'], span: Span): void {
  const [input] = graph.inputs;
  const shape = input && (shapes?.[input.name] ?? input.shape);
  if (shape?.length === 4 && isPicture(Number(shape[1]))) return;
  const taken = input ? `\`${input.name} = ${shape?.join(', ') ?? '?'}\`` : 'nothing';
  stop(span, `has steps that make a picture its input, and ${file} takes ${taken}, which is none of 1 or 3 channels`);
}

interface GraphOptions extends Pick<ImportOptions, 'shapes' | 'outputs' | 'classes'> {
  readonly preprocess?: readonly Expr[] | undefined;
}

/** `shapes: ["x = b, 3, 48, 320"]`, `outputs: ["logits"]`, `classes: ["cat", "dog"]`, `preprocess: [resize(224), normalize(mean: 0.5, std: 0.5)]` */
function optionsOf(call: CallExpr): GraphOptions {
  const lists = new Map(
    call.args.map(({ name, value, span }) => {
      if (!['shapes', 'outputs', 'classes', 'preprocess'].includes(name?.name ?? '') || value.kind !== 'list') {
        return stop(
          span,
          'takes `shapes`, a list of strings such as `"x = b, 3, 224, 224"`, `outputs` and `classes`, lists of names, and `preprocess`, a list of steps',
        );
      }
      return [name!.name, value.items] as const;
    }),
  );
  const strings = (name: string) =>
    lists
      .get(name)
      ?.map((item) => (item.kind === 'string' ? item.value : stop(item.span, `takes strings as \`${name}\``)));
  return {
    shapes: Object.fromEntries((strings('shapes') ?? []).map(parseShape)),
    outputs: strings('outputs'),
    classes: strings('classes'),
    preprocess: lists.get('preprocess'),
  };
}
