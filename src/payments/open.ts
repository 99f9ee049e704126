/** Puts the payment methods together for a server or for a command beside it. */
import { demoAllowed } from '../accounts/demo.ts';
import type { Config } from '../config.ts';
import type { Sql } from '../db/database.ts';
import type { Desk } from './desk.ts';
import { methodsOf } from './methods.ts';
import { type StandIns, standInsOf, startStandIns, tellCommands } from './stand_ins.ts';

interface Surroundings extends Pick<Desk, 'secret' | 'origin' | 'log' | 'changed'> {
  readonly config: Config;
  readonly sql: Sql;
}

function deskWith({ config, ...given }: Surroundings, standIns: StandIns | null): Desk {
  return {
    ...given,
    mode: config.mode,
    methods: methodsOf(config, given.sql, given.secret, standIns),
    usualRate: config.bdtRate,
  };
}

/** Where a provider of models is real, play money buys what its owner pays for: then nobody may come by it for nothing. */
function mayStandIn(config: Config): boolean {
  return config.mode === 'sandbox' && demoAllowed(config);
}

/** In a sandbox with stand-ins for the providers that are not set up. */
export async function openDesk(
  given: Surroundings,
): Promise<{ readonly desk: Desk; close(): Promise<void> }> {
  const { config, log } = given;
  if (!mayStandIn(config)) return { desk: deskWith(given, null), close: async () => {} };
  const standIns = await startStandIns(config.nagadSignature);
  // Only to this machine: a public address may be somebody else's.
  if (config.publicUrl === '')
    standIns.parts.bkash.sns.webhook = `${given.origin()}/api/payments/bkash/webhook`;
  // Their keys take a moment to make, which the start does not wait for.
  const told = tellCommands(standIns, config.dataDir).catch((error: unknown) =>
    log('commands cannot reach the stand-ins of payments', error),
  );
  return {
    desk: deskWith(given, standIns),
    close: async () => {
      await told;
      await standIns.close();
    },
  };
}

/** For a command: the stand-ins are those of the server that runs beside it. */
export async function deskOfCommand(given: Surroundings): Promise<Desk> {
  const { config } = given;
  return deskWith(given, mayStandIn(config) ? await standInsOf(config.dataDir) : null);
}
