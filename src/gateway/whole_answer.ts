/** An answer in one piece: read whole, settled, then sent. */
import { editMembers, type Fields, fields } from '../dialects/members.ts';
import { readUsage } from '../dialects/openai.ts';
import { formatUsd, nano } from '../wallet/money.ts';
import { firstAnswer } from './attempts.ts';
import {
  bookRefused,
  type Call,
  capOf,
  endingOf,
  noticeHeaders,
  requestWriter,
  usageEdits,
  usageText,
} from './call.ts';
import { generatedBytes } from './generated.ts';
import { credible, emptyAnswer, estimateUsage, isEmpty } from './meter.ts';
import { UpstreamBroken } from './upstream.ts';

/** @throws what the client is told, while nothing has been answered */
export async function wholeAnswer(call: Call): Promise<void> {
  const { gateway, exchange, request, hold } = call;
  const cap = capOf(call);
  const answered = await firstAnswer(call, requestWriter(request, cap), async (upstream, target) =>
    readWhole(
      target.dialect.readWhole(await upstream.text(gateway.upstreams.maxAnswerBytes), request),
    ),
  );
  const { text, parsed } = answered.answer;
  const bytes = allGenerated(parsed);
  const told = readUsage(parsed.usage, answered.target);
  const reported = credible(told, bytes);
  const usage = reported ?? estimateUsage(request.inputEstimate, bytes);
  if (!hold.isConfirmed)
    await hold.confirmed.catch(() => bookRefused(call, { target: answered.target, usage }));
  const now = performance.now();
  answered.target.health.delivered(usage.output, now - answered.askedAt, now);
  let charged = nano(0);
  if (isEmpty(told, bytes)) await hold.release({ reason: emptyAnswer });
  else
    charged = await hold.settle(
      endingOf(call, answered, usage, reported !== null, {
        finishReason: finishReasonOf(parsed),
        reason: reported ? null : 'the provider reported no usage',
      }),
    );
  const cost = formatUsd(charged);
  const edits = usageEdits(cost, cap);
  const withCost = (old: string): string => editMembers(old, fields(parsed.usage), edits);
  const body = editMembers(text, parsed, {
    id: `"chatcmpl-${exchange.plainId}"`,
    model: JSON.stringify(answered.target.offer.model),
    usage: reported ? withCost : usageText(usage, cost, cap),
  });
  exchange.json(body, ['x-cost-usd', cost, ...noticeHeaders(call, cap)]);
}

/** @throws UpstreamBroken for what is no chat completion */
function readWhole(text: string): { text: string; parsed: Fields } {
  let parsed: Fields;
  try {
    parsed = fields(JSON.parse(text));
  } catch (cause) {
    throw new UpstreamBroken('the answer is not JSON', { cause });
  }
  if (parsed.error || !Array.isArray(parsed.choices) || parsed.choices.length === 0)
    throw new UpstreamBroken('the answer is no chat completion');
  return { text, parsed };
}

function finishReasonOf(parsed: Fields): string | null {
  const [choice] = Array.isArray(parsed.choices) ? parsed.choices : [];
  const { finish_reason } = fields(choice);
  return typeof finish_reason === 'string' ? finish_reason : null;
}

function allGenerated({ choices }: Fields): number {
  if (!Array.isArray(choices)) return 0;
  return choices.reduce((sum: number, choice: unknown) => sum + generatedBytes(choice), 0);
}
