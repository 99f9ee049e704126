/** What can go wrong between a request and the books. */

/** The hold was recovered from this process, or the lease ended before the commit: nothing more may be delivered. */
export class SettlementLost extends Error {}

/** Whether the same statement may succeed later: the connection or the server went away, or a deadlock chose us. */
export function isPassing(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  // Class 08: connection; 57P: shutdown, crash, cannot connect now; 40: deadlock, serialization; 53: out of connections, disk, memory.
  return (
    /^(08|57P|40|53)/.test(code) ||
    /^(CONNECTION_|CONNECT_|ECONN|ENOENT|EPIPE|ETIMEDOUT|EHOST|ENOTFOUND|EAI_)/.test(code)
  );
}
