/**
 * Every parameter at every dialect: it goes through, is translated, is left out or is refused, and nothing else happens to the request.
 * Left out is only what tunes: whatever would change the answer is refused where it cannot be done. docs/translation.md tells the same.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { providerEntries } from '../catalogue/catalogue.ts';
import { type Dialect, Unsupported } from './dialect.ts';
import { dialectOf, dialects } from './dialects.ts';
import { type Fields, fields } from './members.ts';

const schema = { type: 'object', properties: {}, additionalProperties: false };
const tool = { type: 'function', function: { name: 'f', parameters: schema } };
const strict = { type: 'function', function: { ...tool.function, strict: true } };
const tools = [tool];
const named = { type: 'function', function: { name: 'f' } };
const allowed_tools = { mode: 'auto', tools: [named] };

/** What is asked for, with what it cannot be asked for without. */
const asked = {
  temperature: { temperature: 1.5 },
  top_p: { top_p: 0.5 },
  top_k: { top_k: 5 },
  n: { n: 2 },
  stop: { stop: ['x'] },
  seed: { seed: 7 },
  frequency_penalty: { frequency_penalty: 1 },
  presence_penalty: { presence_penalty: 1 },
  logit_bias: { logit_bias: { '1': 5 } },
  logprobs: { logprobs: true },
  top_logprobs: { logprobs: true, top_logprobs: 2 },
  max_tokens: { max_tokens: 50 },
  max_completion_tokens: { max_completion_tokens: 50 },
  tools: { tools },
  strict: { tools: [strict] },
  auto: { tools, tool_choice: 'auto' },
  none: { tools, tool_choice: 'none' },
  required: { tools, tool_choice: 'required' },
  named: { tools, tool_choice: named },
  allowed: { tools, tool_choice: { type: 'allowed_tools', allowed_tools } },
  parallel: { tools, parallel_tool_calls: false },
  custom: { tools: [{ type: 'custom', custom: { name: 'g' } }] },
  functions: { functions: [{ name: 'f' }] },
  function_call: { functions: [{ name: 'f' }], function_call: { name: 'f' } },
  json_object: { response_format: { type: 'json_object' } },
  json_schema: {
    response_format: { type: 'json_schema', json_schema: { name: 's', strict: true, schema } },
  },
  effort: { reasoning_effort: 'high' },
  no_effort: { reasoning_effort: 'none' },
  budget: { reasoning: { max_tokens: 2000 } },
  exclude: { reasoning: { exclude: true } },
  verbosity: { verbosity: 'low' },
  prediction: { prediction: { type: 'content', content: 'a' } },
  store: { store: true },
  metadata: { metadata: { a: 'b' } },
  service_tier: { service_tier: 'auto' },
  user: { user: 'u' },
  safety_identifier: { safety_identifier: 'u' },
  prompt_cache_key: { prompt_cache_key: 'u' },
  modalities: { modalities: ['text'] },
  foreign: { foreign: 1 },
} as const satisfies Readonly<Record<string, Fields>>;

/** What may be left out: the answer is none other without it. Whatever is not here is done or refused. */
const tuning: ReadonlySet<string> = new Set([
  'temperature',
  'top_p',
  'top_k',
  'seed',
  'frequency_penalty',
  'presence_penalty',
  'strict',
  // Tools are left out with it: none can be called.
  'none',
  // It is obeyed in the answer.
  'exclude',
  'verbosity',
  'prediction',
  'store',
  'metadata',
  'service_tier',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'modalities',
  'foreign',
]);

