/**
 * Specs as JSON: `use`, `model`, `train` and `deploy` without loss, for programs that write specs. Literals, lists and calls
 * are JSON of their own; selectors, and expressions that are anything else, are text in the language. The form is
 * `SPEC_SCHEMA` in `json-schema.ts`.
 */
import { diagnostic } from '../diagnostics/catalogue.js';
import { EspalierError } from '../diagnostics/types.js';
import type {
  CallExpr,
  Decl,
  Expr,
  ModelDecl,
  ModelStmt,
  OptionParam,
  Selector,
  SettingsDecl,
  SourceFile,
  StringLit,
  TypeExpr,
} from './ast.js';
import { formatExpr, formatSelector, formatType } from './format.js';

/** An expression. Text is a string literal; a name is `{ name }`; what has no form of its own is `{ expr }`. */
export type JsonValue =
  | number
  | string
  | boolean
  | null
  | JsonValue[]
  /** A number with a unit or percent sign, or a whole number that is not an `int`. The value of 50% is 0.5. */
  | { number: number; percent?: true; float?: true; unit?: string }
  | { ratio: [number, number] }
  | { name: string }
  | JsonCall
  | { expr: string };
/** `karst(rank: 8)`; positional arguments come before named ones. */
export interface JsonCall {
  call: string;
  args?: JsonValue[];
  options?: { [name: string]: JsonValue };
}
export type JsonStatement =
  | { bind: string; value: JsonValue; from?: string }
  | { in: string; do: JsonStatement[] }
  | { adapt: string[]; with: JsonCall | { expr: string }; from?: string }
  | { prune: string[]; with: JsonCall | { expr: string }; from?: string }
  | { tune: string[]; from?: string }
  | { if: JsonValue; then: JsonStatement[]; else?: JsonStatement[] }
  | { for: string; below: JsonValue; do: JsonStatement[] };
export interface JsonOption {
  name: string;
  /** `int`, `[string]`, `none | scalar`. */
  type: string;
  default?: JsonValue;
}
export type JsonDeclaration =
  /** `{ std: [] }` is the standard library, `{ std: ["vit"] }` a part of it. */
  | { use: { std: string[] } | { file: string } }
  | { model: string; options?: JsonOption[]; body: JsonStatement[] }
  | { train: string; settings: { name: string; value: JsonValue }[] }
  | { deploy: string; settings: { name: string; value: JsonValue }[] };
export interface JsonSpec {
  /** Version of this form. */
  espalier: 1;
  declarations: JsonDeclaration[];
}

/**
 * The JSON form of a file that parsed without errors. Comments and layout are not part of it.
 * @throws {EspalierError} ESP0134 when the file holds definitions (modules, adapters, ...), which have no JSON form.
 */
export function toJsonSpec(file: SourceFile): JsonSpec {
  return { espalier: 1, declarations: file.decls.map(declaration) };
}

function declaration(decl: Decl): JsonDeclaration {
  switch (decl.kind) {
    case 'use':
      return { use: 'file' in decl.path ? { file: decl.path.file } : { std: [...decl.path.std] } };
    case 'model':
      return model(decl);
    case 'train':
      return { train: decl.model.name, settings: settings(decl) };
    case 'deploy':
      return { deploy: decl.model.name, settings: settings(decl) };
    default:
      throw noForm(`the ${decl.kind} \`${decl.name.name}\``, decl);
  }
}

function noForm(what: string, node: Decl | ModelStmt): EspalierError {
  return new EspalierError([diagnostic('ESP0134', { what }, { primary: { span: node.span, text: 'not in JSON' } })]);
}

function settings(decl: SettingsDecl): { name: string; value: JsonValue }[] {
  return decl.settings.map((setting) => ({ name: setting.name.name, value: value(setting.value) }));
}

function model(decl: ModelDecl): JsonDeclaration {
  const options = decl.params.map(option);
  return { model: decl.name.name, ...(options.length > 0 ? { options } : {}), body: decl.body.map(statement) };
}

function option(param: OptionParam): JsonOption {
  const type: TypeExpr = param.type;
  return {
    name: param.name.name,
    type: formatType(type),
    ...(param.default ? { default: value(param.default) } : {}),
  };
}

function origin(from: StringLit | undefined): { from?: string } {
  return from ? { from: from.value } : {};
}

function statement(node: ModelStmt): JsonStatement {
  const sites = (list: readonly Selector[]) => list.map(formatSelector);
  switch (node.kind) {
    case 'model_bind':
      return { bind: node.name.name, value: value(node.value), ...origin(node.from) };
    case 'in':
      return { in: formatSelector(node.selector), do: node.body.map(statement) };
    case 'adapt':
      return { adapt: sites(node.sites), with: call(node.adapter), ...origin(node.from) };
    case 'prune':
      return { prune: sites(node.sites), with: call(node.method), ...origin(node.from) };
    case 'tune':
      return { tune: sites(node.sites), ...origin(node.from) };
    case 'model_if':
      return {
        if: value(node.condition),
        then: node.then.map(statement),
        ...(node.otherwise ? { else: node.otherwise.map(statement) } : {}),
      };
    case 'model_for':
      return {
        for: node.generator.name.name,
        below: value(node.generator.limit),
        do: node.body.map(statement),
      };
    case 'error':
      throw noForm('what did not parse', node);
  }
}

/** Whether a number has a form of its own, that is, reads back as it was. */
function isPlain(node: Expr & { kind: 'number' }): boolean {
  return !node.percent && node.unit === undefined && node.integer === Number.isInteger(node.value);
}

function value(node: Expr): JsonValue {
  switch (node.kind) {
    case 'number':
      if (isPlain(node)) return node.value;
      return {
        number: node.value,
        ...(node.percent ? { percent: true } : {}),
        ...(!node.percent && !node.integer && Number.isInteger(node.value) ? { float: true } : {}),
        ...(node.unit === undefined ? {} : { unit: node.unit }),
      };
    case 'string':
    case 'bool':
      return node.value;
    case 'none':
      return null;
    case 'ratio':
      return Number.isInteger(node.left) && Number.isInteger(node.right)
        ? { ratio: [node.left, node.right] }
        : { expr: formatExpr(node) };
    case 'name':
      return { name: node.name };
    case 'list':
      return node.items.map(value);
    case 'call':
      return call(node);
    default:
      return { expr: formatExpr(node) };
  }
}

/** Calls whose named arguments come last, each once, are structured; others are text. */
function call(node: CallExpr): JsonCall | { expr: string } {
  const positional = node.args.filter((arg) => !arg.name);
  const named = node.args.flatMap((arg) => (arg.name ? [{ name: arg.name.name, value: arg.value }] : []));
  const names = new Set(named.map((arg) => arg.name));
  const inOrder = node.args.every((arg, i) => !arg.name === i < positional.length);
  if (node.callee.kind !== 'name' || node.generators.length > 0 || !inOrder || names.size < named.length) {
    return { expr: formatExpr(node) };
  }
  return {
    call: node.callee.name,
    ...(positional.length > 0 ? { args: positional.map((arg) => value(arg.value)) } : {}),
    ...(named.length > 0 ? { options: Object.fromEntries(named.map((arg) => [arg.name, value(arg.value)])) } : {}),
  };
}
