/** What the messages of a conversation become at each provider that speaks OpenAI's form: roles, images, files, sound, calls, reasoning. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providerEntries } from '../catalogue/catalogue.ts';
import { dialectOf } from './dialects.ts';
import { type Fields, fields } from './members.ts';
import type { Quirks } from './quirks.ts';

const spoken = providerEntries.flatMap(({ id, dialect, quirks }) =>
  dialect === 'openai' ? [{ id, dialect: dialectOf(dialect, quirks), quirks: quirks ?? {} }] : [],
);

function sent(dialect: (typeof spoken)[number]['dialect'], messages: readonly object[]): Fields[] {
  const parsed = { model: 'a/b', messages };
  const target = {
    upstreamModel: 'm',
    tokenLimitField: 'max_tokens',
    cap: null,
    maxOutputTokens: 4096,
    constraints: [],
  } as const;
  const body = { text: JSON.stringify(parsed), parsed };
  const written = fields(JSON.parse(dialect.writeChat(body, target))).messages;
  return Array.isArray(written) ? written.map(fields) : [];
}

const parts = [
  { type: 'text', text: 'What is this?' },
  { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' } },
  { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
  { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
];
const nine = ['D681PevKs', 'E681PevKs'] as const;
const calls = nine.map((id) => ({
  id,
  type: 'function',
  function: { name: 'f', arguments: '{}' },
}));
const results = nine.map((tool_call_id) => ({ role: 'tool', tool_call_id, content: '31 °C' }));

/** Where it looks for what it thought before. */
function thoughtAt({ reasoningMember }: Quirks): Fields {
  if (reasoningMember === undefined) return {};
  if (reasoningMember !== 'content') return { [reasoningMember]: 'Hm.' };
  return { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] }] };
}

for (const { id, dialect, quirks } of spoken)
  describe(`messages for ${id}`, () => {
    test('say who is who in its own words', () => {
      const messages = [
        { role: 'developer', content: 'Be brief.' },
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hi' },
      ];
      const role = quirks.developerRole === false ? 'system' : 'developer';
      assert.deepEqual(sent(dialect, messages), [
        { role, content: 'Be brief.' },
        ...messages.slice(1),
      ]);
    });

    test('have their images, files and sound untouched', () => {
      const messages = [{ role: 'user', content: parts }];
      assert.deepEqual(sent(dialect, messages), messages);
    });

    test('bring calls side by side and their results back', () => {
      const messages = [
        { role: 'user', content: 'Weather?' },
        { role: 'assistant', content: null, tool_calls: calls },
        ...results,
      ];
      assert.deepEqual(
        sent(dialect, messages)
          .slice(0, 2 + results.length)
          .map(({ role, tool_calls, tool_call_id }) => [role, tool_calls, tool_call_id]),
        quirks.alternatingRoles
          ? [
              ['user', undefined, undefined],
              ['assistant', calls, undefined],
              ['tool', undefined, nine[0]],
            ]
          : [
              ['user', undefined, undefined],
              ['assistant', calls, undefined],
              ...nine.map((call) => ['tool', undefined, call]),
            ],
      );
    });

    test('bring back what was thought where it is looked for, or not at all', () => {
      if (id === 'openai') return;
      const messages = [
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: null, reasoning: 'Hm.', tool_calls: calls.slice(0, 1) },
        ...results.slice(0, 1),
      ];
      const [, assistant] = sent(dialect, messages);
      const { role: _, tool_calls: __, ...rest } = assistant ?? {};
      assert.deepEqual({ content: null, ...rest }, { content: null, ...thoughtAt(quirks) });
    });
  });
