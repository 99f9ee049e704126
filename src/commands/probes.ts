/** `akai probes …`: what tiny requests found out about offers, and asking them now. */
import type { ParseArgsOptionsConfig } from 'node:util';
import { catalogue } from '../catalogue/catalogue.ts';
import type { Config } from '../config.ts';
import { openDatabase, type Sql } from '../db/database.ts';
import { ApiError } from '../errors.ts';
import type { ProbeResult } from '../gateway/probe.ts';
import { formatUsd } from '../wallet/money.ts';
import type { Said } from './said.ts';

interface Given {
  readonly values: Readonly<Record<string, unknown>>;
}

interface ProbeCommand {
  readonly usage: string;
  readonly sentence: string;
  readonly options: ParseArgsOptionsConfig;
  readonly run: (given: Given, config: Config, say: (line: string) => void) => Promise<Said>;
}

const options = { model: { type: 'string' } } as const;

export const probeCommands: Readonly<Record<string, ProbeCommand>> = {
  probes: {
    usage: '[--model ID]',
    sentence: 'List what the latest probes found out about offers.',
    options,
    run: withSql(list),
  },
  'probes run': {
    usage: '[--model ID]',
    sentence: 'Probe all offers, or those of a model, now: tiny requests, which you pay.',
    options,
    run: withSql(async ({ sql, config, say, model }) => {
      // Loaded here because most commands work without a gateway.
      const { probeNow } = await import('../gateway/probe_now.ts');
      const { results, offers } = await probeNow(sql, config, model, (result) => say(line(result)));
      const failed = results.filter(({ passed }) => passed === false).length;
      const none = 'No provider of it is set up: there is nothing to probe.';
      return {
        json: { probes: results.map(shown) },
        text: offers === 0 ? none : `${results.length} probes, ${failed} failed.`,
      };
    }),
  },
};

interface Work {
  readonly sql: Sql;
  readonly config: Config;
  readonly say: (line: string) => void;
  /** Id of the only model that is meant; null for all. */
  readonly model: string | null;
}

function withSql(work: (work: Work) => Promise<Said>): ProbeCommand['run'] {
  return async ({ values }, config, say) => {
    const model = typeof values.model === 'string' ? modelNamed(values.model) : null;
    const database = await openDatabase(config, 'command', say);
    try {
      return await work({ sql: database.sql, config, say, model });
    } finally {
      await database.close();
    }
  };
}

/** @throws ApiError for one that there is not */
function modelNamed(id: string): string {
  const model = catalogue.find(id);
  if (model) return model.id;
  const message = '--model takes the id of a model of the catalogue.';
  throw new ApiError('invalid_request', { message });
}

async function list({ sql, model }: Work): Promise<Said> {
  const models = [...catalogue.models.values()].filter(({ id }) => id === (model ?? id));
  const offers = models.flatMap(({ id, dated }) =>
    dated.map(({ provider }) => `${id}@${provider}`),
  );
  const { lastProbes } = await import('../gateway/probe_schedule.ts');
  const rows = await lastProbes(sql, offers, false);
  return {
    json: { probes: rows.map((row) => ({ ...shown(row), at: row.at.toISOString() })) },
    text:
      rows.map((row) => `${row.at.toISOString()}  ${line(row)}`).join('\n') ||
      'Nothing was probed in the last 30 days.',
  };
}

function shown({ offer, probe, passed, reason, ms, inputTokens, outputTokens, cost }: ProbeResult) {
  return {
    ...{ offer, probe, passed, reason, ms },
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cost_usd: cost === null ? null : formatUsd(cost),
  };
}

function line({ offer, probe, passed, reason, ms, cost }: ProbeResult): string {
  const state = passed === null ? 'unknown' : passed ? 'passed' : 'FAILED';
  const price = cost === null ? '' : `  $${formatUsd(cost)}`;
  return `${state.padEnd(7)}  ${offer}  ${probe}  ${ms} ms${price}${reason && `  ${reason}`}`;
}
