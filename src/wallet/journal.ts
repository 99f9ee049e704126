/**
 * What streams of this process have begun to deliver, on the local disk: so that the first byte waits for a write into the
 * kernel's memory, which a killed process leaves behind, and not for the database, which hears of it a moment later.
 *
 * Lines of "id amount input-tokens output-tokens basis" in a file that is added to; a successor on the same data directory reads
 * them before it recovers. The basis is JSON, or is left out. Fenced for speed: a line costs about 5 µs.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Checkpoint } from './checkpoints.ts';
import { nano } from './money.ts';

/** When a file has grown by so much, what still counts goes into a new one. */
const mostBytes = 262_144;
const line = /^([0-9a-f-]{36}) (\d{1,16}) (\d{1,10}) (\d{1,10})(?: (\{.*\}))?$/;

function lineOf({ id, amount, inputTokens, outputTokens, basis }: Checkpoint): string {
  const rest = basis ? ` ${basis}` : '';
  return `${id} ${amount} ${inputTokens} ${outputTokens}${rest}\n`;
}

export class Journal {
  readonly #folder: string;
  readonly #instance: string;
  #file: { readonly number: number; readonly path: string } | null = null;
  /** Since what still counted was written. */
  #bytes = 0;
  #files = 0;

  /** @param folder is made when it is needed, @param instance id of this process */
  constructor(folder: string, instance: string) {
    this.#folder = folder;
    this.#instance = instance;
  }

  /**
   * Writes a checkpoint down. Returns false where that cannot be done: then the database must hear of it first.
   * @param unsaved checkpoints that the database does not have yet
   */
  note(checkpoint: Checkpoint, unsaved: Iterable<Checkpoint>): boolean {
    try {
      if (!this.#file || this.#bytes >= mostBytes) this.#turn(unsaved);
      this.#write(lineOf(checkpoint));
      return true;
    } catch {
      // A line that was written in part must not have another behind it.
      this.#bytes = mostBytes;
      return false;
    }
  }

  /** Everything it holds is in the database, or is nobody's. */
  close(): void {
    const old = this.#file;
    this.#file = null;
    if (!old) return;
    closeSync(old.number);
    rmSync(old.path, { force: true });
  }

  /** Goes on in a new file. The old one stays until what counts of it stands in the new. */
  #turn(unsaved: Iterable<Checkpoint>): void {
    const old = this.#file;
    if (!old) mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    this.#files += 1;
    const path = join(this.#folder, `${this.#instance}.${this.#files}`);
    this.#file = { number: openSync(path, 'wx', 0o600), path };
    this.#write(Array.from(unsaved, lineOf).join(''));
    this.#bytes = 0;
    if (!old) return;
    closeSync(old.number);
    rmSync(old.path, { force: true });
  }

  #write(text: string): void {
    if (!this.#file || text === '') return;
    const written = writeSync(this.#file.number, text);
    this.#bytes += written;
    if (written < Buffer.byteLength(text)) throw new Error('the disk took a part of a line');
  }
}

/** A journal that a process has left behind. */
export interface LeftJournal {
  readonly path: string;
  /** Id of the process that wrote it. */
  readonly instance: string;
  readonly checkpoints: readonly Checkpoint[];
}

/** The journals in a folder. A last line without its end was never acted upon. @throws what the file system throws, but where there is no folder */
export function journalsIn(folder: string): readonly LeftJournal[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  return names.map((name) => {
    const path = join(folder, name);
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    return {
      path,
      instance: name.split('.', 1)[0] ?? '',
      checkpoints: lines.flatMap(checkpointOf),
    };
  });
}

function checkpointOf(text: string): Checkpoint[] {
  const [, id, amount, inputTokens, outputTokens, basis] = line.exec(text) ?? [];
  if (id === undefined) return [];
  return [
    {
      id,
      amount: nano(Number(amount)),
      inputTokens: Number(inputTokens),
      outputTokens: Number(outputTokens),
      ...(isJson(basis) ? { basis } : {}),
    },
  ];
}

/** What a failing disk has made of a basis must not keep the database from hearing of all the others. */
function isJson(text: string | undefined): text is string {
  try {
    return text !== undefined && typeof JSON.parse(text) === 'object';
  } catch {
    return false;
  }
}