/** `=` as it was asked, `~` in words of its own, `-` left out, `x` refused. */
const table = `
                      openai azure meta deepseek xai mistral groq together fireworks cerebras moonshot zhipu alibaba perplexity cohere minimax ollama vllm vertexOpenai anthropic gemini bedrock bedrockOther vertex vertexAnthropic
temperature           =      =     =    =        =   =       =    =        =         =        -        ~     =       =          =      ~       =      =    =            ~         ~      ~       ~            ~      ~
top_p                 =      =     =    =        =   =       =    =        =         =        =        =     =       =          =      =       =      =    =            =         ~      ~       ~            ~      =
top_k                 =      =     =    =        =   -       =    =        =         =        =        =     =       =          =      =       =      =    =            =         ~      ~       -            ~      =
n                     =      =     =    x        =   =       x    =        =         =        =        =     =       x          x      x       x      =    =            x         ~      x       x            ~      x
stop                  =      =     =    =        x   =       =    =        =         =        =        =     =       =          =      =       =      =    =            ~         ~      ~       ~            ~      ~
seed                  =      =     =    =        =   ~       =    =        =         =        =        =     =       =          =      =       =      =    =            -         ~      -       -            ~      -
frequency_penalty     =      =     =    =        -   =       =    =        =         -        =        =     =       =          =      =       =      =    =            -         ~      -       -            ~      -
presence_penalty      =      =     =    =        -   =       =    =        =         -        =        =     =       =          =      =       =      =    =            -         ~      -       -            ~      -
logit_bias            =      =     =    x        x   x       x    =        =         x        =        =     =       x          x      =       x      =    =            x         x      x       x            x      x
logprobs              =      =     =    =        =   x       x    =        =         =        =        =     =       =          =      =       =      =    =            x         ~      x       x            ~      x
top_logprobs          =      =     =    =        =   x       x    =        =         =        =        =     =       =          =      =       =      =    =            x         ~      x       x            ~      x
max_tokens            =      =     =    =        =   =       =    =        =         =        =        =     =       =          =      =       =      =    =            =         ~      ~       ~            ~      =
max_completion_tokens ~      ~     ~    ~        ~   ~       ~    ~        ~         ~        ~        ~     ~       ~          ~      ~       ~      ~    ~            ~         ~      ~       ~            ~      ~
tools                 =      =     =    =        =   =       =    =        =         =        =        =     =       x          =      =       =      =    =            ~         ~      ~       ~            ~      ~
strict                =      =     =    ~        =   ~       ~    ~        ~         ~        ~        ~     ~       x          ~      ~       ~      ~    ~            ~         ~      ~       ~            ~      ~
auto                  =      =     =    =        =   =       =    =        =         =        =        =     =       x          =      =       =      =    =            ~         ~      ~       ~            ~      ~
none                  =      =     =    =        =   =       =    =        =         =        =        -     =       x          =      =       -      =    =            ~         ~      -       -            ~      ~
required              =      =     =    =        =   =       =    =        =         =        x        x     =       x          =      =       x      =    =            ~         ~      ~       x            ~      ~
named                 =      =     =    =        =   =       =    =        =         =        =        x     =       x          =      =       x      =    =            ~         ~      ~       x            ~      ~
allowed               =      =     =    ~        =   ~       ~    ~        ~         ~        ~        ~     ~       x          ~      ~       ~      ~    ~            ~         ~      ~       ~            ~      ~
parallel              =      =     =    x        =   =       =    =        =         =        =        =     =       x          x      =       x      =    =            ~         ~      ~       x            ~      ~
custom                =      =     =    x        x   x       x    x        x         x        x        x     x       x          x      x       x      x    x            x         x      x       x            x      x
functions             =      =     =    x        x   x       x    x        x         x        x        x     x       x          x      x       x      x    x            x         x      x       x            x      x
function_call         =      =     =    x        x   x       x    x        x         x        x        x     x       x          x      x       x      x    x            x         x      x       x            x      x
json_object           =      =     =    =        =   =       =    =        =         =        =        =     =       =          =      =       =      =    =            ~         ~      ~       ~            ~      ~
json_schema           =      =     =    =        =   =       =    =        =         =        =        =     =       =          =      =       =      =    =            ~         ~      ~       x            ~      ~
effort                =      =     =    ~        =   =       =    ~        =         =        ~        ~     ~       =          =      =       =      =    =            ~         ~      ~       x            ~      ~
no_effort             =      =     =    ~        =   =       =    ~        =         =        ~        ~     ~       =          =      =       =      =    =            ~         ~      ~       x            ~      ~
budget                ~      ~     ~    ~        ~   ~       ~    ~        ~         ~        ~        ~     ~       ~          ~      ~       ~      ~    ~            ~         ~      ~       x            ~      ~
exclude               -      -     -    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         ~      -       -            ~      -
verbosity             =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
prediction            =      =     =    -        -   =       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
store                 =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
metadata              =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
service_tier          =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
user                  =      =     =    =        =   -       =    =        =         =        =        =     =       =          =      =       =      =    =            ~         -      -       -            -      ~
safety_identifier     =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            ~         -      -       -            -      ~
prompt_cache_key      =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
modalities            =      =     =    -        -   -       -    -        -         -        -        -     -       -          -      -       -      -    -            -         -      -       -            -      -
foreign               =      =     =    =        =   -       =    =        =         =        =        =     =       =          =      =       =      =    =            -         -      -       -            -      -`;

