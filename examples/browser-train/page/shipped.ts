/** The spec as whoever has the downloaded adapter compiles it: it says what its classes are, and where the adapter is. */
import { parse } from '../../../src/api/browser/index.js';

type Model = Extract<ReturnType<typeof parse>['file']['decls'][number], { kind: 'model' }>;
type Statement = Model['body'][number];

/** Name of the model's option that the page gives: the names of the classes that have examples. */
const CLASSES = 'classes';

function modelOf(path: string, text: string): Model | undefined {
  return parse(path, text).file.decls.find((d): d is Model => d.kind === 'model');
}

/** The names of the classes, if the model of the spec asks for them. */
export function optionsOf(path: string, text: string, classes: readonly string[]): Record<string, string> {
  const asked = modelOf(path, text)?.params.some((p) => p.name.name === CLASSES);
  return asked ? { [CLASSES]: listed(classes) } : {};
}

/** As specs, and `--set`, write a list of texts. */
const listed = (names: readonly string[]): string => JSON.stringify(names);

/** The text with `from` at each statement that trains something, and the classes as a default. */
export function shippedSpec(path: string, text: string, classes: readonly string[], file: string): string {
  const model = modelOf(path, text);
  if (!model) return text;
  const added = new Map([...trained(model.body)].map((s) => [s.span.end, ` from ${JSON.stringify(file)}`]));
  for (const { name, default: value, span } of model.params)
    if (name.name === CLASSES && !value) added.set(span.end, ` = ${listed(classes)}`);
  const places = [...added.keys()].sort((a, b) => b - a);
  return places.reduce((whole, at) => whole.slice(0, at) + added.get(at) + whole.slice(at), text);
}

function* trained(statements: readonly Statement[]): Iterable<Statement> {
  for (const s of statements) {
    if ((s.kind === 'adapt' || s.kind === 'tune') && !s.from) yield s;
    else if (s.kind === 'in' || s.kind === 'model_for') yield* trained(s.body);
    else if (s.kind === 'model_if') yield* trained([...s.then, ...(s.otherwise ?? [])]);
  }
}
