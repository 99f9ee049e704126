/** The bound of a prompt must hold for every tokenizer, and must not be larger than that needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inputBound, type PromptSize, promptSize } from './prompt_size.ts';

/** Tokens that a provider adds by itself to one message. */
const own = 260;

function sizeOf(body: string): PromptSize {
  const parsed = JSON.parse(body);
  return promptSize(parsed, parsed.messages, body);
}

function request(content: unknown, more: object = {}): string {
  return JSON.stringify({ messages: [{ role: 'user', content }], ...more });
}

/** JSON of everything but the content. */
const frame = Buffer.byteLength(request(''));

function boundOf(body: string, author = 'openai'): number {
  return inputBound(sizeOf(body), author);
}

test('text counts a token for each of its bytes, whatever its JSON looks like', () => {
  const bengali = 'ঢাকা'.repeat(1000);
  assert.equal(boundOf(request(bengali)), Buffer.byteLength(bengali) + frame + own);
  const escaped = request(bengali).replace(
    /[^\0-\x7f]/g,
    (character) => `\\u0${character.charCodeAt(0).toString(16)}`,
  );
  assert.equal(JSON.parse(escaped).messages[0].content, bengali);
  assert.equal(boundOf(escaped), boundOf(request(bengali)));
  // What code is full of are short escapes, of which each is taken for a token of its own.
  const code = 'if (a) {\n\treturn "\\\\";\n}\n'.repeat(500);
  assert.equal(boundOf(request(code)), request(code).length + own);
  const backslashes = '\\u0995\\\\u0995'.repeat(500);
  assert.equal(boundOf(request(backslashes)), request(backslashes).length + own);
});

test('no escape makes the bound smaller than the bytes of the text', () => {
  const texts = ['a', '\u0000', 'é', '\u07ff', '\u0800', 'ক', '\uffff', '😀', '\\', '"', '\n', '/'];
  for (const text of texts)
    for (const isEscaped of [false, true]) {
      const units = [...Array(text.length).keys()].map((at) => text.charCodeAt(at));
      const written = units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
      const content = isEscaped ? `"${written.repeat(100)}"` : JSON.stringify(text.repeat(100));
      const body = `{"messages":[{"role":"user","content":${content}}]}`;
      const least = Buffer.byteLength(text.repeat(100).toWellFormed());
      assert.ok(boundOf(body) >= least + own, `${JSON.stringify(text)} ${isEscaped}`);
    }
});

test('what grows when a tokenizer normalises it counts as grown', () => {
  for (const text of ['\u09dc', '\ufdfa', 'e\u0301\u0323', '\u09dc\u09df ঢাকা'])
    for (const form of ['NFC', 'NFKC']) {
      const long = text.repeat(300);
      const grown = Buffer.byteLength(long.normalize(form));
      assert.ok(boundOf(request(long)) >= grown + frame + own, `${text} ${form}`);
    }
  assert.ok(boundOf(request('\ufdfa'.repeat(300))) >= 9900);
  assert.ok(boundOf(request('Hi', { tools: [{ type: 'function', '\ufdfa': 1 }] })) > own + 1030);
});

test('text without end is bounded without being normalised, and holds up nobody', () => {
  for (const [text, times] of [
    ['\ufdfa', 6_000_000],
    ['\u0390', 9_000_000],
    ['\u09dc', 6_000_000],
    ['\u09dc\u00e9', 4_000_000],
    ['\ufb2c', 6_000_000],
  ] as const) {
    const long = text.repeat(times);
    const body = request(long);
    const parsed = JSON.parse(body);
    const begin = process.cpuUsage();
    const { textBound, inputEstimate } = promptSize(parsed, parsed.messages, body);
    const { user, system } = process.cpuUsage(begin);
    const one = Math.max(...['NFC', 'NFKC'].map((form) => Buffer.byteLength(text.normalize(form))));
    assert.ok(textBound >= one * times + frame + own, text);
    assert.ok(inputEstimate <= (Buffer.byteLength(long) * 2) / 4 + own, text);
    assert.ok((user + system) / 1000 < 400, `${text}: ${(user + system) / 1000} ms`);
  }
  // In many pieces it is no less than in one.
  const pieces = Array.from({ length: 2000 }, () => ({
    type: 'text',
    text: '\ufdfa'.repeat(1000),
  }));
  assert.ok(boundOf(request(pieces)) >= 33 * 2_000_000);
});

