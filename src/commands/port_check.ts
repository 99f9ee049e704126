/** Whether the server can listen where it is told to; if not, who does. */
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { type Check, ok, problem } from './check.ts';

export async function portCheck(config: Config): Promise<Check> {
  const name = 'Port';
  const where = `${config.host}:${config.port}`;
  if (config.port === 0) return ok(name, 'any free one');
  const server = createServer();
  try {
    server.listen(config.port, config.host);
    await once(server, 'listening');
    return ok(name, `${where} is free`);
  } catch (error) {
    const own = await ownServer(config);
    const holders = await listeners(config.port);
    const isOwn = own !== null && (holders.length === 0 || holders.some(({ pid }) => pid === own));
    if (isOwn) return ok(name, `${where} is held by this installation's server, process ${own}`);
    const reason = error instanceof Error ? error.message : String(error);
    const held = holders.map(({ pid, program }) => `process ${pid}, ${program}`).join('; ');
    return problem(
      name,
      held ? `${where} is held by ${held}` : `${where} cannot be used (${reason})`,
      held ? 'Stop it, or set PORT to another number.' : `${unknownHolder} ${config.port}`,
    );
  } finally {
    server.close();
  }
}

const unknownHolder =
  'Stop what listens there (as root, "ss -ltnp" tells what), or set PORT to another number than';

/** The process that serves from this data folder, if it lives. */
async function ownServer({ dataDir }: Config): Promise<number | null> {
  try {
    const pid = Number.parseInt(await readFile(join(dataDir, 'akai.pid'), 'utf8'), 10);
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}

interface Listener {
  readonly pid: number;
  /** Name of the program, and the beginning of its command. */
  readonly program: string;
}

const listening = '0A';
const longestCommand = 80;

/** Who listens on a port, of those that this user may see; none where the system has no /proc. */
async function listeners(port: number): Promise<Listener[]> {
  const tables = await Promise.all(
    ['tcp', 'tcp6'].map((table) => readFile(`/proc/net/${table}`, 'utf8').catch(() => '')),
  );
  // proc_net_tcp(5): local address and port in hexadecimal, the state, and as the tenth column the inode of the socket.
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const sockets = new Set(
    tables.flatMap((table) =>
      table.split('\n').flatMap((line) => {
        const columns = line.trim().split(/\s+/);
        const isIt = columns[1]?.endsWith(suffix) && columns[3] === listening;
        return isIt ? [`socket:[${columns[9]}]`] : [];
      }),
    ),
  );
  if (sockets.size === 0) return [];
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(pids.map((pid) => holderOf(pid, sockets)));
  return found.filter((holder) => holder !== null);
}

async function holderOf(pid: string, sockets: ReadonlySet<string>): Promise<Listener | null> {
  const folder = `/proc/${pid}`;
  const files = await readdir(`${folder}/fd`).catch(() => []);
  const links = await Promise.all(
    files.map((file) => readlink(`${folder}/fd/${file}`).catch(() => '')),
  );
  if (!links.some((link) => sockets.has(link))) return null;
  const [program, command] = await Promise.all([
    readFile(`${folder}/comm`, 'utf8').catch(() => ''),
    readFile(`${folder}/cmdline`, 'utf8').catch(() => ''),
  ]);
  const words = command.replaceAll('\0', ' ').trim().slice(0, longestCommand);
  return { pid: Number(pid), program: words ? `${program.trim()} (${words})` : program.trim() };
}
