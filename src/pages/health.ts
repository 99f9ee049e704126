/** Whether the database answers, asked at most once a second however often balancers and visitors ask us. */

const keepMs = 1000;
const patienceMs = 2000;

/**
 * A check that remembers its answer for a second and gives up on a silent database after two.
 * @param ping rejects when the database does not answer
 */
export function healthCheck(
  ping: () => Promise<unknown>,
  now: () => number = () => performance.now(),
): () => Promise<boolean> {
  let answer: Promise<boolean> | undefined;
  let until = 0;
  return () => {
    if (!answer || now() >= until) {
      // Callers share the check in flight; its second begins when it ends.
      until = Number.POSITIVE_INFINITY;
      answer = withPatience(ping).then((healthy) => {
        until = now() + keepMs;
        return healthy;
      });
    }
    return answer;
  };
}

async function withPatience(ping: () => Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, patienceMs, false);
  try {
    const inTime = Promise.resolve()
      .then(ping)
      .then(
        () => true,
        () => false,
      );
    return await Promise.race([inTime, late]);
  } finally {
    clearTimeout(timer);
  }
}
