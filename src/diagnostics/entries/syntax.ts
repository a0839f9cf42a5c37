/** Messages ESP01xx: how a spec is written, as text or as JSON. */
import { entry } from './define.js';

const fence = (text: string): string => `\`\`\`peft\n${text}\n\`\`\``;

export const SYNTAX = {
  ESP0101: entry<{ expected: string; found: string }>({
    title: 'Something else was expected here',
    message: (a) => `expected ${a.expected}, found ${a.found}`,
    explain: `The text cannot go on like this: the message names what the language allows at this place and what stands there.

${fence('model M {\n  base = vit(patch: 16 dim: 768)   // expected `,` or `)`, found `dim`\n}')}

The cure is nearly always at the place that is marked or just before it: here a comma between two arguments.
One statement stands on a line. It goes on in the next line inside parentheses and square brackets, after an operator, a comma,
\`->\` or \`=\`, and when the next line starts with an operator other than \`-\`, with \`.\`, \`else\`, \`with\` or \`from\`.`,
  }),

  ESP0102: entry<{ open: string; close: string; found: string }>({
    title: 'A bracket is never closed',
    message: (a) => `\`${a.open}\` is never closed: expected \`${a.close}\`, found ${a.found}`,
    explain: `Every \`(\`, \`[\` and \`{\` needs its closing partner. The message shows where the bracket was opened and how far Espalier
could read before its partner had to come.

${fence('module Mlp(dim: int) {\n  fc1 = Linear(dim -> 4 * dim      // `(` is never closed\n  fc2 = Linear(4 * dim -> dim)\n}')}

If a \`}\` stands at another indentation than the line that opened its block, the message points there too: often that is the place.`,
  }),

  ESP0103: entry<{ close: string }>({
    title: 'A closing bracket has no partner',
    message: (a) => `\`${a.close}\` closes nothing`,
    help: (a) => [`Remove this \`${a.close}\`, or open its partner before it.`],
    explain: `A \`)\`, \`]\` or \`}\` stands where no bracket of its kind is open.

${fence('use std\n\n}')}

Remove it, or look for the opening bracket that was removed.`,
  }),

  ESP0104: entry<{ text: string; count: number }>({
    title: 'A character that the language does not use',
    message: (a) => `unknown character${a.count > 1 ? 's' : ''} ${a.text}`,
    explain: `Outside strings and comments a spec is made of ASCII letters, digits, \`_\` and the marks of the language.

${fence("x = 'text'      // strings stand in double quotes\ny = !flag       // logic is written with words: not, and, or\n# note          // comments start with //")}`,
  }),

  ESP0105: entry({
    title: 'A string is never closed',
    message: () => 'this string is never closed',
    help: () => ['A string ends on its line, with `"`. Write `\\n` for a line break and `\\"` for a quote inside it.'],
    explain: `A string stands between double quotes on one line.

${fence('base = vit() from "./weights')}

Add the closing quote.`,
  }),

  ESP0106: entry<{ escape: string }>({
    title: 'An unknown escape in a string',
    message: (a) => `unknown escape \`${a.escape}\``,
    help: () => [
      'The escapes are `\\"`, `\\\\`, `\\n`, `\\r`, `\\t` and `\\u{hex}`. Paths are written with `/` on every system.',
    ],
    explain: `After a backslash in a string only \`"\`, \`\\\`, \`n\`, \`r\`, \`t\` and \`u{hex}\` may stand.

${fence('base = vit() from "C:\\weights"')}

Write \`\\\\\` for a backslash; paths may use \`/\` on Windows too.`,
  }),

  ESP0107: entry<{ text: string; why: string }>({
    title: 'A number out of range',
    message: (a) => `the number \`${a.text}\` ${a.why}`,
    explain: `Whole numbers must be at most 2^53 - 1 so that they are kept exactly; other numbers must be finite 64-bit floats.

${fence('seed = 99999999999999999999')}`,
  }),

  ESP0108: entry({
    title: 'An `if` without `else` has no value',
    message: () => 'this `if` needs an `else`: its value is used',
    help: () => ['Add `else { ... }` with the value for the other case.'],
    explain: `An \`if\` whose value is used must have one in every case.

${fence('width = if rescale == channel { out }              // and otherwise?\nwidth = if rescale == channel { out } else { 1 }   // good')}

An \`if\` that only holds statements needs no \`else\`.`,
  }),

  ESP0109: entry<{ limit: number }>({
    title: 'Nested too deeply',
    message: (a) => `nested more than ${a.limit} levels deep`,
    help: () => ['Give parts of it names of their own: `name = expression`.'],
    explain: `Brackets, blocks and expressions may be nested only so deep; this keeps every part of the compiler within its stack. Nobody
writes such a spec by hand: if a program writes yours, let it bind intermediate values to names.`,
  }),

  ESP0110: entry<{ size: string; limit: string }>({
    title: 'The file is too large',
    message: (a) => `the file is ${a.size} large; a spec may be at most ${a.limit}`,
    help: () => ['Is this a weights file? Weights are named in a spec with `from "..."`.'],
    explain:
      'A spec is a text of a few hundred lines. The limit protects against reading weights or data as a spec by mistake.',
  }),

  ESP0111: entry<{ why: string }>({
    title: 'Not a text file',
    message: (a) => `this is not a text file: ${a.why}`,
    help: () => ['A spec is UTF-8 text. Weights are named in a spec with `from "..."`.'],
    explain:
      'The file holds bytes that no text holds. Probably a weights file or an archive was given where a spec was expected.',
  }),

  ESP0112: entry<{ found: string; meant: string }>({
    title: 'A misspelt keyword',
    message: (a) => `unknown keyword \`${a.found}\`; did you mean \`${a.meant}\`?`,
    explain: `A word stands where only a keyword can stand, and it is close to one.

${fence('adaptor lora(rank: int) on base: Linear(in -> out) { ... }   // adapter')}

Files are made of \`use\`, \`module\`, \`backbone\`, \`adapter\`, \`criterion\`, \`variant\`, \`model\`, \`train\` and \`deploy\`; models of bindings,
\`in\`, \`adapt\`, \`prune\`, \`tune\` and \`if\`; modules and adapters of bindings, \`site\`, \`forward\`, \`if\` and \`for\`.`,
  }),

  ESP0113: entry<{ name: string }>({
    title: 'An argument is passed with `:`',
    message: (a) => `the argument \`${a.name}\` is passed with \`:\`, not with \`=\``,
    help: (a) => [
      `Write \`${a.name}: value\`. In parentheses \`name: value\` passes; in blocks \`name = value\` binds.`,
    ],
    explain: `There is one form for each thing: \`name: value\` passes an argument, in parentheses, and \`name = value\` binds a name, in blocks.

${fence('karst(rank = 8)   // wrong\nkarst(rank: 8)    // right')}`,
  }),

  ESP0114: entry<{ name: string }>({
    title: 'A name is bound with `=`',
    message: (a) => `the name \`${a.name}\` is bound with \`=\`, not with \`:\``,
    help: (a) => [
      `Write \`${a.name} = value\`. In blocks \`name = value\` binds; in parentheses \`name: value\` passes.`,
    ],
    explain: `There is one form for each thing: \`name = value\` binds a name, in blocks, and \`name: value\` passes an argument, in parentheses.

${fence('deploy M {\n  batch: 8     // wrong\n  batch = 8    // right\n}')}`,
  }),

  ESP0115: entry<{ name: string }>({
    title: 'An unknown library',
    message: (a) => `there is no library \`${a.name}\``,
    help: (a) => [
      `The standard library is \`std\`, its parts are \`std.vit\` and so on. A file of your own is named in quotes: \`use "./${a.name}.peft"\`.`,
    ],
    explain: `\`use\` takes the standard library, a part of it, or a file.

${fence('use std\nuse std.vit\nuse "./my-adapter.peft"')}`,
  }),

  ESP0116: entry<{ first: string; second: string }>({
    title: 'Comparisons do not chain',
    message: (a) => `comparisons do not chain: \`${a.first}\` and then \`${a.second}\``,
    help: () => ['Join two comparisons with `and`, or put one in parentheses.'],
    explain: `\`a < b < c\` could mean two things, so it means none.

${fence('if 0 < rank < 64 { ... }              // wrong\nif 0 < rank and rank < 64 { ... }     // right')}`,
  }),

  ESP0117: entry<{ limit: number }>({
    title: 'Too many errors',
    severity: 'note',
    message: (a) => `more than ${a.limit} errors; the rest of the file was not read`,
    explain: 'After so many errors the next ones say little. Repair the first ones and run the command again.',
  }),

  ESP0118: entry<{ text: string }>({
    title: 'A range is written with `..`',
    message: () => 'this is a ratio; a range is written with `..`',
    help: (a) => [`Write \`${a.text}\`. It is half open: the end is not part of it.`],
    explain: `\`2:4\` is a ratio (two of four weights are kept); \`2..4\` is the range 2, 3. In square brackets only ranges make sense.

${fence('x[:, 2..4]')}`,
  }),

  ESP0119: entry<{ found: string }>({
    title: 'A statement ends with its line',
    message: (a) => `expected the end of the line, found ${a.found}`,
    explain: `One statement stands on a line; there is no mark between two.

${fence('A = param [rank, in] zeros  B = param [out, rank] zeros   // wrong: two on a line')}

A statement that is too long goes on in the next line inside parentheses or brackets, after an operator or comma, or when the
next line starts with an operator other than \`-\`.`,
  }),

  ESP0120: entry({
    title: 'Block comments',
    message: () => 'there are no block comments',
    help: () => ['Start each line of the comment with `//`.'],
    explain: 'Comments start with `//` and end with their line.',
  }),

  ESP0121: entry<{ what: string }>({
    title: 'Something is given twice',
    message: (a) => `${a.what} is given twice`,
    help: () => ['Keep one of them.'],
    explain: `A variant has at most one \`preprocess\`, whose steps are separated by commas, and one \`names\` for each layout.

${fence('preprocess = resize(224, bicubic), crop(224), normalize(mean: 0.5, std: 0.5)')}`,
  }),

  ESP0122: entry<{ word: string }>({
    title: 'A keyword is used as a name',
    message: (a) => `\`${a.word}\` is a keyword and cannot be a name`,
    help: (a) => [`Choose another name, \`${a.word}_\` for example.`],
    explain:
      'The words `if`, `else`, `and`, `or`, `not`, `true`, `false` and `none` are never names. All other keywords are keywords only in their place.',
  }),
};
