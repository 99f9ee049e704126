/** The table of docs/translation.md says of each compatible provider what its quirks do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { openaiOnly, type Quirks, usualQuirks } from '../dialects/quirks.ts';
import { providerEntries } from './catalogue.ts';

const page = readFileSync(new URL('../../docs/translation.md', import.meta.url), 'utf8');

function listed(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function lacking({ lacks = [], takes }: Quirks): string {
  if (takes) return `all but ${listed(takes.toSorted())}`;
  return listed(lacks.filter((name) => !openaiOnly.includes(name)));
}

const choices = {
  none: '`none`',
  required: '`required`',
  named: 'a tool by name',
} as const;

function toolChoice({ toolChoices }: Quirks): string {
  const all = ['none', 'required', 'named'] as const;
  const missing = toolChoices ? all.filter((form) => !toolChoices.includes(form)) : [];
  return missing.map((form) => choices[form]).join(', ');
}

function reasoning({ reasoning: form }: Quirks): string {
  if (!form) return '`reasoning_effort`';
  const [name = ''] = Object.keys(form.on);
  const { effort, budget } = form;
  return listed([name, ...(effort ? ['reasoning_effort'] : []), ...(budget ? [budget] : [])]);
}

function cell(text: string): string {
  return text === '' ? '' : ` ${text}`;
}

test('the table of providers is that of the catalogue', () => {
  const rows = providerEntries.flatMap(({ name, quirks }) => {
    if (!quirks || quirks === usualQuirks || !('lacks' in quirks)) return [];
    const { temperature } = quirks;
    const range = temperature ? `${temperature[0]} to ${temperature[1]}` : '';
    const cells = [name, lacking(quirks), toolChoice(quirks), reasoning(quirks), range];
    return [`|${cells.map((text) => `${cell(text)} |`).join('')}`];
  });
  assert.ok(rows.length > 8);
  for (const row of rows)
    assert.ok(page.includes(`\n${row}\n`), `docs/translation.md lacks\n${row}`);
  const others = providerEntries.filter(({ quirks }) => quirks === usualQuirks);
  const names = others.map(({ name }) => name).join(', ');
  assert.ok(page.includes(names), `docs/translation.md lacks\n${names}`);
});
