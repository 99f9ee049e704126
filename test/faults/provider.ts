/** A provider that answers step by step, when the test says so. */
import type { ServerResponse } from 'node:http';
import {
  chunkEvent,
  completion,
  type PromptedProvider,
  startPrompted,
} from '../prompted_provider.ts';
import { model } from '../providers.ts';

export interface Said {
  readonly prompt: number;
  readonly completion: number;
}

/** One answer, in the hands of the test. */
export class Script {
  readonly stream: boolean;
  readonly usage: Said;
  /** Resolves when the provider was asked. */
  readonly called: Promise<void>;
  calls = 0;
  /** Bytes of generated text that were written. */
  sent = 0;
  #call: () => void = () => {};
  #response: ServerResponse | null = null;
  #isAutomatic = false;
  #isOver = false;

  constructor(stream: boolean, usage: Said) {
    this.stream = stream;
    this.usage = usage;
    this.called = new Promise((resolve) => {
      this.#call = resolve;
    });
  }

  take(response: ServerResponse): void {
    this.calls += 1;
    this.#response = response;
    this.#call();
    if (this.#isAutomatic) this.finish();
  }

  /** The status and the headers; of JSON also a part of the body, which is white space. */
  begin(): void {
    const type = this.stream ? 'text/event-stream' : 'application/json';
    this.#response?.writeHead(200, { 'content-type': type }).flushHeaders();
    if (!this.stream) this.#response?.write(' ');
  }

  /** An event of so many bytes of text. */
  say(bytes: number): void {
    if (!this.#response?.headersSent) this.begin();
    this.sent += bytes;
    this.#event({
      choices: [{ index: 0, delta: { content: 's'.repeat(bytes) }, finish_reason: null }],
    });
  }

  /** What is left of the answer. */
  finish(): void {
    if (!this.#response || this.#isOver) return;
    this.#isOver = true;
    if (!this.#response.headersSent) this.begin();
    if (this.stream) this.#finishStream(this.#response);
    else this.#finishJson(this.#response);
  }

  /** From now on it answers by itself. */
  goOn(): void {
    this.#isAutomatic = true;
    this.finish();
  }

  #usage(): object {
    const { prompt, completion } = this.usage;
    return {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
    };
  }

  #event(members: object): void {
    this.#response?.write(chunkEvent('chatcmpl-1', model, members));
  }

  #finishStream(response: ServerResponse): void {
    this.#event({ choices: [{ index: 0, delta: { content: 'end' }, finish_reason: null }] });
    this.#event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
    this.#event({ choices: [], usage: this.#usage() });
    response.end('data: [DONE]\n\n');
    this.sent += 3;
  }

  #finishJson(response: ServerResponse): void {
    response.end(completion('chatcmpl-1', model, 'Hello!', this.#usage()));
  }
}

export interface ScriptedProvider extends PromptedProvider {
  /** By the text of the prompt. */
  readonly scripts: Map<string, Script>;
}

export async function startScripted(): Promise<ScriptedProvider> {
  const scripts = new Map<string, Script>();
  const provider = await startPrompted((prompt, response) => scripts.get(prompt)?.take(response));
  return { ...provider, scripts };
}
