/** Whom PostgreSQL runs as: ourselves, or, since it refuses to run as root, the ordinary user `akai`. */
import { execFileSync, spawnSync } from 'node:child_process';
import { StartError } from './start-error.ts';

export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

const name = 'akai';

function lookUp(): SystemUser | null {
  const ask = (flag: string): number =>
    Number(
      execFileSync('id', [flag, name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    );
  try {
    return { uid: ask('-u'), gid: ask('-g') };
  } catch {
    return null;
  }
}

/** The three ways in which systems make a user without password, home or shell: most Linuxes, Debian's own, BusyBox. */
const waysToMakeUser: readonly (readonly string[])[] = [
  [
    'useradd',
    '--system',
    '--user-group',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/bin/false',
    name,
  ],
  ['adduser', '--system', '--group', '--no-create-home', '--shell', '/bin/false', name],
  ['adduser', '-S', '-D', '-H', '-s', '/bin/false', name],
];

/**
 * The user `akai`, made when it is missing.
 * @throws StartError when it is missing and cannot be made
 */
export function ordinaryUser(say: (line: string) => void): SystemUser {
  const existing = lookUp();
  if (existing) return existing;
  for (const [program, ...args] of waysToMakeUser) {
    if (!program) continue;
    spawnSync(program, args, { stdio: 'ignore' });
    // Asked anew whatever the outcome: another start may have made it in the meantime.
    const made = lookUp();
    if (made && made.uid !== 0) {
      say(`Made the system user "${name}", because PostgreSQL refuses to run as root.`);
      return made;
    }
  }
  throw new StartError(
    `PostgreSQL refuses to run as root, and no user "${name}" could be made for it: make one, start as an ordinary user, or set DATABASE_URL.`,
  );
}

/** Whether `user` may enter `folder`, through all the folders above it. */
export function mayEnter(user: SystemUser, folder: string): boolean {
  const { uid, gid } = user;
  const shell = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], {
    uid,
    gid,
    cwd: '/',
    stdio: 'ignore',
  });
  return shell.status === 0;
}
