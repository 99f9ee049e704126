/** The embedded PostgreSQL, run by a test and not by a gateway. */
import { connect } from '../src/db/connection.ts';
import { findPlace, type Place, socketPath } from '../src/db/place.ts';
import { ensureRunning } from '../src/db/postmaster.ts';
import { errorCode } from '../src/db/start-error.ts';
import { copyPrepared } from './prepared.ts';

const quiet = (): void => {};

/** Makes the cluster of a folder run, with a database in it that holds nothing. */
export async function startDatabase(folder: string): Promise<Place> {
  copyPrepared(folder);
  const place = await findPlace(folder, quiet);
  await ensureRunning(place, quiet);
  const address = { path: socketPath(place) };
  const setup = connect(address, { max: 1, name: 'test setup', database: 'postgres' });
  await setup`CREATE DATABASE akai`.catch((error: unknown) => {
    if (errorCode(error) !== '42P04') throw error;
  });
  await setup.end();
  return place;
}
