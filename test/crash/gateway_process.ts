/** A gateway that is killed, stopped and started again on the same data. */
import { writeFileSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { type Installation, startInstallation, temporaryDataDir } from '../installation.ts';

export class GatewayProcess {
  readonly name: string;
  readonly dataDir: string;
  readonly #env: Record<string, string>;
  readonly #databaseUrl: string | undefined;
  #installation: Installation | null = null;
  #agent = new Agent({ keepAlive: true });
  /** The process that runs, or the last that did. */
  #last: Installation | null = null;

  private constructor(
    name: string,
    dataDir: string,
    env: Record<string, string>,
    databaseUrl: string | undefined,
  ) {
    this.name = name;
    this.dataDir = dataDir;
    this.#env = env;
    this.#databaseUrl = databaseUrl;
  }

  /** @param dataDir null: a new one */
  static async create(
    name: string,
    env: Record<string, string>,
    dataDir: string | null,
    databaseUrl?: string,
  ): Promise<GatewayProcess> {
    const folder = dataDir ?? (await temporaryDataDir());
    // The rounds make accounts and keys of their own.
    writeFileSync(join(folder, 'test-credentials.json'), '{"email":"","key":""}');
    return new GatewayProcess(name, folder, env, databaseUrl);
  }

  /** Where to send requests; null while it is down. */
  get address(): { origin: string; agent: Agent } | null {
    return this.#installation && { origin: this.#installation.origin, agent: this.#agent };
  }

  get pid(): number {
    if (!this.#installation) throw new Error(`${this.name} does not run`);
    return this.#installation.pid;
  }

  async start(): Promise<void> {
    const database = this.#databaseUrl === undefined ? {} : { databaseUrl: this.#databaseUrl };
    this.#agent = new Agent({ keepAlive: true });
    this.#installation = await startInstallation({
      env: this.#env,
      dataDir: this.dataDir,
      ...database,
    });
    this.#last = this.#installation;
  }

  async kill(): Promise<void> {
    await this.#down()?.kill();
  }

  /** Ctrl-C. @returns the exit code */
  async stop(): Promise<number> {
    const installation = this.#down();
    return installation ? installation.stop() : 0;
  }

  /** Stops it and deletes its data, with the PostgreSQL on them. */
  async remove(): Promise<void> {
    this.#down();
    await this.#last?.remove();
  }

  akai<T>(...args: string[]): Promise<T> {
    if (!this.#installation) throw new Error(`${this.name} does not run`);
    return this.#installation.akai<T>(...args);
  }

  /** What the process that runs, or the last that did, printed. */
  output(): string {
    return this.#last?.output() ?? '';
  }

  #down(): Installation | null {
    const installation = this.#installation;
    this.#installation = null;
    // Idle connections only: those with a request end with the process.
    this.#agent.destroy();
    return installation;
  }
}
