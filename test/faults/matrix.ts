/**
 * The matrix of steps and deaths. In each scene requests are brought to every step of their life at once, each with a
 * wallet of its own; then the gateway, PostgreSQL or both are killed, started again, and each request is looked up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { livingPostmaster } from '../../src/db/postmaster.ts';
import { audit } from '../../src/wallet/audit.ts';
import { read } from '../crash/stage.ts';
import { until } from '../scratch_data.ts';
import { Actor, type Step } from './actor.ts';
import { type Death, type ReceiptRow, wrong } from './expectations.ts';
import { openStage, restartDatabase, type Stage } from './stage.ts';
import type { Gate, Statement } from './tap.ts';

/** Whose statement stands where in a scene. */
interface Standing {
  readonly statement: Statement;
  readonly when: 'before' | 'after';
}

export interface Scene {
  readonly ledger: Standing & { readonly statement: 'hold' | 'settle' };
  /** Of a stream's checkpoints, the first or the second. */
  readonly checkpoint: 'first' | 'second';
}

/** Together these stand at every step. */
export const scenes: readonly Scene[] = [
  { ledger: { statement: 'hold', when: 'before' }, checkpoint: 'first' },
  { ledger: { statement: 'hold', when: 'after' }, checkpoint: 'second' },
  { ledger: { statement: 'settle', when: 'before' }, checkpoint: 'second' },
  { ledger: { statement: 'settle', when: 'after' }, checkpoint: 'first' },
];

export interface SceneResult {
  readonly name: string;
  readonly requests: number;
  /** Complete answers without a charge, and requests charged more than once. */
  readonly lost: number;
  readonly doubled: number;
  readonly seconds: number;
  readonly cells: readonly string[];
  readonly violations: readonly string[];
}

/** Longer than a death of the database takes, also on a busy machine: the gateway that lives goes on. */
const env = { LEASE_MS: '60000', RECOVERY_GRACE_MS: '100', HOLD_WAIT_MS: '500' };
/** After which what has been asked of the gateway surely stands in its queue; if not, it stands just before. */
const queuedMs = 100;

class Play {
  readonly stage: Stage;
  readonly #scene: Scene;
  /** Whether the one at the gate streams; those in the queue behind it then do not. */
  readonly #stream: boolean;
  readonly actors: Actor[] = [];

  constructor(stage: Stage, scene: Scene, stream: boolean) {
    this.stage = stage;
    this.#scene = scene;
    this.#stream = stream;
  }

  get origin(): string {
    const address = this.stage.gateways[0]?.address;
    if (!address) throw new Error('the gateway is down');
    return address.origin;
  }

