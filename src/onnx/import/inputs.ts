/** The inputs of an imported graph: their sizes, as the file says them or as whoever imports it does. */
import { diagnostic } from '../../diagnostics/catalogue.js';
import { EspalierError } from '../../diagnostics/types.js';
import type { OnnxDim, OnnxModel, OnnxValue } from '../../formats/onnx/types.js';
import { BATCH } from '../../ir/batch.js';
import type { Graph } from './graph.js';
import type { TypedInput } from './types.js';

/** A size, or the batch. */
export type InputSize = number | 'b';

/** Sizes of inputs by their names, where the file leaves them open or others are wanted. */
export type InputShapes = Readonly<Record<string, readonly InputSize[]>>;

const shown = (name: string, shape: readonly OnnxDim[]): string => `${name} = ${shape.map((d) => d ?? '?').join(', ')}`;

/**
 * `x = b, 3, 224, 224`: the sizes of an input, as the command line and `onnx(shapes: [...])` take them.
 * @throws EspalierError ESP1233
 */
export function parseShape(text: string): [name: string, shape: readonly InputSize[]] {
  const at = text.lastIndexOf('=');
  const name = text.slice(0, Math.max(at, 0)).trim();
  const words = text
    .slice(at + 1)
    .replace(/^\s*\[|\]\s*$/g, '')
    .split(/[,x\s]+/)
    .filter((w) => w !== '');
  const sizes = words.map((w) => (w === 'b' ? 'b' : Number(w)));
  if (name === '' || !sizes.every((s) => s === 'b' || (Number.isInteger(s) && s > 0))) {
    throw new EspalierError([
      diagnostic('ESP1233', { what: `\`${text}\``, why: 'it is not a name and sizes, as in `x = b, 3, 224, 224`' }),
    ]);
  }
  return [name, sizes];
}

/**
 * What is left open in the first place is the batch; everything else has to be said.
 * @throws EspalierError ESP1232, ESP1233
 */
export function inputsOf(model: OnnxModel, graph: Graph, shapes: InputShapes): TypedInput[] {
  const read = new Set(graph.nodes.flatMap((n) => n.inputs));
  const all = model.graph.outputs.map((o) => o.name);
  const inputs = model.graph.inputs.filter((i) => read.has(i.name) || all.includes(i.name));
  const { file } = model;
  for (const name of Object.keys(shapes)) {
    if (model.graph.inputs.some((i) => i.name === name)) continue;
    const why = `${file} has no input of that name; it has ${model.graph.inputs.map((i) => i.name).join(', ')}`;
    throw new EspalierError([diagnostic('ESP1233', { what: `\`${name}\``, why })]);
  }
  const open: string[] = [];
  const typed = inputs.map((input): TypedInput => {
    const dims = Object.hasOwn(shapes, input.name) ? said(model, input, shapes[input.name]!) : input.shape;
    const shape = dims?.map((d, axis) => (typeof d === 'number' ? d : d === 'b' || axis === 0 ? BATCH : undefined));
    if (!shape?.every((d): d is number => d !== undefined)) {
      open.push(
        dims
          ? shown(
              input.name,
              dims.map((d, i) => (i === 0 && typeof d !== 'number' ? 'b' : d)),
            )
          : `${input.name}, of unknown rank`,
      );
      return { name: input.name, onnx: input.dtype ?? 'float', shape: [] };
    }
    return { name: input.name, onnx: input.dtype ?? 'float', shape };
  });
  if (open.length > 0) throw new EspalierError([diagnostic('ESP1232', { file, open })]);
  return typed;
}

/**
 * The outputs that are wanted: those of the file, or any other value that one of its nodes makes, by which a part of the graph is cut off.
 * @throws EspalierError ESP1233
 */
export function outputsOf(model: OnnxModel, wanted: readonly string[] | undefined): readonly string[] {
  const all = model.graph.outputs.map((o) => o.name);
  const made = (name: string): boolean => model.graph.nodes.some((n) => n.outputs.includes(name));
  const unknown = wanted?.find((name) => !all.includes(name) && (name === '' || !made(name)));
  if (unknown !== undefined) {
    const why = `${model.file} has no output of that name, and no node that makes it; its outputs are ${all.join(', ')}`;
    throw new EspalierError([diagnostic('ESP1233', { what: `\`${unknown}\``, why })]);
  }
  return wanted && wanted.length > 0 ? wanted : all;
}

/** Sizes that are given for an input, which have to be those of the file where it says them; a batch of one may be any. */
function said(model: OnnxModel, input: OnnxValue, given: readonly InputSize[]): readonly (number | 'b')[] {
  const wrong = (why: string): never => {
    throw new EspalierError([diagnostic('ESP1233', { what: `\`${shown(input.name, given)}\``, why })]);
  };
  const { shape } = input;
  if (!shape) return given;
  const file = `${model.file} has \`${shown(input.name, shape)}\``;
  if (given.length !== shape.length) return wrong(`${file}, with ${shape.length} axes`);
  given.forEach((size, axis) => {
    const own = shape[axis];
    if (size === 'b' && axis > 0) wrong('the batch is the first axis');
    if (typeof own === 'number' && size !== own && !(size === 'b' && own === 1)) wrong(file);
  });
  return given;
}
