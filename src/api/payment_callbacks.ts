/**
 * Where browsers come back from a provider's page, and where providers send webhooks. Whatever they say is only a reason
 * to ask the provider; an address that knows no payment asks nobody.
 */
import { hasAttempt } from '../accounts/attempts.ts';
import { ApiError } from '../errors.ts';
import { type Desk, methodNamed } from '../payments/desk.ts';
import type { Claim, Hint } from '../payments/method.ts';
import { paymentByToken } from '../payments/payment.ts';
import { settle } from '../payments/settle.ts';
import { hearWebhook } from '../payments/webhooks.ts';
import { rawForAnyone, type Site } from './endpoint.ts';
import type { Visit } from './visit.ts';

/** Of one payment; each is a question to its provider. Beyond it the schedule alone asks. */
const returns = { most: 60, everyMs: 600_000 };

type Params = Readonly<Record<string, string>>;

/** Browsers come with a query, or with a form where the provider posts. */
export const paymentReturn = rawForAnyone({
  summary: 'Where a payment provider sends the browser back to.',
  handle: ({ site, params, visit }) =>
    comeBack(site, params, visit, (returned, desk) =>
      methodNamed(desk, params.method ?? '').claimOf(returned),
    ),
});

export const paymentCancel = rawForAnyone({
  summary: 'Where a payment provider sends the browser to when the payer gave up.',
  handle: ({ site, params, visit }) =>
    comeBack(site, params, visit, () => ({ claims: 'cancelled', providerId: null, nonce: null })),
});

async function comeBack(
  { desk, report }: Site,
  { token = '', method = '' }: Params,
  visit: Visit,
  claimOf: (returned: URLSearchParams, desk: Desk) => Claim,
): Promise<Response> {
  const payment = await paymentByToken(desk.sql, token);
  if (payment?.method !== method)
    throw new ApiError('not_found', { message: 'There is no such payment.' });
  const returned = new URLSearchParams(visit.url.searchParams);
  if (visit.request.method === 'POST')
    for (const [name, value] of await visit.form()) returned.set(name, value);
  try {
    if (await hasAttempt(desk.sql, 'return of', payment.id, returns))
      await settle(desk, payment.id, { actor: 'browser', claim: claimOf(returned, desk) });
  } catch (error) {
    // The schedule asks again; the payer must not see an error where the money is on its way.
    report(`payment ${payment.id}: the return was not settled`, error);
  }
  return new Response(null, { status: 303, headers: { location: `/payments/${token}` } });
}

/** Answered at once, whatever follows: providers repeat what is not. */
export const paymentWebhook = rawForAnyone({
  summary: 'Notifications of payment providers.',
  handle: async ({ site: { desk, report }, params, visit }) => {
    const method = methodNamed(desk, params.method ?? '');
    if (!method.webhook)
      throw new ApiError('not_found', { message: 'No webhooks are taken here.' });
    const hint: Hint | null = await method.webhook(await visit.text(), visit.request.headers);
    if (!hint) throw new ApiError('webhook_refused');
    hearWebhook(desk, method, hint, params.token ?? null).catch((error: unknown) =>
      report(`a webhook of ${method.name} was not settled`, error),
    );
    return Response.json({ ok: true });
  },
});