/** The words of those that speak OpenAI's form, where they are not the client's; `others`: of all that are not named. */
const ownWords: Readonly<Record<string, Readonly<Record<string, Fields>>>> = {
  temperature: { zhipu: { temperature: 1 }, minimax: { temperature: 1 } },
  seed: { mistral: { random_seed: 7 } },
  max_completion_tokens: { others: { max_tokens: 50 } },
  strict: { others: { tools } },
  allowed: { others: { tools, tool_choice: 'auto' } },
  effort: {
    deepseek: { thinking: { type: 'enabled' }, reasoning_effort: 'high' },
    together: { reasoning: { enabled: true } },
    moonshot: { thinking: { type: 'enabled' } },
    zhipu: { thinking: { type: 'enabled' } },
    alibaba: { enable_thinking: true },
  },
  no_effort: {
    deepseek: { thinking: { type: 'disabled' } },
    together: { reasoning: { enabled: false } },
    moonshot: { thinking: { type: 'disabled' } },
    zhipu: { thinking: { type: 'disabled' } },
    alibaba: { enable_thinking: false },
  },
  budget: {
    deepseek: { thinking: { type: 'enabled' } },
    together: { reasoning: { enabled: true } },
    moonshot: { thinking: { type: 'enabled' } },
    zhipu: { thinking: { type: 'enabled' } },
    alibaba: { enable_thinking: true, thinking_budget: 2000 },
    others: { reasoning_effort: 'medium' },
  },
};

/** Those with a form of their own; what their words are stands in their fixtures. */
const ownForms: ReadonlySet<string> = new Set([
  'anthropic',
  'gemini',
  'bedrock',
  'bedrockOther',
  'vertex',
  'vertexAnthropic',
]);

const models: Readonly<Record<string, string>> = {
  anthropic: 'claude-opus-4-6',
  bedrock: 'anthropic.claude-opus-4-6',
  gemini: 'gemini-3-pro',
  vertex: 'gemini-3-pro',
  vertexAnthropic: 'claude-opus-4-6',
};

function speaker(name: string): Dialect {
  // At Bedrock, what is of no maker that it knows.
  if (name === 'bedrockOther') return dialects.bedrock;
  const entry = providerEntries.find(({ id }) => id === name);
  if (entry?.quirks) return dialectOf(entry.dialect, entry.quirks);
  const dialect = Object.entries(dialects).find(([id]) => id === name)?.[1];
  assert.ok(dialect, name);
  return dialect;
}

const base = { model: 'a/b', messages: [{ role: 'user', content: 'Hi' }] };

function written(name: string, more: Fields): Fields {
  const parsed = { ...base, ...more };
  const target = {
    upstreamModel: models[name] ?? 'm',
    tokenLimitField: 'max_tokens',
    cap: null,
    maxOutputTokens: 8192,
    constraints: [],
  } as const;
  return fields(
    JSON.parse(speaker(name).writeChat({ text: JSON.stringify(parsed), parsed }, target)),
  );
}

/** What of a request is there because of the wish, or is otherwise because of it. */
function difference(name: string, wish: Fields): Fields {
  const without = written(name, {});
  const changed = Object.entries(written(name, wish)).filter(
    ([member, value]) => JSON.stringify(value) !== JSON.stringify(without[member]),
  );
  return Object.fromEntries(changed);
}

const [heads = [], ...rows] = table
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/ +/));

describe('a parameter', () => {
  for (const [name = '', ...marks] of rows)
    test(name, () => {
      const wish = Object.entries(asked).find(([each]) => each === name)?.[1];
      assert.ok(wish);
      assert.equal(marks.length, heads.length);
      for (const [at, who] of heads.entries()) {
        const mark = marks[at];
        const what = `${name} at ${who}`;
        if (mark === 'x') {
          const isRefusal = (error: unknown): boolean =>
            error instanceof Unsupported && /\w/.test(error.message) && /\w/.test(error.param);
          assert.throws(() => written(who, wish), isRefusal, what);
          continue;
        }
        const found = difference(who, wish);
        const { others, [who]: own = others } = ownForms.has(who) ? {} : (ownWords[name] ?? {});
        if (mark === '=') assert.deepEqual(found, wish, what);
        else if (mark === '-') {
          assert.deepEqual(found, {}, what);
          assert.ok(tuning.has(name), `${what} is left out, and changes the answer`);
        } else if (own) assert.deepEqual(found, own, what);
        else {
          assert.ok(ownForms.has(who), `${what} is not said`);
          assert.notDeepEqual(found, {}, what);
          assert.notDeepEqual(found, wish, what);
        }
      }
    });

  test('is in the table', () => {
    assert.deepEqual(
      rows.map(([name]) => name),
      Object.keys(asked),
    );
    const own = providerEntries.flatMap(({ id, quirks }) => (quirks ? [id] : []));
    const usual = JSON.stringify(providerEntries.find(({ id }) => id === 'vllm')?.quirks);
    for (const id of own) {
      const entry = providerEntries.find((each) => each.id === id);
      assert.ok(heads.includes(id) || JSON.stringify(entry?.quirks) === usual, id);
    }
  });
});
