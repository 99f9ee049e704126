/** How many tokens a prompt has at most, and probably. Never an underestimate for any tokenizer, seen or not. */
import { imageTokens } from './image_tokens.ts';

/** Tokens that a provider adds by itself: its chat template, and instructions where there are tools or a form to keep to. */
const templateTokens = 250;
const toolTokens = 1000;
const messageTokens = 10;
/** The most that one image costs at any provider of the catalogue (GPT-4o mini: 2,833 and 5,667 for each of 8 tiles). */
const imageTokensBound = 48_169;
/** By author of the model, where the author says so: Claude scales every image down to 4,784 tokens. */
const imageTokensBounds: Readonly<Record<string, number>> = { anthropic: 5000 };
const bytesPerToken = 4;

export interface PromptSize {
  /** Upper bound of the tokens of everything but images: no tokenizer makes more than one token of a byte. */
  readonly textBound: number;
  readonly images: number;
  /** Parts of sound, which only some offers have a price for. */
  readonly sounds: number;
  /** What the prompt probably is, and what is charged for it when the provider reports nothing; never above the bound. */
  readonly inputEstimate: number;
}

/** Upper bound of the tokens of the prompt. @param author of the model */
export function inputBound({ textBound, images }: PromptSize, author: string): number {
  if (images === 0) return textBound;
  return textBound + images * (imageTokensBounds[author] ?? imageTokensBound);
}

/** What stands in a prompt besides text. */
interface Attachments {
  images: number;
  sounds: number;
  /** What both probably cost in tokens. */
  mediaTokens: number;
  /** Bytes of the request that are images or sound, and no text. */
  mediaBytes: number;
  /** Files, sound, video and whatever else has no known size in tokens. */
  unbounded: boolean;
}

/**
 * Text counts by its bytes, as the model sees them; images by what images cost. What else may be attached has no bound but
 * the model's context: not by its bytes, for the text and the pages of a PDF are compressed, as often over as its writer likes, and a
 * picture that stands still for an hour is a small video, as silence is a small file; nor by its provider, none of which says what a
 * page costs at most.
 * @param text the request's JSON, of which `parsed` was read
 */
export function promptSize(
  parsed: Readonly<Record<string, unknown>>,
  messages: readonly unknown[],
  text: string,
): PromptSize {
  const attached: Attachments = {
    images: 0,
    sounds: 0,
    mediaTokens: 0,
    mediaBytes: 0,
    unbounded: false,
  };
  for (const message of messages) {
    const content = isObject(message) ? message.content : null;
    if (Array.isArray(content)) for (const part of content) attach(attached, part);
    else if (isObject(content)) attached.unbounded = true;
  }
  const { images, sounds, mediaBytes, unbounded } = attached;
  const hasTools = parsed.tools ?? parsed.functions ?? parsed.response_format;
  const own = templateTokens + (hasTools ? toolTokens : 0) + messageTokens * messages.length;
  const { atMost, unmeasured } = bytesOfText(parsed, text);
  const textBytes = atMost - unmeasured - mediaBytes;
  return {
    textBound: unbounded ? Number.MAX_SAFE_INTEGER : textBytes + unmeasured + own,
    images,
    sounds,
    inputEstimate: Math.ceil(textBytes / bytesPerToken) + attached.mediaTokens,
  };
}

/** As sent on: what was no UTF-8 is replacement characters there, which are longer than what came. */
function bytesOfText(parsed: object, text: string): { atMost: number; unmeasured: number } {
  const sent = Buffer.byteLength(text);
  const escaped = text.includes('\\') ? bytesOfEscapes(text) : 0;
  if (escaped === 0 && text.length === sent) return { atMost: sent, unmeasured: 0 };
  const { measured, unmeasured } = growth(parsed);
  return { atMost: sent - escaped + measured + unmeasured, unmeasured };
}

/**
 * Bytes by which the JSON's text is longer than the strings in it for its escapes: at least so many. Only the long ones
 * count, with which some clients write all that is not ASCII: \u0995 is six bytes for three. Goes from u to u, of which there
 * are fewer than backslashes in code.
 */
