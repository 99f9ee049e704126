/** DATA_DIR/akai.pid: the process that serves, for whoever wants to signal it. Which server may run is decided by a lock, not by this. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Writes it whole or not at all; one that a killed server left is replaced. Returns what removes it. */
export function writePidFile(dataDir: string): () => void {
  const file = path.join(dataDir, 'akai.pid');
  const mine = `${process.pid}\n`;
  writeFileSync(`${file}.${process.pid}`, mine);
  renameSync(`${file}.${process.pid}`, file);
  return () => {
    // Servers that share a database by DATABASE_URL may also share the folder: not another's.
    try {
      if (readFileSync(file, 'utf8') === mine) rmSync(file);
    } catch {
      // Gone already.
    }
  };
}
