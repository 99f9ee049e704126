/** What probes have found out about an offer, in memory: routing reads one number of it. */

export const probeNames = ['plain', 'tools', 'structured_outputs', 'usage'] as const;
export type ProbeName = (typeof probeNames)[number];

/** What a request may need of an offer, each a bit; answering at all is a matter of health. */
const bits: Readonly<Record<ProbeName, number>> = {
  plain: 0,
  tools: 1,
  structured_outputs: 2,
  usage: 4,
};

/** What a request needs that some offers lack, as bits. */
export function needsOf(parsed: Readonly<Record<string, unknown>>): number {
  const { tools, response_format: format, stream } = parsed;
  const hasTools = Array.isArray(tools) && tools.length > 0;
  const hasSchema =
    typeof format === 'object' &&
    format !== null &&
    'type' in format &&
    format.type === 'json_schema';
  return (
    (hasTools ? bits.tools : 0) |
    (hasSchema ? bits.structured_outputs : 0) |
    (stream === true ? bits.usage : 0)
  );
}

/** As `GET …/endpoints` shows it; null where a probe was never answered, or does not apply. */
export type ProbeReport = Readonly<Record<ProbeName, boolean | null>> & {
  /** ISO, of the latest. */
  readonly checked_at: string | null;
};

export class OfferProbes {
  /** What the latest probes found it to lack, as bits. */
  lacks = 0;
  /** When it was probed last; ms since 1970, 0 for never. */
  checkedAt = 0;
  readonly #passed = new Map<ProbeName, boolean>();

  /** @param at ms since 1970 */
  found(probe: ProbeName, passed: boolean, at: number): void {
    this.#passed.set(probe, passed);
    this.checkedAt = Math.max(this.checkedAt, at);
    if (passed) this.lacks &= ~bits[probe];
    else this.lacks |= bits[probe];
  }

  passed(probe: ProbeName): boolean | null {
    return this.#passed.get(probe) ?? null;
  }

  report(): ProbeReport {
    return {
      plain: this.passed('plain'),
      tools: this.passed('tools'),
      structured_outputs: this.passed('structured_outputs'),
      usage: this.passed('usage'),
      checked_at: this.checkedAt === 0 ? null : new Date(this.checkedAt).toISOString(),
    };
  }
}
