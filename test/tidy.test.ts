/** The house rules of STYLE.md that a program can check. Each rule is also shown a bad file, so that it is known to bite. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as ts from 'typescript/unstable/ast';
import { isTest, lineOf, projectOf, walk, wholeProject } from './project.ts';
import {
  type Check,
  changedMigrations,
  cycles,
  inputOrOutput,
  isData,
  longFiles,
  longFunctions,
  unexplainedDependencies,
  wrongDirections,
} from './structure.ts';

type Applies = (path: string) => boolean;
const anywhere: Applies = () => true;
const inProgram: Applies = (path) => path.startsWith('src/') && !isTest(path);

/** A rule about single pieces of syntax. */
function syntax(applies: Applies, breaks: (node: ts.Node, tree: ts.SourceFile) => boolean): Check {
  return ({ trees }) =>
    [...trees]
      .filter(([path]) => applies(path))
      .flatMap(([path, tree]) => {
        const findings: string[] = [];
        walk(tree, (node) => {
          if (!breaks(node, tree)) return;
          const text = node.getText(tree).split('\n')[0];
          findings.push(`${path}:${lineOf(tree, node.getStart(tree))} ${text}`);
        });
        return findings;
      });
}

/** A rule about lines of text. */
function text(applies: Applies, pattern: RegExp): Check {
  return ({ files }) =>
    [...files]
      .filter(([path]) => applies(path))
      .flatMap(([path, content]) =>
        content
          .split('\n')
          .flatMap((line, index) =>
            pattern.test(line) ? [`${path}:${index + 1} ${line.trim().slice(0, 120)}`] : [],
          ),
      );
}

function identifier(applies: Applies, ...names: string[]): Check {
  return syntax(applies, (node) => ts.isIdentifier(node) && names.includes(node.text));
}

/** `as const` narrows and cannot lie; any other assertion says on its lines, or just above, why it is true. */
function unexplainedAs(node: ts.Node, tree: ts.SourceFile): boolean {
  if (node.kind === ts.SyntaxKind.TypeAssertionExpression) return true;
  if (!ts.isAsExpression(node) || node.type.getText(tree) === 'const') return false;
  const from = lineOf(tree, node.type.getStart(tree)) - 3;
  const near = tree.text.split('\n').slice(Math.max(from, 0), lineOf(tree, node.getEnd()));
  return !near.some((line) => /\/\/ as: \S+/.test(line));
}

function defaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  return node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent);
}

/** A type may be passed on; what runs has one address. */
function reExport(node: ts.Node): boolean {
  return ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined && !node.isTypeOnly;
}

const ledgerTables =
  /\b(from|join|into|update|truncate|table)\s+(only\s+)?"?(ledger_accounts|transfers|holds|receipts|instances)\b/i;
const registries =
  /registry\.(npmjs|yarnpkg)\b|pypi\.org|pythonhosted\.org|(registry|index-url)\s*=\s*https?:/;
const vague = /(^|\/)(index|utils?|helpers?|services?|common|misc)(\.ts$|\/)/;
/** The rules about text would find themselves here. */
const elsewhere: Applies = (path) => path !== 'test/tidy.test.ts';

/** Lines of functions that are longer than they should be, by "path name": the numbers may only fall. */
const allowedFunctions: Readonly<Record<string, number>> = {};
/** Why a file is longer than it should be. */
const allowedFiles: Readonly<Record<string, string>> = {
  'test/upstreams.test.ts': 'one list of everything an upstream may do, with what we make of it',
};

