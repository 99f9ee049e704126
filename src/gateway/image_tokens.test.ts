/** Sizes of images from their first bytes, and what OpenAI's formula makes of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageTokens } from './image_tokens.ts';

function url(bytes: Buffer | readonly number[], type = 'png'): string {
  const padded = Buffer.concat([Buffer.from(bytes), Buffer.alloc(40)]);
  return `data:image/${type};base64,${padded.toString('base64')}`;
}

function png(width: number, height: number): Buffer {
  const bytes = Buffer.from('89504e470d0a1a0a0000000d494844520000000000000000', 'hex');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes;
}

/** @param before bytes of a segment in front of the frame's */
function jpeg(width: number, height: number, before: number): Buffer {
  const other = Buffer.alloc(before + 4);
  other.set([0xff, 0xe1]);
  other.writeUInt16BE(before + 2, 2);
  const frame = Buffer.from('ffc20011080000000003', 'hex');
  frame.writeUInt16BE(height, 5);
  frame.writeUInt16BE(width, 7);
  return Buffer.concat([Buffer.from('ffd8', 'hex'), other, frame]);
}

function webp(kind: string, rest: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from(`RIFF\0\0\0\0WEBP${kind}`, 'latin1'), Buffer.from(rest)]);
}

test('the formula, as OpenAI shows it', () => {
  assert.equal(imageTokens(url(png(1024, 1024)), undefined), 765);
  assert.equal(imageTokens(url(png(2048, 4096)), 'high'), 1105);
  assert.equal(imageTokens(url(png(4096, 8192)), 'low'), 85);
  assert.equal(imageTokens(url(png(512, 512)), 'auto'), 255);
  assert.equal(imageTokens(url(png(1, 1)), undefined), 255);
  assert.equal(imageTokens(url(png(513, 512)), undefined), 425);
});

test('no size costs more than the bound of any author', () => {
  for (let round = 0; round < 2000; round += 1) {
    const [width, height] = [0, 1].map(() => Math.ceil(2 ** (Math.random() * 32)) - 1);
    const tokens = imageTokens(url(png(width ?? 0, height ?? 0)), 'high');
    assert.ok(tokens >= 255 && tokens <= 1445, `${width} × ${height}: ${tokens}`);
  }
});

test('sizes of JPEG, GIF and the three kinds of WebP', () => {
  for (const before of [0, 14, 60_000])
    assert.equal(imageTokens(url(jpeg(2048, 4096, before), 'jpeg'), null), 1105);
  const gif = Buffer.from('GIF89a\x01\x02\x00\x02', 'latin1');
  assert.equal(imageTokens(url(gif), null), 425);
  const lossy = webp('VP8 ', [0, 0, 0, 0, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x01, 0x42, 0x00, 0x02]);
  const lossless = webp('VP8L', [0, 0, 0, 0, 0x2f, 0x00, 0xc2, 0x7f, 0x00]);
  const extended = webp('VP8X', [10, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0xff, 1, 0]);
  for (const bytes of [lossy, lossless, extended])
    assert.equal(imageTokens(url(bytes, 'webp'), null), 425, bytes.toString('latin1', 12, 16));
});

test('an image whose size is not told counts as before, and no bytes upset it', () => {
  for (const other of [
    'https://example.com/a.png',
    'data:image/png;base64,',
    'data:image/svg+xml,<svg/>',
    `data:image/png;base64,${'A'.repeat(400_000)}`,
    url(png(0, 0)),
    url([0xff, 0xd8, 0xff, 0xff, 0xff, 0xff]),
    url(jpeg(10, 10, 0).subarray(0, 8)),
    url(jpeg(10, 10, 65_000).subarray(0, 300)),
  ])
    assert.equal(imageTokens(other, undefined), 765, other.slice(0, 60));
  for (const head of ['ffd8ff', '89504e47', '474946383961', '52494646000000005745425056503858'])
    for (let round = 0; round < 300; round += 1) {
      const noise = crypto.getRandomValues(new Uint8Array(Math.floor(Math.random() * 80)));
      const tokens = imageTokens(url(Buffer.concat([Buffer.from(head, 'hex'), noise])), 'auto');
      assert.ok(tokens >= 255 && tokens <= 1445);
    }
});