  async #actor(step: Step, stream: boolean): Promise<Actor> {
    const actor = await Actor.make(this.stage, step, stream);
    this.actors.push(actor);
    return actor;
  }

  /** Brings a request to each step of this scene. */
  async stand(): Promise<void> {
    await this.#parked();
    const settlers = this.#scene.ledger.statement === 'settle' ? await this.#settlers() : [];
    await this.#checkpoint();
    await this.#key();
    if (settlers.length > 0) await this.#settle(settlers);
    else await this.#hold();
  }

  async #parked(): Promise<void> {
    const kinds: readonly [step: Step, ...streams: boolean[]][] = [
      ['the provider is called', true, false],
      ['the provider begins to answer', true, false],
      ['its first bytes are delivered', true],
      ['it is in mid-stream', true],
      ['it is delivered', true, false],
    ];
    const { origin } = this;
    await Promise.all(
      kinds.flatMap(([step, ...streams]) =>
        streams.map(async (stream) => (await this.#actor(step, stream)).walk(origin)),
      ),
    );
  }

  async #checkpoint(): Promise<void> {
    const { checkpoint, ledger } = this.#scene;
    const where = ledger.when === 'before' ? 'on its way' : 'committed and not heard of';
    const actor = await this.#actor(`its ${checkpoint} checkpoint is ${where}`, true);
    actor.ask(this.origin);
    await actor.called();
    if (checkpoint === 'second') await actor.deliver(100);
    await this.#firstCheckpointsSaved();
    const gate = this.stage.tap.arm('checkpoint', ledger.when);
    if (checkpoint === 'second') actor.outgrow();
    else actor.begin();
    await reached(gate, actor);
  }

  /** A stream begins when its first checkpoint is in the journal; in the database it is a moment later. */
  async #firstCheckpointsSaved(): Promise<void> {
    const begun = this.actors.filter(({ stream, received }) => stream && received > 0);
    const wallets = begun.map(({ customer }) => customer.walletId);
    await until('the first checkpoints are saved', async () => {
      const rows = await this.stage
        .sql`SELECT id FROM holds WHERE checkpoint = 0 AND wallet = ANY (${wallets})`;
      return rows.length === 0;
    });
  }

  async #key(): Promise<void> {
    const { when } = this.#scene.ledger;
    const step = when === 'before' ? 'its key is asked for' : 'its key is found';
    const actor = await this.#actor(step, this.#stream);
    const gate = this.stage.tap.arm('key', when);
    actor.ask(this.origin);
    await reached(gate, actor);
  }

  async #hold(): Promise<void> {
    const { when } = this.#scene.ledger;
    const where = when === 'before' ? 'on its way' : 'committed and not heard of';
    const first = await this.#actor(`its hold is ${where}`, this.#stream);
    const beside = await this.#actor('its hold is on its way beside the call', !this.#stream);
    const behind = await this.#actor('its hold waits for the batch before', !this.#stream);
    // A wallet that is known to be rich: its hold travels beside the call.
    await warm(this.stage, beside, this.origin);
    const gate = this.stage.tap.arm('hold', when);
    first.ask(this.origin);
    await reached(gate, first);
    beside.ask(this.origin);
    behind.ask(this.origin);
    await sleep(queuedMs);
    // It has the whole answer, and nobody has paid.
    beside.script.finish();
    await sleep(queuedMs);
  }

  /** They have all of their answer but the end. */
  async #settlers(): Promise<Actor[]> {
    const { when } = this.#scene.ledger;
    const where = when === 'before' ? 'on its way' : 'committed and not heard of';
    const first = await this.#actor(`its settlement is ${where}`, this.#stream);
    const behind = await this.#actor('its settlement waits for the batch before', !this.#stream);
    for (const actor of [first, behind]) await actor.walk(this.origin);
    return [first, behind];
  }

  async #settle([first, behind]: readonly Actor[]): Promise<void> {
    if (!first) return;
    const gate = this.stage.tap.arm('settle', this.#scene.ledger.when);
    first.script.finish();
    await reached(gate, first);
    behind?.script.finish();
    await sleep(queuedMs);
  }
}

async function reached(gate: Gate, { name, step }: Actor): Promise<void> {
  let is = false;
  void gate.reached.then(() => {
    is = true;
  });
  await until(`${name}: ${step}`, () => is);
}

/** Lets a wallet be seen by a request before the one that counts. */
async function warm(stage: Stage, actor: Actor, origin: string): Promise<void> {
  const before = await Actor.make(stage, 'it is delivered', false);
  Object.assign(before, { customer: actor.customer });
  await before.walk(origin);
}

/** SIGKILL to all of PostgreSQL at once: what it had not written is gone. */
async function killDatabase(stage: Stage): Promise<void> {
  const rows = await stage.sql<{ pid: number }[]>`SELECT pid FROM pg_stat_activity`;
  const main = livingPostmaster(stage.place);
  if (main === null) throw new Error('PostgreSQL does not run');
  for (const pid of [main, ...rows.map((row) => row.pid)])
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It noticed that the first of them is dead.
    }
  await until('PostgreSQL is dead', () => livingPostmaster(stage.place) !== main);
}

async function die(stage: Stage, death: Death): Promise<void> {
  const [gateway] = stage.gateways;
  if (!gateway) throw new Error('there is no gateway');
  const killed = death === 'database' ? null : gateway.kill();
  if (death !== 'gateway') await killDatabase(stage);
  await killed;
  if (death !== 'gateway') await restartDatabase(stage.place);
  if (death === 'database') return;
  // So that nobody has to wait for the end of its lease.
  await read(() => stage.sql`UPDATE instances SET lease_until = '-infinity'`);
  await gateway.start();
}

