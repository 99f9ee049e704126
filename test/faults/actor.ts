/** A request that is brought to a certain step and stands there until something dies. */

import type { Customer } from '../customer.ts';
import { until } from '../scratch_data.ts';
import { Script } from './provider.ts';
import type { Stage } from './stage.ts';
import { Visit } from './visit.ts';

/** The steps of a request, in their order: where it stands when the fault comes. */
export const steps = [
  'its key is asked for',
  'its key is found',
  'its hold waits for the batch before',
  'its hold is on its way',
  'its hold is on its way beside the call',
  'its hold is committed and not heard of',
  'the provider is called',
  'the provider begins to answer',
  'its first checkpoint is on its way',
  'its first checkpoint is committed and not heard of',
  'its first bytes are delivered',
  'its second checkpoint is on its way',
  'its second checkpoint is committed and not heard of',
  'it is in mid-stream',
  'its settlement waits for the batch before',
  'its settlement is on its way',
  'its settlement is committed and not heard of',
  'it is delivered',
] as const;
export type Step = (typeof steps)[number];

/** Text that the first checkpoint covers, and that it does not: 1,024 bytes. */
const few = 100;
const many = 1500;
const prompt = 40;

let count = 0;

export class Actor {
  readonly step: Step;
  readonly stream: boolean;
  readonly script: Script;
  readonly customer: Customer;
  readonly name: string;
  #visit: Visit | null = null;

  private constructor(step: Step, stream: boolean, customer: Customer) {
    count += 1;
    this.step = step;
    this.stream = stream;
    this.customer = customer;
    this.name = `request ${count}`;
    this.script = new Script(stream, { prompt, completion: 10 + count });
  }

  static async make(stage: Stage, step: Step, stream: boolean): Promise<Actor> {
    const actor = new Actor(step, stream, await stage.customer('5'));
    stage.provider.scripts.set(actor.name, actor.script);
    return actor;
  }

  get visit(): Visit {
    if (!this.#visit) throw new Error(`${this.name} has not asked`);
    return this.#visit;
  }

  /** Bytes of content that it has got. */
  get received(): number {
    return this.#visit?.contentBytes ?? 0;
  }

  ask(origin: string): void {
    this.#visit = new Visit(origin, this.customer.key, this.name, this.stream);
  }

  async called(): Promise<void> {
    await until(`the provider is called for ${this.name}`, () => this.script.calls > 0);
  }

  /** Brings it to a step that it reaches without anybody being stopped. */
  async walk(origin: string): Promise<void> {
    this.ask(origin);
    await this.called();
    if (this.step === 'the provider is called') return;
    if (this.step === 'the provider begins to answer') {
      this.script.begin();
      return;
    }
    if (this.step === 'it is delivered') {
      this.script.goOn();
      await this.visit.over();
      return;
    }
    if (this.stream) await this.deliver(few);
    if (this.step === 'it is in mid-stream') await this.deliver(many);
  }

  async deliver(bytes: number): Promise<void> {
    const wanted = this.visit.contentBytes + bytes;
    this.script.say(bytes);
    await until(`${this.name} has got ${wanted} bytes`, () => this.visit.contentBytes >= wanted);
  }

  /** Sends what the first checkpoint does not cover; nobody waits for its delivery. */
  outgrow(): void {
    this.script.say(many);
  }

  /** The first event, or the end, whichever its step is about. */
  begin(): void {
    this.script.say(few);
  }
}
