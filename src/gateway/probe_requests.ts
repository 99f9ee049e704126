/** The tiny requests that probes make, and what a true answer to each is. No input or output. */
import type { Model } from '../catalogue/catalogue.ts';
import { type Fields, fields } from '../dialects/members.ts';
import { type ChatRequest, readChatRequest } from './chat_request.ts';
import type { ProbeName } from './probe_results.ts';
import type { Target } from './target.ts';

/** Tokens of output: a word, a few words of JSON, and what models that think first may need before them. */
const wordTokens = 16;
const jsonTokens = 100;
const thinkingTokens = 600;

export interface Probe {
  readonly name: ProbeName;
  /** Request parameter that a model must list for it to be asked; '' for every model. */
  readonly parameter: string;
  readonly prompt: string;
  readonly tokens: number;
  members(target: Target): object;
  /** Null for a true answer, else what is wrong. Of the stream nothing but its usage is looked at. */
  wrong(message: Fields): string | null;
}

const object = (properties: object): object => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

const tool = {
  type: 'function',
  function: {
    name: 'note_city',
    description: 'Notes the name of a city.',
    parameters: object({ city: { type: 'string' } }),
  },
};

const schema = {
  type: 'json_schema',
  json_schema: { name: 'sum', strict: true, schema: object({ sum: { type: 'integer' } }) },
};

/** The first is asked of every offer; the others only where it was answered. */
export const probes: readonly [Probe, ...Probe[]] = [
  {
    name: 'plain',
    parameter: '',
    prompt: 'Say hello.',
    tokens: wordTokens,
    members: () => ({}),
    wrong: (message) => (textOf(message) === '' ? 'no text came' : null),
  },
  {
    name: 'tools',
    parameter: 'tools',
    prompt: 'Call note_city with the city Dhaka.',
    tokens: jsonTokens,
    members: ({ model, offer }) => ({
      tools: [tool],
      tool_choice:
        model.supportedParameters.includes('tool_choice') &&
        !offer.constraints.includes('rejects_forced_tool_choice')
          ? { type: 'function', function: { name: tool.function.name } }
          : 'auto',
    }),
    wrong: (message) => {
      const [call] = Array.isArray(message.tool_calls) ? message.tool_calls : [];
      const { name, arguments: text } = fields(fields(call).function);
      if (name !== tool.function.name) return 'the tool was not called';
      return typeof parsed(text)?.city === 'string'
        ? null
        : 'the arguments of the tool are not the JSON that was asked for';
    },
  },
  {
    name: 'structured_outputs',
    parameter: 'structured_outputs',
    prompt: 'What is 2 + 3? Answer in JSON.',
    tokens: jsonTokens,
    members: () => ({ response_format: schema }),
    wrong: (message) =>
      Number.isInteger(parsed(textOf(message))?.sum)
        ? null
        : 'the text is not the JSON that was asked for',
  },
  {
    name: 'usage',
    parameter: '',
    prompt: 'Say goodbye.',
    tokens: wordTokens,
    members: () => ({ stream: true }),
    wrong: () => null,
  },
];

export function applies({ parameter }: Probe, { supportedParameters }: Model): boolean {
  return parameter === '' || supportedParameters.includes(parameter);
}

export function requestOf(probe: Probe, target: Target): ChatRequest {
  const { model } = target;
  const thinks = model.supportedParameters.includes('reasoning');
  const body = {
    model: model.id,
    messages: [{ role: 'user', content: probe.prompt }],
    max_tokens: thinks ? thinkingTokens : probe.tokens,
    ...probe.members(target),
  };
  return readChatRequest(Buffer.from(JSON.stringify(body)));
}

/** A text, or the texts of its parts. */
function textOf({ content }: Fields): string {
  if (typeof content === 'string') return content.trim();
  if (!Array.isArray(content)) return '';
  return content.map((part) => String(fields(part).text ?? '')).join('');
}

function parsed(text: unknown): Fields | null {
  try {
    return fields(JSON.parse(String(text)));
  } catch {
    return null;
  }
}