function bytesOfEscapes(text: string): number {
  let saved = 0;
  for (let at = text.indexOf('u'); at !== -1; at = text.indexOf('u', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === backslash) slashes += 1;
    // An even number are escaped backslashes before a plain letter.
    if (slashes % 2 === 0) continue;
    // \u0000 to \u07ff: at most two bytes; beyond, three, and four for the two halves of a pair.
    const isShort = text.charCodeAt(at + 1) === zero && text.charCodeAt(at + 2) < zero + 8;
    saved += isShort ? 4 : 3;
  }
  return saved;
}

const backslash = 92;
const zero = 48;

interface Growth {
  /** Bytes. */
  measured: number;
  /** The most that the texts may grow by that were too long to try; bytes. */
  unmeasured: number;
  /** Bytes beyond one for each UTF-16 unit, of texts that were tried. */
  tried: number;
}

/** Normalising holds up all other requests: 1 MB of anything but ASCII takes some 50 ms at worst. */
const mostTried = 700_000;
/** Of all characters, the Arabic ﷺ grows most for each of its bytes beyond the first: by 30 for two. */
const worstGrowth = 15;

/**
 * Bytes by which the texts are longer once they are normalised, as some tokenizers do first: the Bengali ড় from three
 * bytes to six, the Arabic ﷺ from three to 33.
 */
function growth(parsed: object): Growth {
  const grown: Growth = { measured: 0, unmeasured: 0, tried: 0 };
  const open: unknown[] = [parsed];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value === 'string') addGrowth(grown, value);
    else if (Array.isArray(value)) for (const item of value) open.push(item);
    else if (isObject(value))
      for (const name in value) {
        addGrowth(grown, name);
        open.push(value[name]);
      }
  }
  return grown;
}

function addGrowth(grown: Growth, text: string): void {
  const bytes = Buffer.byteLength(text);
  const beyond = bytes - text.length;
  if (beyond === 0) return;
  // The usual case here, at a fifth of the price: of these characters only three grow, by three bytes.
  if (bengaliText.test(text)) {
    grown.measured += 3 * growingBengali(text);
    return;
  }
  if (grown.tried + beyond > mostTried) {
    grown.unmeasured += worstGrowth * beyond;
    return;
  }
  grown.tried += beyond;
  const composed = Buffer.byteLength(text.normalize('NFC'));
  const compatible = Buffer.byteLength(text.normalize('NFKC'));
  grown.measured += Math.max(0, composed - bytes, compatible - bytes);
}

/** How many of ড়, ঢ় and য়, each as one character. */
function growingBengali(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === 0x9dc || unit === 0x9dd || unit === 0x9df) count += 1;
  }
  return count;
}

/** ASCII, the Bengali block, its full stops, and joiners, dashes and quotation marks. */
const bengaliText = /^[\0-\x7f\u0964\u0965\u0980-\u09ff\u2000-\u2026]*$/;

function attach(attached: Attachments, part: unknown): void {
  const type = isObject(part) ? part.type : null;
  if (type === 'text' || type === 'refusal') return;
  if (type === 'input_audio' && isObject(part)) attachSound(attached, part.input_audio);
  if (type !== 'image_url' || !isObject(part)) {
    attached.unbounded = true;
    return;
  }
  const { url, detail } = isObject(part.image_url) ? part.image_url : { url: part.image_url };
  if (typeof url !== 'string' || !/^(?:https?:|data:image\/)/i.test(url)) {
    attached.unbounded = true;
    return;
  }
  attached.images += 1;
  attached.mediaTokens += imageTokens(url, detail);
  // Base64 is ASCII: its length in characters is its length in bytes.
  if (url.startsWith('data:')) attached.mediaBytes += url.length;
}

/** Tokens for a second of sound at Gemini; others count fewer. */
const soundTokensPerSecond = 32;
/** Bytes of a second, mostly: of uncompressed speech, and of what is compressed. */
const waveBytesPerSecond = 48_000;
const soundBytesPerSecond = 16_000;

/** Its length is not known, only what it probably is: it has no bound but the model's context. */
function attachSound(attached: Attachments, sound: unknown): void {
  attached.sounds += 1;
  const { data, format } = isObject(sound) ? sound : {};
  if (typeof data !== 'string') return;
  attached.mediaBytes += data.length;
  const perSecond = format === 'wav' ? waveBytesPerSecond : soundBytesPerSecond;
  const seconds = (data.length * 3) / 4 / perSecond;
  attached.mediaTokens += Math.ceil(seconds * soundTokensPerSecond);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