test('no character grows more than is taken for the worst', () => {
  for (let code = 0x80; code <= 0x10ffff; code += 1) {
    const text = String.fromCodePoint(code);
    const bytes = Buffer.byteLength(text);
    const grown = Buffer.byteLength(text.normalize('NFKD')) - bytes;
    assert.ok(grown <= 15 * (bytes - text.length), `U+${code.toString(16)} ${grown}`);
  }
});

test('Bengali text is measured faster, and as exactly', () => {
  const all = [...Array(0x80).keys()].map((at) => String.fromCodePoint(0x980 + at));
  const dashes = [...Array(0x27).keys()].map((at) => String.fromCodePoint(0x2000 + at));
  const others = ['a', ' ', '\u0964', '\u0965', ...dashes];
  for (const one of [...all, ...others])
    for (const two of [...all, ...others]) {
      const text = `${one}${two}${one}ক`;
      const grown = Math.max(
        ...['NFC', 'NFKC'].map((form) => Buffer.byteLength(text.normalize(form))),
      );
      assert.ok(boundOf(request(text)) >= grown + frame + own, JSON.stringify(text));
    }
  assert.equal(boundOf(request('\u09dc'.repeat(100))), 600 + frame + own);
});

test('bytes that are no UTF-8 are sent on as longer ones, and count as those', () => {
  const body = Buffer.from(request('x'.repeat(1000))).fill(0xff, 50, 950);
  const text = body.toString();
  const parsed = JSON.parse(text);
  const { textBound } = promptSize(parsed, parsed.messages, text);
  assert.ok(textBound >= Buffer.byteLength(text) + own);
});

test('images count by what they cost at most, their bytes not at all', () => {
  const url = `data:image/png;base64,${'A'.repeat(400_000)}`;
  const part = { type: 'image_url', image_url: { url } };
  const body = request([part, part]);
  const bound = boundOf(body);
  assert.ok(bound > 2 * 48_169 && bound < 2 * 48_169 + 1000, String(bound));
  assert.ok(boundOf(body, 'anthropic') < 11_000);
  assert.ok(sizeOf(body).inputEstimate < 3000);
  assert.ok(boundOf(body.replaceAll('/', '\\/')) >= bound);
});

test('sound has no bound but the context, and is no text: a second of it is estimated', () => {
  const second = 'A'.repeat(64_000);
  const part = { type: 'input_audio', input_audio: { data: second, format: 'wav' } };
  const { sounds, textBound, inputEstimate } = sizeOf(request([part, part]));
  assert.deepEqual([sounds, textBound], [2, Number.MAX_SAFE_INTEGER]);
  assert.ok(inputEstimate >= 64 && inputEstimate < 64 + 100, String(inputEstimate));
  assert.equal(sizeOf(request('Hi')).sounds, 0);
  assert.equal(sizeOf(request([{ type: 'input_audio' }])).sounds, 1);
});

test('what is attached counts, however it is written', () => {
  const plain = request([{ type: 'image_url', image_url: { url: 'https://x/y' } }]);
  const escaped = plain.replaceAll('image_url', 'image\\u005furl');
  assert.notEqual(plain, escaped);
  assert.ok(boundOf(plain) > 48_169);
  assert.ok(boundOf(escaped) > 48_169);
  for (const type of ['file', 'video_url', 'something_new', undefined])
    assert.equal(boundOf(request([{ type }])), Number.MAX_SAFE_INTEGER);
  assert.ok(boundOf(request([{ type: 'text', text: 'Hi' }])) < 400);
  assert.ok(boundOf(request('Hi', { tools: [] })) > 1000 + own);
});

test('the estimate is never above the bound', () => {
  for (const content of ['', 'Hi', '\n'.repeat(5000), '\u09dc'.repeat(5000)]) {
    const size = sizeOf(request(content));
    assert.ok(size.inputEstimate <= size.textBound);
  }
});

test('a body nested as deep as it gets is measured all the same', () => {
  const deep = `${'['.repeat(100_000)}"é"${']'.repeat(100_000)}`;
  const body = `{"messages":[{"role":"user","content":"é"}],"metadata":${deep}}`;
  assert.ok(boundOf(body) > 200_000);
});
