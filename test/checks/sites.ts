/**
 * Every place in the sources that refuses or reports bad input: a message of the catalogue, or a typed error. A function that does nothing but
 * refuse (`wrong(problem)`) is no check; each of its calls is one. A check is switched off by an edit of its source text: a throw or a report
 * is passed over, an entry of a list is left out, a result is undefined, and where a message has to be there it is an empty warning.
 */
import { relative } from 'node:path';
import { type CallExpression, type Expression, Node, Project, SyntaxKind } from 'ts-morph';

export interface Site {
  /** `src/dsl/parse.ts:54 ESP0105`, with the column where a line has several. */
  readonly id: string;
  readonly file: string;
  /** The code of the message, or the class of the error that its catcher makes a message of. */
  readonly code: string;
  readonly start: number;
  readonly end: number;
  readonly before: string;
  readonly after: string;
}

/** Errors without a code of their own: whoever catches them makes a message of them. */
const UNCODED = ['ShapeError', 'DataError', 'Refusal', 'PatternError', 'TensorTooLarge', 'HalfOverflow'];

interface Place {
  readonly node: Node;
  readonly kind: 'statement' | 'entry' | 'nothing' | 'mute';
  readonly code: string;
}

/** All checks of these files, by file and place; `unswitchable` are those for which no edit is right. */
export function findSites(root: string, globs: readonly string[]): { sites: Site[]; unswitchable: string[] } {
  const project = new Project({ tsConfigFilePath: `${root}/tsconfig.json`, skipAddingFilesFromTsConfig: true });
  const files = project.addSourceFilesAtPaths([...globs]);
  const classes = new Map<string, string>();
  for (const file of files)
    for (const c of file.getClasses()) {
      const code = /super\(\s*'(ESP\d{4})'/.exec(c.getText())?.[1];
      if (c.getName() && code) classes.set(c.getName()!, code);
    }
  for (const name of UNCODED) classes.set(name, name);

  const places = new Map<Node, Place>();
  const unswitchable = new Set<string>();
  const where = (node: Node) => `${relative(root, node.getSourceFile().getFilePath())}:${node.getStartLineNumber()}`;
  const seen = new Set<Node>();

  /** From an expression that makes a message or an error to what is left out with it. */
  const climb = (from: Expression, code: string): void => {
    let expr: Node = from;
    for (;;) {
      const parent: Node = expr.getParentOrThrow();
      if (isWrapping(parent, expr)) expr = parent;
      else if (Node.isThrowStatement(parent) || Node.isExpressionStatement(parent)) {
        if (helper(expr, code)) return;
        places.set(parent, { node: parent, kind: 'statement', code });
        return;
      } else if (Node.isReturnStatement(parent) || (Node.isArrowFunction(parent) && parent.getBody() === expr)) {
        if (helper(expr, code)) return;
        value(expr, code);
        return;
      } else if (Node.isArrayLiteralExpression(parent)) {
        places.set(expr, { node: expr, kind: 'entry', code });
        return;
      } else {
        value(expr, code);
        return;
      }
    }
  };

  /** An expression whose value is used. */
  const value = (expr: Node, code: string): void => {
    if (!Node.isExpression(expr)) return;
    const type = expr.getType();
    const wanted = expr.getContextualType();
    const optional = type.isNever() || type.isVoid() || wanted?.isNullable() === true || absentElsewhere(expr);
    if (optional) places.set(expr, { node: expr, kind: 'nothing', code });
    else if (type.getSymbol()?.getName() === 'Diagnostic') places.set(expr, { node: expr, kind: 'mute', code });
    else if (type.isString()) places.set(expr, { node: expr, kind: 'nothing', code });
    else unswitchable.add(`${where(expr)} ${code}`);
  };

  /** Whether the function around does nothing but this: then its calls are the checks. */
  const helper = (node: Node, code: string): boolean => {
    const owner = onlyRefuses(node);
    const name = owner && nameOf(owner);
    if (!owner || !name) return false;
    if (seen.has(owner)) return true;
    const calls = callsOf(name);
    if (!calls || calls.length === 0) return false;
    seen.add(owner);
    for (const call of calls) climb(call, code);
    return true;
  };

  /** All calls of a function, also under the parameters that it is handed on as; undefined if it goes anywhere else. */
  const callsOf = (name: Node): CallExpression[] | undefined => {
    if (!Node.isReferenceFindable(name)) return undefined;
    const calls: CallExpression[] = [];
    for (const reference of name.findReferencesAsNodes()) {
      if (reference === name || reference.getFirstAncestorByKind(SyntaxKind.ImportDeclaration)) continue;
      const up = reference.getParentOrThrow();
      const callee = Node.isPropertyAccessExpression(up) && up.getNameNode() === reference ? up : reference;
      const call = callee.getParentOrThrow();
      if (Node.isExportSpecifier(up)) continue;
      if (!Node.isCallExpression(call)) return undefined;
      if (call.getExpression() === callee) calls.push(call);
      else {
        const made = call.getExpression().getSymbol()?.getValueDeclaration();
        const param = Node.isFunctionDeclaration(made) && made.getParameters()[call.getArguments().indexOf(callee)];
        const further = param ? callsOf(param.getNameNode()) : undefined;
        if (!further) return undefined;
        calls.push(...further);
      }
    }
    return calls;
  };

  for (const file of files) {
    // What makes the errors, and what the catalogue says of each.
    if (/runtime\/errors\.ts$|src\/diagnostics\//.test(file.getFilePath())) continue;
    for (const node of file.getDescendants()) {
      if (Node.isCallExpression(node)) {
        const code = /^'(ESP\d{4})'$/.exec(node.getArguments()[0]?.getText() ?? '')?.[1];
        if (code && !node.getFirstAncestorByKind(SyntaxKind.BinaryExpression)?.getText().startsWith('code =='))
          climb(node, code);
      } else if (Node.isNewExpression(node)) {
        const code = classes.get(node.getExpression().getText());
        if (code) climb(node, code);
      }
    }
  }

  const sites = [...places.values()]
    .sort(
      (a, b) =>
        where(a.node).localeCompare(where(b.node), 'en', { numeric: true }) || a.node.getStart() - b.node.getStart(),
    )
    .map((place) => ({ place, file: relative(root, place.node.getSourceFile().getFilePath()) }));
  const lines = new Map<string, number>();
  for (const { place } of sites) lines.set(where(place.node), (lines.get(where(place.node)) ?? 0) + 1);
  return {
    sites: sites.map(({ place: { node, kind, code }, file }, n) => {
      const column = node.getSourceFile().getLineAndColumnAtPos(node.getStart()).column;
      const id = `${where(node)}${lines.get(where(node))! > 1 ? `:${column}` : ''} ${code}`;
      return { id, file, code, start: node.getStart(), end: node.getEnd(), ...edit(kind, n) };
    }),
    unswitchable: [...unswitchable].sort(),
  };
}

/** `__check(n)` says whether check n is on, and notes that it was reached. */
function edit(kind: Place['kind'], n: number): { before: string; after: string } {
  if (kind === 'statement') return { before: `{ if (__check(${n})) `, after: ' }' };
  if (kind === 'entry') return { before: `...(__check(${n}) ? [`, after: '] : [])' };
  if (kind === 'nothing') return { before: `(__check(${n}) ? `, after: ' : undefined as never)' };
  return { before: `__mute(${n}, `, after: ')' };
}

/** `new EspalierError([expr])`, `at(expr, span)`, `found.push(expr)`: with the expression, these go too. */
function isWrapping(parent: Node, expr: Node): boolean {
  if (Node.isParenthesizedExpression(parent) || Node.isAsExpression(parent) || Node.isAwaitExpression(parent))
    return true;
  if (Node.isArrayLiteralExpression(parent)) {
    const made = parent.getParent();
    return (
      parent.getElements().length === 1 &&
      Node.isNewExpression(made) &&
      made.getExpression().getText() === 'EspalierError'
    );
  }
  if (Node.isNewExpression(parent)) return parent.getExpression().getText() === 'EspalierError';
  if (Node.isConditionalExpression(parent)) return Node.isThrowStatement(parent.getParent());
  if (!Node.isCallExpression(parent) || parent.getExpression() === expr) return false;
  const callee = parent.getExpression();
  if (Node.isPropertyAccessExpression(callee) && callee.getName() === 'push') return parent.getArguments().length === 1;
  return /^(Diagnostic|never|void)$|Error$/.test(parent.getType().getSymbol()?.getName() ?? parent.getType().getText());
}

/** In `c ? expr : undefined` nothing may stand in its place; so on the right of `??`. */
function absentElsewhere(expr: Node): boolean {
  const parent = expr.getParent();
  if (Node.isConditionalExpression(parent)) {
    const other = parent.getWhenTrue() === expr ? parent.getWhenFalse() : parent.getWhenTrue();
    return other.getText() === 'undefined';
  }
  return Node.isBinaryExpression(parent) && parent.getRight() === expr;
}

/** The function around `node`, if every call of it comes to `node`. */
function onlyRefuses(node: Node): Node | undefined {
  let child = node;
  // What gives errors and nothing else may have many ends.
  const around = node.getFirstAncestor(Node.isFunctionLikeDeclaration);
  if (
    around &&
    !Node.isConstructorDeclaration(around) &&
    /Error$/.test(around.getReturnType().getSymbol()?.getName() ?? '')
  )
    return around;
  for (let at = node.getParent(); at; child = at, at = at.getParent()) {
    if (Node.isFunctionDeclaration(at) || Node.isMethodDeclaration(at) || Node.isArrowFunction(at)) return at;
    if (Node.isFunctionExpression(at) || Node.isConstructorDeclaration(at) || Node.isSourceFile(at)) return undefined;
    if (Node.isConditionalExpression(at) && at.getCondition() !== child) return undefined;
    if (Node.isBinaryExpression(at) && at.getRight() === child) return undefined;
    if (
      Node.isIfStatement(at) ||
      Node.isCaseClause(at) ||
      Node.isDefaultClause(at) ||
      Node.isTryStatement(at) ||
      Node.isCatchClause(at) ||
      Node.isIterationStatement(at)
    )
      return undefined;
    if (Node.isBlock(at)) {
      const before = at.getStatements().slice(0, at.getStatements().indexOf(child as never));
      if (before.some(mayLeave)) return undefined;
    }
  }
  return undefined;
}

/** Whether a statement may end the function. */
function mayLeave(statement: Node): boolean {
  if (Node.isReturnStatement(statement) || Node.isThrowStatement(statement)) return true;
  let leaves = false;
  statement.forEachDescendant((node, walk) => {
    if (Node.isFunctionLikeDeclaration(node)) walk.skip();
    else if (Node.isReturnStatement(node) || Node.isThrowStatement(node)) leaves = true;
  });
  return leaves;
}

function nameOf(owner: Node) {
  if (Node.isFunctionDeclaration(owner)) return owner.getNameNode();
  if (Node.isMethodDeclaration(owner)) {
    const name = owner.getNameNode();
    return Node.isIdentifier(name) || Node.isPrivateIdentifier(name) ? name : undefined;
  }
  const variable = owner.getParent();
  if (!Node.isVariableDeclaration(variable)) return undefined;
  const name = variable.getNameNode();
  return Node.isIdentifier(name) ? name : undefined;
}

/** A source text in which each of its checks asks `__check` first; lines stay where they are. */
export function withSwitches(text: string, sites: readonly Site[]): string {
  const inserts = sites.flatMap(({ start, end, before, after }) => [
    // Of two that begin together the longer one is outside; of two that end together, too.
    { at: start, text: before, order: -end },
    { at: end, text: after, order: -start },
  ]);
  inserts.sort((a, b) => b.at - a.at || b.order - a.order);
  let out = text;
  for (const { at, text: inserted } of inserts) out = out.slice(0, at) + inserted + out.slice(at);
  return out;
}
