/** What an image probably costs in tokens, by its size: told by its first bytes where it is sent inline. Never decodes a picture. */

/** In pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** Of an image whose size is not known: 1024 × 1024 pixels. */
const usualTokens = 765;
const baseTokens = 85;
const tileTokens = 170;
const tilePixels = 512;
const longestSide = 2048;
const shortestSide = 768;

/** A JPEG's size stands behind what a camera writes about the picture, such as a small copy of it: 64 kB at most, mostly. */
const headerBytes = 96 * 1024;

/**
 * By OpenAI's formula of tiles for GPT-4o: scaled down into 2048 × 2048 and to 768 on the shorter side, 85 tokens and 170 for each
 * tile of 512 × 512; https://platform.openai.com/docs/guides/images-vision. At most 1,445, which is below every bound of an image.
 * @param url of an `image_url`
 * @param detail as the client asked: `low` is one tile's price at any size
 */
export function imageTokens(url: string, detail: unknown): number {
  if (detail === 'low') return baseTokens;
  const size = sizeOf(url);
  if (!size) return usualTokens;
  const { width, height } = size;
  const fit = Math.min(1, longestSide / Math.max(width, height));
  const scale = fit * Math.min(1, shortestSide / (fit * Math.min(width, height)));
  // Rounded, so that 768 that came out as 768.0000001 are no tile more.
  const tiles = (side: number): number =>
    Math.ceil(Math.max(1, Math.round(side * scale)) / tilePixels);
  return baseTokens + tileTokens * tiles(width) * tiles(height);
}

/** Null for an image that is elsewhere, is no PNG, JPEG, WebP or GIF, or hides its size. */
function sizeOf(url: string): Size | null {
  const comma = url.slice(0, 100).indexOf(';base64,');
  if (!url.startsWith('data:') || comma === -1) return null;
  const start = comma + ';base64,'.length;
  const bytes = Buffer.from(url.slice(start, start + Math.ceil(headerBytes / 3) * 4), 'base64');
  const size =
    bytes.length < 30
      ? null
      : (pngSize(bytes) ?? gifSize(bytes) ?? webpSize(bytes) ?? jpegSize(bytes));
  return size && size.width > 0 && size.height > 0 ? size : null;
}

function begins(bytes: Buffer, text: string, at = 0): boolean {
  return bytes.toString('latin1', at, at + text.length) === text;
}

function pngSize(bytes: Buffer): Size | null {
  if (!begins(bytes, '\x89PNG\r\n\x1a\n') || !begins(bytes, 'IHDR', 12)) return null;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

function gifSize(bytes: Buffer): Size | null {
  if (!begins(bytes, 'GIF8')) return null;
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
}

/** Three kinds: with loss, without, and extended; RFC 9649. */
function webpSize(bytes: Buffer): Size | null {
  if (!begins(bytes, 'RIFF') || !begins(bytes, 'WEBP', 8)) return null;
  if (begins(bytes, 'VP8 ', 12))
    return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
  if (begins(bytes, 'VP8L', 12)) {
    const bits = bytes.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (begins(bytes, 'VP8X', 12))
    return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
  return null;
}

/** Goes from segment to segment to the one that begins a frame: 0xC0 to 0xCF but for three that are tables; ITU-T T.81. */
function jpegSize(bytes: Buffer): Size | null {
  if (!begins(bytes, '\xff\xd8\xff')) return null;
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes.readUInt8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    // One that is filled up to a round place begins with several 0xFF.
    at += marker === 0xff ? 1 : 2 + bytes.readUInt16BE(at + 2);
  }
  return null;
}
