/** The form of `config` and `processor` blocks, used or not: options that the backbone has, fields that are read, values that are said. */
import type { Arg, ConfigBlock, ConfigEntry, Expr, Ident, ModuleDecl, OptionParam, VariantDecl } from '../../ast.js';

import type { Report } from '../report.js';
import { alternatives, backboneOf, type Declared, pathsOf, readerOf, readingOf } from './readings.js';
import { optionHelp } from './signature.js';

/** What `set` says of the classes in a configuration that is exported. */
const CLASSES = ['names', 'places', 'list', 'count'];

/** @param calculated resolves an expression: after what is bound before it, and as the value of an option where it is one's */
export function checkConfigs(
  declared: Declared,
  report: Report,
  decl: VariantDecl,
  calculated: (e: Expr, bound: ReadonlySet<string>, option: OptionParam | undefined) => void,
): void {
  const backbone = backboneOf(declared, decl);
  for (const entry of backbone ? decl.names.flatMap((block) => block.entries) : []) {
    if (entry.kind === 'unseen') for (const option of entry.options) checkOption(report, option, backbone!);
  }
  for (const block of decl.configs) {
    // What a `processor` calculates may ask for the backbone's options.
    const bound = new Set<string>(block.kind === 'processor' ? backbone?.params.map((p) => p.name.name) : []);
    for (const entry of block.entries) {
      checkEntry(report, block, entry, backbone);
      const name = entry.kind === 'bind' ? entry.name.name : undefined;
      const option = block.kind === 'config' ? backbone?.params.find((p) => p.name.name === name) : undefined;
      for (const e of calculations(block, entry)) calculated(e, bound, option);
      if (name !== undefined) bound.add(name);
    }
  }
}

/** What an entry calculates, as opposed to what it reads. */
function calculations(block: ConfigBlock, e: ConfigEntry): Expr[] {
  if (e.kind === 'bind') return alternatives(e.value).filter((a) => !readingOf(a) && !readerOf(a));
  if (e.kind !== 'default' && e.kind !== 'set') return [];
  return block.kind === 'config' && e.value.kind === 'name' ? [] : [e.value];
}

function checkEntry(report: Report, block: ConfigBlock, e: ConfigEntry, backbone: ModuleDecl | undefined): void {
  const wrong = (at: Expr, expected: string): void =>
    report.add('ESP0257', { block: block.kind, expected }, { primary: { span: at.span, text: 'not this' } });
  const misplaced = (word: string): void =>
    report.add(
      'ESP0220',
      { what: `\`${word}\``, where: `a \`${block.kind}\`; it belongs in a \`config\`` },
      { primary: { span: e.span, text: 'here' } },
    );
  switch (e.kind) {
    case 'match':
    case 'several':
    case 'only':
      if (e.kind !== 'match' && block.kind === 'processor') misplaced(e.kind);
      if (!isPath(e.field)) wrong(e.field, 'a field, or several of which the first that is there counts: "a" or "b"');
      for (const v of e.values)
        if (!isValue(v)) wrong(v, 'a text, a number, true, false, or none where the field may be absent');
      return;
    case 'labels':
      if (block.kind === 'processor') misplaced(e.kind);
      if (!alternatives(e.field).every((a) => isNames(a) || (readerOf(a) === 'count' && readingOf(a))))
        wrong(
          e.field,
          'the field that has the names of the classes, `count("field")`, how many there are, or names where the file has none',
        );
      return;
    case 'sizes':
      if (block.kind === 'processor') misplaced(e.kind);
      if (!isPath(e.field)) wrong(e.field, 'the field that has the name of the published model');
      return;
    case 'default':
      if (block.kind === 'config') {
        report.add(
          'ESP0257',
          { block: block.kind, expected: '`option = "field"`, `match "field" = "value"` or `set "field" = value`' },
          { primary: { span: e.span, text: 'not this' } },
        );
      }
      return;
    case 'set':
      if (block.kind === 'config' && e.value.kind === 'name' && !CLASSES.includes(e.value.name)) {
        wrong(e.value, '`names`, `places`, `list`, `count`, or a value');
      }
      return;
    case 'bind':
      for (const a of alternatives(e.value)) {
        const reader = readerOf(a);
        const args = a.kind === 'call' ? a.args : [];
        if (!reader) continue;
        const [first, ...spellings] = args;
        const plain = first !== undefined && !first.name && readingOf(a) !== undefined;
        const named = (s: Arg) => s.name !== undefined && (s.value.kind === 'name' || s.value.kind === 'none');
        const more = reader === 'word' ? spellings.every(named) : spellings.length === 0;
        if (!plain || !more) wrong(a, reader === 'word' ? '`word("field", spelling: word)`' : `\`${reader}("field")\``);
      }
      if (block.kind === 'config' && backbone) checkOption(report, e.name, backbone);
  }
}

function checkOption(report: Report, option: Ident, backbone: ModuleDecl): void {
  const options = backbone.params.map((p) => p.name.name);
  if (options.includes(option.name)) return;
  report.add(
    'ESP0203',
    { option: option.name, of: backbone.name.name },
    { primary: { span: option.span, text: 'no such option' }, help: optionHelp(option.name, options) },
  );
}

const isPath = (e: Expr): boolean => pathsOf(e) !== undefined;

/** The field that has names, or the names themselves. */
const isNames = (e: Expr): boolean =>
  e.kind === 'string' || (e.kind === 'list' && e.items.length > 0 && e.items.every((i) => i.kind === 'string'));

const isValue = (e: Expr): boolean =>
  e.kind === 'string' || e.kind === 'number' || e.kind === 'bool' || e.kind === 'none';