async function receiptOf(stage: Stage, actor: Actor): Promise<ReceiptRow | null> {
  const { walletId } = actor.customer;
  const rows = await read(
    () => stage.sql<ReceiptRow[]>`
      SELECT r.*, count(t.id)::int AS charges, coalesce(sum(t.amount), 0)::bigint AS transferred
      FROM receipts r LEFT JOIN transfers t ON t.id = r.id AND t.kind = 'charge' AND t.debit = r.wallet
      WHERE r.wallet = ${walletId} GROUP BY r.id ORDER BY r.id`,
  );
  const isWarm = actor.step === 'its hold is on its way beside the call';
  const own = isWarm ? rows.slice(1) : rows;
  if (own.length > 1) throw new Error(`${actor.name} has ${own.length} receipts`);
  return own[0] ?? null;
}

async function wrongWallets(stage: Stage, actors: readonly Actor[]): Promise<string[]> {
  const ids = actors.map(({ customer }) => customer.walletId);
  const rows = await read(
    () => stage.sql<{ id: number; balance: number; held: number; spent: number }[]>`
      SELECT id, balance, held, (SELECT coalesce(sum(charged), 0)::bigint FROM receipts WHERE wallet = a.id) AS spent
      FROM ledger_accounts a WHERE id = ANY (${ids})`,
  );
  const credits = new Map(actors.map(({ customer }) => [customer.walletId, customer.credit]));
  const bad = rows.filter(
    ({ id, balance, held, spent }) => held !== 0 || balance !== (credits.get(id) ?? 0) - spent,
  );
  const { findings } = await read(() => audit(stage.sql));
  return [
    ...bad.map((row) => `a wallet is wrong: ${JSON.stringify(row)}`),
    ...findings.map((finding) => `audit: ${JSON.stringify(finding)}`),
  ];
}

/** Plays one scene to its end. @throws Error where it could not be set, or nothing starts again */
async function playScene(
  stage: Stage,
  scene: Scene,
  death: Death,
  stream: boolean,
): Promise<SceneResult> {
  const began = performance.now();
  const { ledger, checkpoint } = scene;
  const name = `${ledger.statement} ${ledger.when}, ${checkpoint} checkpoint, death of ${death}`;
  const play = new Play(stage, scene, stream);
  await play.stand();
  await die(stage, death);
  const { actors } = play;
  for (const { script } of actors) script.goOn();
  await Promise.all(actors.map(({ visit }) => visit.over()));
  await until('every hold has ended', async () => {
    const rows = await read(() => stage.sql`SELECT id FROM holds LIMIT 1`);
    return rows.length === 0;
  });
  const violations: string[] = [];
  let lost = 0;
  let doubled = 0;
  const receipts = await Promise.all(actors.map((actor) => receiptOf(stage, actor)));
  for (const [index, actor] of actors.entries()) {
    const receipt = receipts[index] ?? null;
    const problem = wrong(actor, death, receipt);
    if (problem) violations.push(problem);
    if (actor.visit.isComplete && !receipt?.charges) lost += 1;
    if ((receipt?.charges ?? 0) > 1) doubled += 1;
  }
  violations.push(...(await wrongWallets(stage, actors)));
  const cells = actors.map(
    (actor) => `${actor.stream ? 'stream' : 'JSON'}: ${actor.step} × ${death}`,
  );
  const seconds = (performance.now() - began) / 1000;
  return { name, requests: actors.length, lost, doubled, seconds, cells, violations };
}

function openMatrix(): Promise<Stage> {
  return openStage(['A'], env);
}

export interface MatrixSum {
  readonly deaths: number;
  readonly cells: ReadonlySet<string>;
  readonly requests: number;
  readonly lost: number;
  readonly doubled: number;
  readonly violations: number;
}

/** @param plays which scenes, and whether the request at the gate streams */
export async function playMatrix(
  plays: readonly (readonly [scene: Scene, death: Death, stream: boolean])[],
  report: (result: SceneResult) => void,
): Promise<MatrixSum> {
  const results: SceneResult[] = [];
  await using stage = await openMatrix();
  for (const play of plays) {
    const result = await playScene(stage, ...play);
    results.push(result);
    report(result);
  }
  const sum = (number: (result: SceneResult) => number): number =>
    results.reduce((total, result) => total + number(result), 0);
  return {
    deaths: results.length,
    cells: new Set(results.flatMap(({ cells }) => cells)),
    requests: sum(({ requests }) => requests),
    lost: sum(({ lost }) => lost),
    doubled: sum(({ doubled }) => doubled),
    violations: sum(({ violations }) => violations.length),
  };
}
