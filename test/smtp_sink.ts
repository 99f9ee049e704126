/** A strict mail server that keeps what it is given: what is not SMTP as it is written down ends the connection with 5xx. */

import net from 'node:net';
import { listen } from './listen.ts';

export interface Delivered {
  readonly from: string;
  readonly to: readonly string[];
  /** Header and body with CRLF, dots taken back. */
  readonly text: string;
}

export interface SmtpSink extends AsyncDisposable {
  readonly port: number;
  readonly delivered: Delivered[];
  /** Commands in the order in which they came. */
  readonly commands: string[];
  /** What comes in place of 250 after a command such as RCPT, or after DATA's end (`end`); null where the connection is cut. */
  readonly answers: Map<string, string | null>;
}

class Session {
  readonly #sink: Pick<SmtpSink, 'delivered' | 'commands' | 'answers'>;
  readonly #socket: net.Socket;
  #from: string | null = null;
  #to: string[] = [];
  #lines: string[] | null = null;
  #rest = '';

  constructor(sink: Pick<SmtpSink, 'delivered' | 'commands' | 'answers'>, socket: net.Socket) {
    this.#sink = sink;
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => this.#take(text));
    socket.on('error', () => socket.destroy());
    this.#say('220 sink ESMTP');
  }

  #say(line: string): void {
    this.#socket.write(`${line}\r\n`);
  }

  #take(text: string): void {
    this.#rest += text;
    for (let end = this.#rest.indexOf('\n'); end >= 0; end = this.#rest.indexOf('\n')) {
      const line = this.#rest.slice(0, end + 1);
      this.#rest = this.#rest.slice(end + 1);
      if (!line.endsWith('\r\n') || line.length > 1000) {
        this.#socket.end('500 a line is too long, or ends without CR LF\r\n');
        return;
      }
      if (this.#lines) this.#data(line.slice(0, -2), this.#lines);
      else this.#command(line.slice(0, -2));
    }
  }

  #data(line: string, lines: string[]): void {
    if (line !== '.') {
      lines.push(line.startsWith('.') ? line.slice(1) : line);
      return;
    }
    this.#lines = null;
    this.#answer('end', () => {
      const text = Buffer.from(`${lines.join('\r\n')}\r\n`, 'latin1').toString('utf8');
      this.#sink.delivered.push({ from: this.#from ?? '', to: this.#to, text });
      this.#from = null;
      this.#to = [];
      this.#say('250 kept');
    });
  }

  /** As the test wishes, or as it goes well. */
  #answer(step: string, good: () => void): void {
    const wished = this.#sink.answers.get(step);
    if (wished === null) this.#socket.destroy();
    else if (wished === undefined) good();
    else this.#say(wished);
  }

  #command(line: string): void {
    this.#sink.commands.push(line);
    const [verb = ''] = line.toUpperCase().split(' ');
    const address = /^(?:MAIL FROM|RCPT TO):<([^<>\s]*)>(?: \S+)*$/i.exec(line)?.[1];
    if (verb === 'EHLO') this.#say('250-sink\r\n250-8BITMIME\r\n250 SMTPUTF8');
    else if (verb === 'MAIL' && address !== undefined && this.#from === null)
      this.#answer(verb, () => {
        this.#from = address;
        this.#say('250 well');
      });
    else if (verb === 'RCPT' && address && this.#from !== null)
      this.#answer(verb, () => {
        this.#to.push(address);
        this.#say('250 well');
      });
    else if (verb === 'DATA' && this.#to.length > 0) {
      this.#lines = [];
      this.#say('354 go on');
    } else if (verb === 'RSET') {
      this.#from = null;
      this.#to = [];
      this.#say('250 well');
    } else if (verb === 'QUIT') this.#socket.end('221 bye\r\n');
    else this.#socket.end('503 not now\r\n');
  }
}

export async function openSmtpSink(): Promise<SmtpSink> {
  const kept = { delivered: [], commands: [], answers: new Map<string, string | null>() };
  const server = net.createServer((socket) => void new Session(kept, socket));
  const port = await listen(server);
  return {
    port,
    ...kept,
    [Symbol.asyncDispose]: async () => void server.close(),
  };
}
