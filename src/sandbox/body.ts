/** What a stand-in is sent. */
import type { IncomingMessage } from 'node:http';

/** @param most bytes @throws what `tooLarge` makes, where there are more */
export async function bodyOf(
  request: IncomingMessage,
  most: number,
  tooLarge = (): Error => new Error('The request is too large.'),
): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request) {
    const bytes = Buffer.from(part);
    size += bytes.length;
    if (size > most) throw tooLarge();
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString();
}
