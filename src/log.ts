/** What the server tells its operator: one JSON line an event, on stderr. Never a key, a prompt or an answer. */

export type Level = 'info' | 'warn' | 'error';
export type Log = (level: Level, message: string, error?: unknown) => void;

const levels: readonly Level[] = ['info', 'warn', 'error'];

/** A log of everything from `least` up. */
export function createLog(least: Level): Log {
  return (level, message, error) => {
    if (levels.indexOf(level) < levels.indexOf(least)) return;
    const line = { time: new Date().toISOString(), level, message, ...causes(error) };
    process.stderr.write(`${JSON.stringify(line)}\n`);
  };
}

/** Messages of an error and of what caused it; the stack of the first, which is ours. */
function causes(error: unknown): { error?: string; causes?: string[]; stack?: string } {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: String(error) };
  const chain: string[] = [];
  for (let cause = error.cause; cause instanceof Error && chain.length < 5; cause = cause.cause)
    chain.push(`${cause.name}: ${cause.message}`);
  return {
    error: `${error.name}: ${error.message}`,
    ...(chain.length > 0 ? { causes: chain } : {}),
    ...(error.stack ? { stack: error.stack } : {}),
  };
}
