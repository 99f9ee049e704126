/**
 * A client's request as Bedrock's Converse API takes it: what it says in Anthropic's words, whose blocks Converse has under
 * other names. Converse has no word for calls that are forbidden, nor for pictures and documents at an address.
 */
import { messagesRequest } from './anthropic_request.ts';
import { type Powers, powersOf, reasoningFields } from './bedrock_model.ts';
import { shortId } from './compatible_request.ts';
import { type ChatBody, type ChatTarget, Unsupported } from './dialect.ts';
import { type Fields, fields } from './members.ts';

/** Under which reasoning is wished for; other makers than Anthropic have words of their own. */
const reasoningMembers = ['reasoning', 'reasoning_effort', 'include_reasoning', 'thinking'];

/** @throws Unsupported */
export function writeConverse({ parsed }: ChatBody, target: ChatTarget): string {
  const powers = powersOf(target);
  const { isClaude } = powers;
  if (!powers.stops && asked(parsed.stop))
    throw new Unsupported('"stop" is not supported by this model here.', 'stop');
  const said = isClaude ? parsed : without(parsed, reasoningMembers);
  const request = messagesRequest(said, target, powers);
  const writer = new Writer(powers);
  const messages = request.messages.map(({ role, content }) => ({
    role,
    content: content.flatMap((block) => writer.blocks(block)),
  }));
  const last = messages.at(-1)?.content;
  if (powers.caches && request.cache_control && last?.at(-1)?.cachePoint === undefined)
    last?.push(cachePoint(request.cache_control, powers));
  const system =
    typeof request.system === 'string'
      ? [{ text: request.system }]
      : list(request.system).flatMap((block) => writer.blocks(block));
  const { toolConfig, alone } = toolsOf(request, powers, writer.hasCalls);
  const additional = {
    ...(isClaude ? claudeFields(request) : reasoningFields(parsed, target)),
    ...alone,
  };
  return JSON.stringify({
    messages,
    ...(system.length > 0 ? { system } : {}),
    inferenceConfig: inferenceConfig(request, parsed, powers),
    ...(toolConfig ? { toolConfig } : {}),
    ...(Object.keys(additional).length > 0 ? { additionalModelRequestFields: additional } : {}),
  });
}

function asked(stop: unknown): boolean {
  return Array.isArray(stop) ? stop.length > 0 : stop !== undefined && stop !== null && stop !== '';
}

function without(parsed: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(parsed).filter(([name]) => !names.includes(name)));
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

function inferenceConfig(
  request: Fields,
  { top_p }: Fields,
  { isClaude, sampling }: Powers,
): Fields {
  const { max_tokens, temperature, stop_sequences } = request;
  // Of both, only Claude takes one.
  const topP = isClaude || !sampling ? request.top_p : top_p;
  return {
    maxTokens: max_tokens,
    ...(typeof temperature === 'number' ? { temperature } : {}),
    ...(typeof topP === 'number' ? { topP } : {}),
    ...(stop_sequences ? { stopSequences: stop_sequences } : {}),
  };
}

/** What Converse has no word for and passes on to Claude. */
function claudeFields({ thinking, output_config, top_k }: Fields): Fields {
  return {
    ...(thinking ? { thinking } : {}),
    ...(output_config ? { output_config } : {}),
    ...(typeof top_k === 'number' ? { top_k } : {}),
  };
}

const choices: Readonly<Record<string, Fields>> = { auto: { auto: {} }, any: { any: {} } };

/** `alone`: one call at a time, which only Claude can be held to. @throws Unsupported */
function toolsOf(
  { tools, tool_choice }: Fields,
  powers: Powers,
  hasCalls: boolean,
): { toolConfig: Fields | null; alone: Fields } {
  const { isClaude } = powers;
  const { type = 'auto', name, disable_parallel_tool_use } = fields(tool_choice);
  const offered = list(tools);
  if (offered.length === 0 || type === 'none') {
    if (!hasCalls) return { toolConfig: null, alone: {} };
    throw new Unsupported(
      'This provider wants tools that may be called where calls stand in the conversation.',
      type === 'none' ? 'tool_choice' : 'tools',
    );
  }
  const specs = offered.flatMap((tool) => [
    {
      toolSpec: {
        name: tool.name,
        ...(tool.description === undefined ? {} : { description: tool.description }),
        inputSchema: { json: tool.input_schema },
      },
    },
    // Nova keeps no tools.
    ...(isClaude && tool.cache_control ? [cachePoint(tool.cache_control, powers)] : []),
  ]);
  if (disable_parallel_tool_use === true) {
    if (!isClaude)
      throw new Unsupported(
        '"parallel_tool_calls" is not supported by this model here.',
        'parallel_tool_calls',
      );
    return { toolConfig: { tools: specs }, alone: { tool_choice } };
  }
  const choice = type === 'tool' ? { tool: { name } } : choices[String(type)];
  return {
    toolConfig: { tools: specs, ...(tool_choice && choice ? { toolChoice: choice } : {}) },
    alone: {},
  };
}

