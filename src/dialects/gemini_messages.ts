/** An OpenAI conversation as Gemini's contents. Its roles are user and model; instructions stand apart from the turns. */
import { Unsupported } from './dialect.ts';
import { generationOf } from './gemini_thinking.ts';
import { type Fields, fields } from './members.ts';

type Part = Readonly<Record<string, unknown>>;

interface Turn {
  readonly role: 'user' | 'model';
  readonly parts: Part[];
}

interface Conversation {
  readonly systemInstruction?: { readonly parts: readonly Part[] };
  readonly contents: readonly { readonly role: string; readonly parts: readonly Part[] }[];
}

/** A call of an earlier turn: its results have only its id. */
interface EarlierCall {
  readonly name: string;
  readonly order: number;
}

/** How the conversation is written for one model at one provider. */
interface Style {
  readonly model: string;
  /** Vertex AI knows no ids of calls: there the order tells. */
  readonly hasCallIds: boolean;
}

/** From generation 3 on a call without the signature of its thought is refused; this is Google's word for one that got lost. */
const noSignature = 'skip_thought_signature_validator';
/** OpenRouter's name for the form of Gemini's reasoning. */
export const reasoningFormat = 'google-gemini-v1';

/** @throws Unsupported */
export function conversationOf(messages: unknown, style: Style): Conversation {
  const system: Part[] = [];
  const turns: Turn[] = [];
  const calls = new Map<string, EarlierCall>();
  let results: Result[] = [];
  for (const [index, value] of (Array.isArray(messages) ? messages : []).entries()) {
    const message = fields(value);
    const path = `messages[${index}]`;
    if (message.role === 'tool') {
      results.push(resultOf(message, path, calls, style));
      continue;
    }
    addResults(turns, results);
    results = [];
    const { role, content } = message;
    if (role === 'system' || role === 'developer')
      for (const part of contentParts(content, path)) system.push(part);
    else if (role === 'user') add(turns, 'user', contentParts(content, path));
    else if (role === 'assistant') add(turns, 'model', modelParts(message, path, calls, style));
    else throw new Unsupported(`The role of "${path}" is not supported.`, `${path}.role`);
  }
  addResults(turns, results);
  // A conversation of instructions alone has no turn, which Gemini refuses.
  if (turns.length === 0) return { contents: [{ role: 'user', parts: system }] };
  return system.length > 0
    ? { systemInstruction: { parts: system }, contents: turns }
    : { contents: turns };
}

/** Turns of one role become one. */
function add(turns: Turn[], role: Turn['role'], parts: Part[]): void {
  if (parts.length === 0) return;
  const last = turns.at(-1);
  // A turn of results has nothing else in it. To look at more than its first part would take hours over a long conversation.
  const [first] = last?.parts ?? [];
  const isResults = first !== undefined && 'functionResponse' in first;
  if (last?.role !== role || isResults) turns.push({ role, parts });
  else for (const part of parts) last.parts.push(part);
}

/** The results of parallel calls are one turn of their own, in the order of the calls. */
function addResults(turns: Turn[], results: readonly Result[]): void {
  if (results.length === 0) return;
  const parts = results.toSorted((a, b) => a.order - b.order).map(({ part }) => part);
  turns.push({ role: 'user', parts });
}

function contentParts(content: unknown, path: string): Part[] {
  if (content === undefined || content === null) return [];
  // An empty text is refused.
  if (typeof content === 'string') return content === '' ? [] : [{ text: content }];
  if (!Array.isArray(content))
    throw new Unsupported(`"${path}.content" must be a string or an array.`, `${path}.content`);
  return content.flatMap((part, index) => partOf(fields(part), `${path}.content[${index}]`));
}

function partOf(part: Fields, path: string): Part[] {
  const { type, text, refusal } = part;
  if (type === 'text' || type === 'refusal') {
    const said = text ?? refusal;
    return typeof said === 'string' && said !== '' ? [{ text: said }] : [];
  }
  if (type === 'image_url') {
    const url = typeof part.image_url === 'string' ? part.image_url : fields(part.image_url).url;
    return [mediaPart(url, `${path}.image_url`, 'image/jpeg')];
  }
  if (type === 'file') return [filePart(fields(part.file), `${path}.file`)];
  if (type === 'input_audio') {
    const { data, format } = fields(part.input_audio);
    if (typeof data === 'string' && typeof format === 'string')
      return [{ inlineData: { mimeType: `audio/${format}`, data } }];
  }
  throw new Unsupported(`"${path}" is not supported by this model's provider.`, path);
}

function filePart({ file_data, filename, file_id }: Fields, path: string): Part {
  if (typeof file_id === 'string')
    throw new Unsupported('Files are not kept here: send "file_data".', `${path}.file_id`);
  const usual = typeOf(typeof filename === 'string' ? filename : '') ?? 'application/pdf';
  const data = typeof file_data === 'string' && !/^[a-z]+:/i.test(file_data);
  const url = data ? `data:${usual};base64,${file_data}` : file_data;
  return mediaPart(url, `${path}.file_data`, usual);
}

/** Media types by what a name ends in. */
const types: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  heic: 'image/heic',
  heif: 'image/heif',
  gif: 'image/gif',
  pdf: 'application/pdf',
  txt: 'text/plain',
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  mp3: 'audio/mp3',
  wav: 'audio/wav',
  mp4: 'video/mp4',
  mov: 'video/quicktime',
  webm: 'video/webm',
};

