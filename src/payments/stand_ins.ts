/** Where the sandbox's stand-ins for payment providers listen, and how to sign in to them: they live in the server, commands must find them. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bkashBaseUrl, type SandboxBkash, startSandboxBkash } from '../sandbox/bkash.ts';
import { type SandboxNagad, startSandboxNagad } from '../sandbox/nagad.ts';
import { type SandboxUddoktapay, startSandboxUddoktapay } from '../sandbox/uddoktapay.ts';
import type { StandInBkash } from './bkash.ts';
import { fetchBounded } from './bkash_sns.ts';

export interface StandIns {
  readonly bkash: StandInBkash;
  readonly nagad: {
    readonly baseUrl: string;
    readonly merchantId: string;
    readonly merchantNumber: string;
    readonly keys: () => Promise<{ readonly publicKey: string; readonly privateKey: string }>;
  };
  readonly uddoktapay: { readonly baseUrl: string; readonly apiKey: string };
}

export interface RunningStandIns extends StandIns {
  readonly parts: {
    readonly bkash: SandboxBkash;
    readonly nagad: SandboxNagad;
    readonly uddoktapay: SandboxUddoktapay;
  };
  close(): Promise<void>;
}

/** Starts them all, on loopback. */
export async function startStandIns(signature: 'sha256' | 'sha1'): Promise<RunningStandIns> {
  const [bkash, nagad, uddoktapay] = await Promise.all([
    startSandboxBkash(),
    startSandboxNagad({ hash: signature }),
    startSandboxUddoktapay(),
  ]);
  const { baseUrl, merchantId, merchantNumber } = nagad;
  return {
    bkash,
    nagad: { baseUrl, merchantId, merchantNumber, keys: () => nagad.credentials() },
    uddoktapay: { baseUrl: uddoktapay.baseUrl, apiKey: uddoktapay.apiKey },
    parts: { bkash, nagad, uddoktapay },
    close: async () => {
      await Promise.all([bkash.close(), nagad.close(), uddoktapay.close()]);
    },
  };
}

const fileIn = (dataDir: string): string => join(dataDir, 'payment-stand-ins.json');

/** What commands are told: all but the way to the stand-in's notifications, which only the server hears. */
interface Told {
  readonly bkash: { readonly origin: string } & Pick<StandInBkash, 'credentials'>;
  readonly nagad: Omit<StandIns['nagad'], 'keys'> & {
    readonly keys: Awaited<ReturnType<StandIns['nagad']['keys']>>;
  };
  readonly uddoktapay: StandIns['uddoktapay'];
}

/** For the commands that run beside the server. */
export async function tellCommands(standIns: RunningStandIns, dataDir: string): Promise<void> {
  const { nagad, uddoktapay, parts } = standIns;
  const { origin, credentials } = parts.bkash;
  const told: Told = {
    bkash: { origin, credentials },
    nagad: { ...nagad, keys: await nagad.keys() },
    uddoktapay,
  };
  const path = fileIn(dataDir);
  await writeFile(`${path}.new`, JSON.stringify(told), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** What the server told; null where none has run here. */
export async function standInsOf(dataDir: string): Promise<StandIns | null> {
  const text = await readFile(fileIn(dataDir), 'utf8').catch(() => null);
  if (text === null) return null;
  const { bkash, nagad, uddoktapay } = JSON.parse(text) as Told; // as: `tellCommands` wrote it
  return {
    bkash: {
      credentials: bkash.credentials,
      baseUrl: (generation) => bkashBaseUrl(bkash.origin, generation),
      sns: { topicArn: '', fetchText: fetchBounded },
    },
    nagad: { ...nagad, keys: async () => nagad.keys },
    uddoktapay,
  };
}