/** How long it is kept, only Claude can be told. */
function cachePoint(control: unknown, { isClaude }: Powers): Fields {
  const { ttl } = fields(control);
  const kept = isClaude && typeof ttl === 'string' ? { ttl } : {};
  return { cachePoint: { type: 'default', ...kept } };
}

/** Names by which Converse knows types of media. */
const images: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpeg',
  'image/jpg': 'jpeg',
  'image/png': 'png',
  'image/gif': 'gif',
  'image/webp': 'webp',
};

/** Writes blocks, and remembers what of all of them matters. */
class Writer {
  readonly #powers: Powers;
  /** Of documents, with how many bear each. */
  readonly #names = new Map<string, number>();
  /** Calls of tools, or their results, stand in the conversation. */
  hasCalls = false;

  constructor(powers: Powers) {
    this.#powers = powers;
  }

  /** @param block in Anthropic's form @throws Unsupported */
  blocks(block: Fields): Fields[] {
    const written = this.#block(block);
    if (written === null) return [];
    const isMarked = this.#powers.caches && block.cache_control;
    return isMarked ? [written, cachePoint(block.cache_control, this.#powers)] : [written];
  }

  #block(block: Fields): Fields | null {
    const { isClaude } = this.#powers;
    switch (block.type) {
      case 'text':
        return { text: block.text };
      case 'image':
        return imageOf(fields(block.source));
      case 'document':
        return this.#document(fields(block.source), block.title);
      case 'tool_use': {
        this.hasCalls = true;
        const { id, name, input } = block;
        return { toolUse: { toolUseId: this.#id(id), name, input } };
      }
      case 'tool_result': {
        this.hasCalls = true;
        return {
          toolResult: { toolUseId: this.#id(block.tool_use_id), content: this.#result(block) },
        };
      }
      // Signed by Claude, and nothing to any other.
      case 'thinking': {
        const reasoningText = { text: block.thinking, signature: block.signature };
        return isClaude ? { reasoningContent: { reasoningText } } : null;
      }
      case 'redacted_thinking':
        return isClaude ? { reasoningContent: { redactedContent: block.data } } : null;
      default:
        return null;
    }
  }

  #id(id: unknown): string {
    return this.#powers.shortCallIds ? shortId(String(id)) : String(id);
  }

  /** Never empty, and no empty text in it. */
  #result({ content }: Fields): Fields[] {
    if (typeof content === 'string') return content === '' ? [{ json: {} }] : [{ text: content }];
    const parts = list(content)
      .map((block) => this.#block(block))
      .filter((part) => part !== null);
    return parts.length > 0 ? parts : [{ json: {} }];
  }

  /** Two documents of one name are refused, and so are most signs in it. @throws Unsupported */
  #document({ type, data, url }: Fields, title: unknown): Fields {
    if (url !== undefined) throw atAnAddress('A document');
    const isText = type === 'text';
    const plain = typeof title === 'string' ? title.replace(/\.\w{1,5}$/, '') : '';
    const clean = plain
      .replace(/[^A-Za-z0-9 ()[\]-]+/g, ' ')
      .replace(/ +/g, ' ')
      .trim()
      .slice(0, 150);
    const base = clean || 'document';
    // From where the last of this name was: to begin anew would take hours over many.
    let next = this.#names.get(base) ?? 0;
    let name: string;
    do {
      next += 1;
      name = next === 1 ? base : `${base} ${next}`;
    } while (this.#names.has(name) && name !== base);
    this.#names.set(base, next);
    if (name !== base) this.#names.set(name, 1);
    const bytes = isText ? Buffer.from(String(data)).toString('base64') : data;
    return { document: { format: isText ? 'txt' : 'pdf', name, source: { bytes } } };
  }
}

/** @throws Unsupported */
function imageOf({ url, media_type, data }: Fields): Fields {
  if (url !== undefined) throw atAnAddress('An image');
  const format = images[String(media_type)];
  if (!format)
    throw new Unsupported('Images must be JPEG, PNG, GIF or WebP for this provider.', 'messages');
  return { image: { format, source: { bytes: data } } };
}

function atAnAddress(what: string): Unsupported {
  return new Unsupported(`${what} must come as base64 data for this provider.`, 'messages');
}