/** What the rule says, how it is checked, and a project, as text by path, in which it must find something. */
const rules: readonly [says: string, check: Check, bad: Readonly<Record<string, string>>][] = [
  ['imports run downwards', wrongDirections, { 'src/wallet/a.ts': "import '../gateway/b.ts';" }],
  ['every folder has its layer', wrongDirections, { 'src/stuff/a.ts': '' }],
  [
    'dialects and catalogue do no input or output',
    inputOrOutput,
    { 'src/dialects/a.ts': "import 'node:fs';" },
  ],
  ['no import cycles', cycles, { 'src/a.ts': "import './b.ts';", 'src/b.ts': "import './a.ts';" }],
  [
    'functions have at most 70 lines',
    longFunctions(allowedFunctions),
    { 'src/a.ts': `function f() {${'\n'.repeat(70)}}` },
  ],
  ['files have at most 400 lines', longFiles(allowedFiles), { 'src/a.ts': '\n'.repeat(401) }],
  [
    'the data of the catalogue, which may be longer, is data only',
    syntax(isData, ts.isFunctionLikeDeclaration),
    { 'src/catalogue/authors/a.ts': 'const price = () => 1;' },
  ],
  [
    'no any',
    syntax(anywhere, (node) => node.kind === ts.SyntaxKind.AnyKeyword),
    { 'src/a.ts': 'let a: any;' },
  ],
  [
    'no suppressed type errors',
    text(elsewhere, /@ts-(ignore|expect-error|nocheck)/),
    { 'src/a.ts': '// @ts-ignore' },
  ],
  [
    'no non-null assertions',
    syntax(anywhere, (node) => node.kind === ts.SyntaxKind.NonNullExpression),
    { 'src/a.ts': 'f(a!);' },
  ],
  [
    '"as" gives its reason',
    syntax(anywhere, unexplainedAs),
    { 'src/a.ts': 'const a = b as string;' },
  ],
  [
    'the environment is read in src/config.ts only',
    syntax(
      (path) => inProgram(path) && path !== 'src/config.ts',
      (node, tree) => ts.isPropertyAccessExpression(node) && node.getText(tree) === 'process.env',
    ),
    { 'src/a.ts': 'f(process.env.HOME);' },
  ],
  [
    'only src/wallet touches ledger tables',
    text((path) => inProgram(path) && !/^src\/(wallet|db\/migrations)\//.test(path), ledgerTables),
    { 'src/gateway/a.ts': 'sql`SELECT 1 FROM holds`;' },
  ],
  [
    'money becomes text in src/wallet/money.ts only',
    identifier(
      (path) => inProgram(path) && !/^src\/(wallet\/money\.ts$|db\/)/.test(path),
      'parseFloat',
      'toFixed',
    ),
    { 'src/a.ts': 'price.toFixed(2);' },
  ],
  [
    'no console in the program',
    identifier(inProgram, 'console'),
    { 'src/a.ts': 'console.log(1);' },
  ],
  [
    'nothing is left for later in a comment',
    text(elsewhere, /\b(FIXME|TODO|XXX)\b/),
    { 'docs/a.md': 'TODO: write' },
  ],
  ['no default exports', syntax(anywhere, defaultExport), { 'src/a.ts': 'export default 1;' }],
  ['no barrels', syntax(anywhere, reExport), { 'src/a.ts': "export { b } from './b.ts';" }],
  [
    'no vague names',
    ({ files }) => [...files.keys()].filter((path) => vague.test(path)),
    { 'src/utils/a.ts': '' },
  ],
  [
    'released migrations do not change',
    changedMigrations,
    {
      'src/db/migrations/001_a.sql': '',
      'src/db/migrations/released.sha256': `${'0'.repeat(64)}  001_a.sql`,
    },
  ],
  [
    'runtime dependencies have their reason in ARCHITECTURE.md',
    unexplainedDependencies,
    {
      'package.json': '{"dependencies":{"left-pad":"1.0.0"}}',
      'ARCHITECTURE.md': '`left-pad` pads',
    },
  ],
  [
    'the lockfile carries no download addresses',
    text((path) => path === 'package-lock.json', /"resolved":/),
    { 'package-lock.json': '"resolved": "https://example.com/a.tgz"' },
  ],
  [
    'no file names a package registry',
    text(anywhere, registries),
    { '.npmrc': `registry=${'https:'}//example.com/` },
  ],
];

describe('house rules', () => {
  const project = wholeProject();
  for (const [says, check] of rules) test(says, () => assert.deepEqual(check(project), []));
});

describe('house rules bite', () => {
  const project = (bad: Readonly<Record<string, string>>) =>
    projectOf(new Map(Object.entries(bad)));
  for (const [says, check, bad] of rules)
    test(says, () => assert.notDeepEqual(check(project(bad)), []));
  test('the list of long functions may only shrink', () => {
    const check = longFunctions({ 'src/a.ts f': 80 });
    assert.notDeepEqual(check(project({ 'src/a.ts': 'function f() {}' })), []);
  });
});
