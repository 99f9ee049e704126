/** The text of the documentation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** @param page its path in the project, as `docs/errors.md` */
export function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** Rows of the tables whose first cell is code: the cells without backticks. */
export function rowsOf(page: string, heading: string): string[][] {
  const section =
    textOf(page)
      .split(/^## /m)
      .find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = [...section.matchAll(/^\| (.+) \|$/gm)].map(([, row = '']) => row.split(' | '));
  return rows
    .filter(([first]) => /`|\d/.test(first ?? ''))
    .map((row) => row.map((cell) => cell.replaceAll('`', '')));
}
