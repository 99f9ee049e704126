/** The sources of this project as text and as syntax trees, for the house rules. */

import assert from 'node:assert/strict';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join, posix } from 'node:path';
import * as ts from 'typescript/unstable/ast';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { API } from 'typescript/unstable/sync';

/** Text by path; and the syntax tree of each TypeScript file. */
export interface Project {
  readonly files: ReadonlyMap<string, string>;
  readonly trees: ReadonlyMap<string, ts.SourceFile>;
}
export function projectOf(files: ReadonlyMap<string, string>): Project {
  const sources = [...files.keys()].filter((path) => path.endsWith('.ts'));
  const virtual = Object.fromEntries(sources.map((path) => [`/${path}`, files.get(path) ?? '']));
  virtual['/tsconfig.json'] = JSON.stringify({
    compilerOptions: { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true },
    files: sources,
  });
  const compiler = new API({ cwd: '/', fs: createVirtualFileSystem(virtual) });
  try {
    const snapshot = compiler.updateSnapshot({ openProjects: ['/tsconfig.json'] });
    const program = snapshot.getProject('/tsconfig.json')?.program;
    const trees = sources.map((path): [string, ts.SourceFile] => {
      const tree = program?.getSourceFile(`/${path}`);
      assert.ok(tree, `${path} could not be parsed`);
      return [path, tree];
    });
    return { files, trees: new Map(trees) };
  } finally {
    compiler.close();
  }
}

const root = join(import.meta.dirname, '..');
const notOurs =
  /(^|\/)(node_modules|data|\.git|\.cache)(\/|$)|\.log$|(^|\/)\.env$|package-lock\.json$/;
/** Everything that the repository holds, save what .gitignore names. */
export function wholeProject(): Project {
  const paths = globSync('{*,.*,{.ci,bench,bin,deploy,docs,src,test,web}/**/*}', { cwd: root });
  const kept = paths.filter((path) => !notOurs.test(path) && statSync(join(root, path)).isFile());
  const read = (path: string): [string, string] => [path, readFileSync(join(root, path), 'utf8')];
  return projectOf(new Map(['package-lock.json', ...kept.sort()].map(read)));
}

export const isTest = (path: string): boolean =>
  /^(test|bench)\//.test(path) || path.endsWith('.test.ts');

export const lineOf = (tree: ts.SourceFile, position: number): number =>
  tree.getLineAndCharacterOfPosition(position).line + 1;

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  node.forEachChild((child) => walk(child, visit));
}

/** Paths that a file imports; `typesToo` counts those that vanish when it runs. */
export function imports(path: string, tree: ts.SourceFile, typesToo: boolean): string[] {
  const found: string[] = [];
  walk(tree, (node) => {
    let from: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) from = node.moduleSpecifier;
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      from = node.arguments[0];
    if (!from || !ts.isStringLiteral(from)) return;
    if (!typesToo && /^(import|export) type\b/.test(node.getText(tree))) return;
    found.push(from.text.startsWith('.') ? posix.join(posix.dirname(path), from.text) : from.text);
  });
  return found;
}