function typeOf(name: string): string | undefined {
  return types[/\.([a-z0-9]{2,4})$/i.exec(name)?.[1]?.toLowerCase() ?? ''];
}

/**
 * Data go along; an address of the open web is fetched by Google. The type is always said, so that what was counted, and held
 * for, as an image or a document is read as one or not at all: sound and video cost more than their place suggests.
 * @param usual type of what an address does not tell
 */
function mediaPart(url: unknown, path: string, usual: string): Part {
  if (typeof url !== 'string') throw new Unsupported(`"${path}" must have a "url".`, path);
  const comma = url.indexOf(',');
  const data = /^data:([^;,]+)(?:;[^,;]*)*;base64$/i.exec(url.slice(0, Math.max(comma, 0)));
  const address = data ? null : URL.parse(url);
  const mimeType = data?.[1]?.toLowerCase() ?? typeOf(address?.pathname ?? '') ?? usual;
  const fits = usual.startsWith('image/') ? /^image\// : /^(?!audio\/|video\/)/;
  if (!fits.test(mimeType))
    throw new Unsupported(`"${path}" is ${mimeType}, which is not sold here.`, path);
  if (data) return { inlineData: { mimeType, data: url.slice(comma + 1) } };
  // The store of files behind our own key is nobody's business, and a video there has no name that ends in its type.
  if (address?.protocol !== 'https:' || notFetched.test(address.hostname))
    throw new Unsupported(`"${path}" must be base64 data: or an open https: address.`, path);
  return { fileData: { mimeType, fileUri: url } };
}

/** A dot at the end makes no other host of it. */
const notFetched = /(^|\.)(googleapis\.com|youtube\.com|youtu\.be)\.?$/i;

/** An assistant's message. Signatures go back on the parts that they came with. */
function modelParts(
  message: Fields,
  path: string,
  calls: Map<string, EarlierCall>,
  { model, hasCallIds }: Style,
): Part[] {
  if (message.function_call ?? message.audio)
    throw new Unsupported(`"${path}" must have content or tool_calls.`, path);
  const signatures = signaturesOf(message.reasoning_details);
  const said = contentParts(message.content ?? message.refusal, path);
  const made = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  const parts = made.map((call, index) => {
    const { id, name, args } = readCall(fields(call), `${path}.tool_calls[${index}]`);
    calls.set(id, { name, order: calls.size });
    const google = fields(fields(fields(call).extra_content).google);
    const signature = google.thought_signature ?? signatures.get(id);
    return {
      functionCall: { ...(hasCallIds ? { id } : {}), name, args },
      ...(typeof signature === 'string' ? { thoughtSignature: signature } : {}),
    };
  });
  const [first] = parts;
  const isSigned = parts.some((part) => 'thoughtSignature' in part);
  if (first && !isSigned && generationOf(model) >= 3)
    parts[0] = { ...first, thoughtSignature: noSignature };
  const loose = signatures.get('');
  if (loose === undefined) return [...said, ...parts];
  // It came with text, or with an empty text at the end.
  const last = said.pop() ?? { text: '' };
  return [...said, { ...last, thoughtSignature: loose }, ...parts];
}

/** Signatures by id of their call; '' for the one of no call. Other makers' reasoning says nothing to Gemini. */
function signaturesOf(details: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const detail of Array.isArray(details) ? details : []) {
    const { type, format, data, id } = fields(detail);
    if (type !== 'reasoning.encrypted' || format !== reasoningFormat) continue;
    if (typeof data === 'string') found.set(typeof id === 'string' ? id : '', data);
  }
  return found;
}

function readCall(call: Fields, path: string): { id: string; name: string; args: unknown } {
  const { id, type } = call;
  const { name, arguments: text } = fields(call.function);
  if ((type !== undefined && type !== 'function') || typeof name !== 'string')
    throw new Unsupported(`"${path}" must be a call of a function.`, path);
  const args = text === undefined || text === '' ? {} : objectOf(text);
  if (args === null)
    throw new Unsupported(
      `"${path}.function.arguments" must be the JSON of an object.`,
      `${path}.function.arguments`,
    );
  return { id: typeof id === 'string' ? id : '', name, args };
}

/** What a text says, if it is the JSON of an object. */
function objectOf(text: unknown): object | null {
  // Most results are words, and an error for each would cost more than all the rest.
  if (typeof text !== 'string' || !/^\s*\{/.test(text)) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

interface Result {
  readonly part: Part;
  readonly order: number;
}

function resultOf(
  message: Fields,
  path: string,
  calls: ReadonlyMap<string, EarlierCall>,
  { hasCallIds }: Style,
): Result {
  const { tool_call_id: id, name, content } = message;
  const call = typeof id === 'string' ? calls.get(id) : undefined;
  const known = call?.name ?? name;
  if (typeof known !== 'string')
    throw new Unsupported(
      `"${path}" answers no call of this conversation.`,
      `${path}.tool_call_id`,
    );
  const text = contentParts(content, path)
    .map((part) => {
      if (typeof part.text === 'string') return part.text;
      throw new Unsupported('The result of a tool must be text.', `${path}.content`);
    })
    .join('');
  // It must be an object: whatever else comes stands under a name.
  const response = objectOf(text) ?? { result: text };
  const functionResponse = { ...(hasCallIds ? { id } : {}), name: known, response };
  return { part: { functionResponse }, order: call?.order ?? calls.size };
}
