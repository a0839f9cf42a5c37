/**
 * ONNX files in a spec. `base = onnx() from "./encoder.onnx"` stands for a backbone that the file's graph is turned into: a file of declarations beside the spec, which is
 * elaborated as any other, and weights under the names that it gives them.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { type Diagnostic, EspalierError } from '../diagnostics/types.js';
import type { CallExpr, Expr, ModelBind, ModelStmt, SourceFile, Span } from '../dsl/ast.js';
import { resolvePath } from '../dsl/semantics/names/library.js';
import type { OpenCheckpoint } from '../formats/checkpoint.js';
import { backboneName, type ImportOptions, importedStore, importOnnx, parseShape } from '../onnx/import/index.js';

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

  const bind = (s: ModelBind): ModelStmt => {
    // What could not be imported has been reported, and what needs it stays silent.
    const lost: ModelStmt = { kind: 'error', names: [s.name.name], span: s.span };
    const from = s.from && opened.get(s.from.value);
    const call = s.value;
    const wanted = call.kind === 'call' && call.callee.kind === 'name' && call.callee.name === GRAPH;
    if (!wanted) {
      if (s.from && from?.onnx) checkpoints.set(s.from.value, renamed(from));
      return s;
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
      // Two graphs of one model are told apart by what they are bound to.
      const name = `${backboneName(s.from.value)}_${s.name.name}`;
      const imported = importOnnx(from.onnx, { name, ...optionsOf(call) });
      const location = `${s.from.value}.${s.name.name}.peft`;
      texts.set(resolvePath(file.path, location), imported.source);
      uses.push({ kind: 'use', path: { file: location }, span: s.from.span });
      checkpoints.set(s.from.value, { ...from, store: importedStore(from.onnx, imported.params, `${s.name.name}.`) });
      return { ...s, value: { ...call, callee: { ...call.callee, name } as Expr, args: [] } };
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
  return { file: { ...file, decls: [...uses, ...decls] }, texts, checkpoints, diagnostics };
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

/** `shapes: ["x = b, 3, 48, 320"]`, `outputs: ["logits"]` */
function optionsOf(call: CallExpr): Pick<ImportOptions, 'shapes' | 'outputs'> {
  const stop = (span: Span, why: string): never => {
    const args = { file: `\`${GRAPH}()\``, why };
    throw new EspalierError([diagnostic('ESP1234', args, { primary: { span, text: 'this one' } })]);
  };
  const lists = new Map(
    call.args.map(({ name, value, span }) => {
      if ((name?.name !== 'shapes' && name?.name !== 'outputs') || value.kind !== 'list') {
        return stop(
          span,
          'takes `shapes`, a list of strings such as `"x = b, 3, 224, 224"`, and `outputs`, a list of names',
        );
      }
      const strings = value.items.map((item) =>
        item.kind === 'string' ? item.value : stop(item.span, `takes strings as \`${name.name}\``),
      );
      return [name.name, strings] as const;
    }),
  );
  return { shapes: Object.fromEntries((lists.get('shapes') ?? []).map(parseShape)), outputs: lists.get('outputs') };
}
