/**
 * The stand-ins' tokens. A token is up to four UTF-8 bytes of text, never part of a character; a blank after a word begins a new one.
 * So text of n bytes has at least n/4 and at most n tokens, and the tokens joined are the text.
 */

const maxBytes = 4;

function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/** Calls `visit` with where each token ends, in UTF-16 units. */
function eachToken(text: string, visit: (end: number) => void): void {
  let bytes = 0;
  let wordBefore = false;
  for (let at = 0; at < text.length; ) {
    const code = text.codePointAt(at) ?? 0;
    const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    const blank = isBlank(code);
    if (bytes > 0 && (bytes + size > maxBytes || (blank && wordBefore))) {
      visit(at);
      bytes = 0;
    }
    bytes += size;
    wordBefore = !blank;
    at += code > 0xffff ? 2 : 1;
  }
  if (bytes > 0) visit(text.length);
}

export function tokenise(text: string): string[] {
  const tokens: string[] = [];
  let start = 0;
  eachToken(text, (end) => {
    tokens.push(text.slice(start, end));
    start = end;
  });
  return tokens;
}

export function countTokens(text: string): number {
  let count = 0;
  eachToken(text, () => {
    count += 1;
  });
  return count;
}
