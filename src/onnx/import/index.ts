/**
 * ONNX in: a graph as a backbone of the language. Its types are found, what exporters took apart is raised to operators and layers again, the module tree is found in its
 * names, and the whole is written as `.peft`. Whoever compiles it compiles that text, so what can be said of a backbone can be said of this one.
 */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import { format } from '../../dsl/format.js';
import { parse } from '../../dsl/parse.js';
import { described } from '../../formats/onnx/facts.js';
import type { OnnxModel } from '../../formats/onnx/types.js';
import { graphOf } from './graph.js';
import { type InputShapes, inputsOf, outputsOf } from './inputs.js';
import { print } from './modules/print.js';
import { regionsOf } from './modules/regions.js';
import { nameOf, treeOf } from './modules/tree.js';
import { raise } from './raise/raise.js';
import { typesOf } from './types.js';
import type { ImportedParam } from './weights.js';

export { type InputShapes, type InputSize, parseShape } from './inputs.js';
export { type ImportedParam, importedStore } from './weights.js';

export interface ImportOptions {
  /** What the backbone is called; names of its modules begin with it. */
  readonly name: string;
  readonly shapes?: InputShapes;
  /** Those of the graph's outputs that are wanted, in this order; all of them where nothing is said. Inputs that only others need are left out. */
  readonly outputs?: readonly string[] | undefined;
  /** Names of classes, one for each number of the first output; where nothing is said, those that a file of ours has. */
  readonly classes?: readonly string[] | undefined;
}

/** A name of the language from that of a file: `./models/encoder-v2.onnx` gives `encoder_v2`. */
export const backboneName = (location: string): string =>
  nameOf((location.split(/[\\/]/).at(-1) ?? '').replace(/\.onnx$/i, '')).toLowerCase();

export interface Imported {
  /** A backbone `name()` and its modules. */
  readonly source: string;
  readonly params: readonly ImportedParam[];
  /** What was recognised: how many layers and operators of each kind that exporters take apart. */
  readonly raised: ReadonlyMap<string, number>;
}

/**
 * @throws EspalierError ESP1230 (operators that are not read), ESP1231 (nodes that cannot be), ESP1232 (sizes that are left open), ESP1233 (sizes and classes that do not fit), ESP1236 (metadata
 * that are none)
 */
export function importOnnx(
  model: OnnxModel,
  { name, shapes = {}, outputs: wanted, classes: said }: ImportOptions,
): Imported {
  const outputs = outputsOf(model, wanted);
  const graph = graphOf(model, outputs);
  const inputs = inputsOf(model, graph, shapes);
  const raised = raise(typesOf(model, graph, inputs, outputs), outputs);
  const tree = treeOf(raised, outputs);
  const { net } = raised;
  const classes = classesOf(model, net.shape(outputs[0]!), said);
  const { text, params } = print(name, { tree, region: regionsOf(tree, outputs), net, inputs, outputs, classes });
  return {
    source: format(parse(`${name}.peft`, text).file),
    raised: raised.counts,
    params: [...params].map(([path, { constant, shape, transposed }]) => {
      const { type, known } = net.values.get(constant)!;
      const tensor = graph.initialisers.get(constant);
      const load = () => (tensor ? tensor.load() : Promise.resolve(known!().data));
      return { name: path, dtype: type.dtype, shape, transposed, load, ...(tensor ? { tensor: constant } : {}) };
    }),
  };
}

/** Names for the numbers of a result. What a file says of another one of its outputs is not for this one. */
function classesOf(
  model: OnnxModel,
  result: readonly number[],
  said: readonly string[] | undefined,
): readonly string[] | undefined {
  const classes = said ?? described(model).labels;
  if (!classes || (result.length === 2 && result[1] === classes.length)) return classes;
  if (!said) return undefined;
  const why = `the first result of ${model.file} has ${result.length} axes and is of ${result.at(-1) ?? 1}`;
  throw new EspalierError([diagnostic('ESP1233', { what: `\`classes\`, ${said.length} names,`, why })]);
}
