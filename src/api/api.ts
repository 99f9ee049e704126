/** Every endpoint of the site's API: method, path, who may call it, what answers. It is for the pages of the site and for those who write their own. */

import { type Context, Hono } from 'hono';
import { sessionUser } from '../accounts/sessions.ts';
import { ApiError, databaseUnavailable, errorBody, errorHeaders } from '../errors.ts';
import { isPassing } from '../wallet/failure.ts';
import { adminPaymentEndpoints } from './admin_payments.ts';
import { alerts, changeAlerts } from './alerts.ts';
import {
  changePassword,
  confirmEmail,
  editAccount,
  endOtherSessions,
  endSession,
  requestReset,
  requestVerification,
  resetPassword,
  sessions,
  showSession,
  signIn,
  signOut,
  signUp,
} from './auth.ts';
import {
  agreementReturn,
  autoTopup,
  beginAgreement,
  changeAutoTopup,
  endAutoTopup,
  finishAgreement,
} from './auto_topup.ts';
import { type Endpoint, type Handler, rawForAnyone, type Site } from './endpoint.ts';
import { addKey, editKey, keys, removeKey, showKey } from './keys.ts';
import { openApiDocument } from './openapi.ts';
import { paymentCancel, paymentReturn, paymentWebhook } from './payment_callbacks.ts';
import { receipt } from './receipts.ts';
import {
  beginTopup,
  checkTopup,
  claimTopup,
  quoteTopup,
  rescueTopup,
  showTopup,
  topupMethods,
  topups,
} from './topups.ts';
import { checkOrigin, type Visit, visitOf } from './visit.ts';
import { makeVouchers, redeem, showVouchers, switchVouchersOff, vouchers } from './vouchers.ts';
import { wallet } from './wallet.ts';

export const endpoints: readonly Endpoint[] = [
  { method: 'GET', path: '/api/openapi.json', who: 'anyone', handler: openApi() },
  { method: 'POST', path: '/api/auth/sign-up', who: 'anyone', handler: signUp },
  { method: 'POST', path: '/api/auth/sign-in', who: 'anyone', handler: signIn },
  { method: 'POST', path: '/api/auth/sign-out', who: 'anyone', handler: signOut },
  { method: 'GET', path: '/api/auth/session', who: 'session', handler: showSession },
  { method: 'PATCH', path: '/api/account', who: 'session', handler: editAccount },
  { method: 'GET', path: '/api/auth/sessions', who: 'session', handler: sessions },
  { method: 'DELETE', path: '/api/auth/sessions', who: 'session', handler: endOtherSessions },
  { method: 'DELETE', path: '/api/auth/sessions/:id', who: 'session', handler: endSession },
  { method: 'POST', path: '/api/auth/password', who: 'session', handler: changePassword },
  { method: 'POST', path: '/api/auth/password/forgotten', who: 'anyone', handler: requestReset },
  { method: 'POST', path: '/api/auth/password/reset', who: 'anyone', handler: resetPassword },
  { method: 'POST', path: '/api/auth/email', who: 'session', handler: requestVerification },
  { method: 'POST', path: '/api/auth/email/confirm', who: 'anyone', handler: confirmEmail },
  { method: 'GET', path: '/api/keys', who: 'session', handler: keys },
  { method: 'POST', path: '/api/keys', who: 'session', handler: addKey },
  { method: 'GET', path: '/api/keys/:id', who: 'session', handler: showKey },
  { method: 'PATCH', path: '/api/keys/:id', who: 'session', handler: editKey },
  { method: 'DELETE', path: '/api/keys/:id', who: 'session', handler: removeKey },
  { method: 'GET', path: '/api/wallet', who: 'session', handler: wallet },
  { method: 'GET', path: '/api/topups/:id/receipt.pdf', who: 'session', handler: receipt },
  { method: 'GET', path: '/api/topups', who: 'session', handler: topups },
  { method: 'POST', path: '/api/topups', who: 'session', handler: beginTopup },
  { method: 'GET', path: '/api/topups/methods', who: 'session', handler: topupMethods },
  { method: 'POST', path: '/api/topups/quote', who: 'session', handler: quoteTopup },
  { method: 'POST', path: '/api/topups/rescue', who: 'session', handler: rescueTopup },
  { method: 'GET', path: '/api/topups/:id', who: 'session', handler: showTopup },
  { method: 'POST', path: '/api/topups/:id/check', who: 'session', handler: checkTopup },
  { method: 'POST', path: '/api/topups/:id/claim', who: 'session', handler: claimTopup },
  {
    method: 'GET',
    path: '/api/payments/:method/return/:token',
    who: 'anyone',
    handler: paymentReturn,
  },
  {
    method: 'POST',
    path: '/api/payments/:method/return/:token',
    who: 'anyone',
    handler: paymentReturn,
  },
  {
    method: 'GET',
    path: '/api/payments/:method/cancel/:token',
    who: 'anyone',
    handler: paymentCancel,
  },
  { method: 'POST', path: '/api/payments/:method/webhook', who: 'anyone', handler: paymentWebhook },
  {
    method: 'POST',
    path: '/api/payments/:method/webhook/:token',
    who: 'anyone',
    handler: paymentWebhook,
  },
  { method: 'GET', path: '/api/auto-topup', who: 'session', handler: autoTopup },
  { method: 'PUT', path: '/api/auto-topup', who: 'session', handler: changeAutoTopup },
  { method: 'DELETE', path: '/api/auto-topup', who: 'session', handler: endAutoTopup },
  { method: 'POST', path: '/api/auto-topup/agreement', who: 'session', handler: beginAgreement },
  { method: 'DELETE', path: '/api/auto-topup/agreement', who: 'session', handler: finishAgreement },
  {
    method: 'GET',
    path: '/api/payments/:method/agreement/:token',
    who: 'anyone',
    handler: agreementReturn,
  },
  { method: 'GET', path: '/api/alerts', who: 'session', handler: alerts },
  { method: 'PUT', path: '/api/alerts', who: 'session', handler: changeAlerts },
  { method: 'POST', path: '/api/vouchers/redeem', who: 'session', handler: redeem },
  { method: 'GET', path: '/api/admin/vouchers', who: 'admin', handler: vouchers },
  { method: 'POST', path: '/api/admin/vouchers', who: 'admin', handler: makeVouchers },
  { method: 'GET', path: '/api/admin/vouchers/:id', who: 'admin', handler: showVouchers },
  {
    method: 'POST',
    path: '/api/admin/vouchers/:id/disable',
    who: 'admin',
    handler: switchVouchersOff,
  },
  ...adminPaymentEndpoints,
];

/** The application that answers every path under /api. */
export function buildSiteApi(site: Site): Hono {
  const app = new Hono({ strict: false });
  for (const endpoint of endpoints)
    app.on(endpoint.method, endpoint.path, (c) => answer(site, endpoint, c));
  app.notFound((c) => {
    const visit = visitOf(c, site.config);
    return finished(visit, refusal(visit, new ApiError('not_found', { message: missing(c) })));
  });
  return app;
}

/** Others may read it from their pages, too. */
function openApi(): Handler<null> {
  return rawForAnyone({
    summary: 'This document.',
    handle: ({ site: { origin, others } }) =>
      Response.json(openApiDocument(endpoints, others, origin()), {
        headers: { 'cache-control': 'public, max-age=300', 'access-control-allow-origin': '*' },
      }),
  });
}

/** Whether a request is for it, and not for a page. */
export function isSiteApi({ url }: Request): boolean {
  return /^\/api(\/|$)/.test(new URL(url).pathname);
}

function missing({ req }: Context): string {
  const others = endpoints.filter(({ path }) => path === req.path).map(({ method }) => method);
  const hint = others.length > 0 ? ` Use ${others.join(' or ')}.` : '';
  return `Not found: ${req.method} ${req.path.slice(0, 200)}.${hint}`;
}

async function answer(site: Site, endpoint: Endpoint, c: Context): Promise<Response> {
  const visit = visitOf(c, site.config);
  try {
    return finished(visit, await enter(site, endpoint, visit, c.req.param()));
  } catch (error) {
    return finished(visit, refusal(visit, publicError(site, visit, error)));
  }
}

async function enter(
  site: Site,
  endpoint: Endpoint,
  visit: Visit,
  params: Readonly<Record<string, string>>,
): Promise<Response> {
  const isSecure = site.config.publicUrl.startsWith('https:');
  if (!endpoint.handler.isRaw) checkOrigin(visit, ownOrigins(site), isSecure);
  if (endpoint.who === 'anyone')
    return endpoint.handler.respond({ site, user: null, visit, params });
  const user = await sessionUser(site.sql, visit.cookie, { secret: site.sessionSecret, isSecure });
  if (!user) throw new ApiError('missing_session');
  if (endpoint.who === 'admin' && !user.admin) throw new ApiError('admin_only');
  return endpoint.handler.respond({ site, user, visit, params });
}

/** Without a public address the site is this machine's, by whichever of its names. */
function ownOrigins({ config, origin }: Site): readonly string[] {
  const own = new URL(origin());
  if (config.publicUrl) return [own.origin];
  return ['localhost', '127.0.0.1', '[::1]'].map((host) => `http://${host}:${own.port}`);
}

function publicError({ report }: Site, { requestId }: Visit, error: unknown): ApiError {
  const told = isPassing(error) ? databaseUnavailable(error) : error;
  if (!(told instanceof ApiError)) report(`${requestId}: the request failed`, error);
  return told instanceof ApiError ? told : new ApiError('internal_error', { cause: error });
}

function refusal({ request, requestId }: Visit, error: ApiError): Response {
  const format = request.headers.get('x-error-format') === 'object' ? 'object' : 'text';
  return new Response(errorBody(error, requestId, format), {
    status: error.status,
    headers: errorHeaders(error),
  });
}

/** What every answer has: its request's id, new cookies, and that nobody keeps it unless it says so. */
function finished(visit: Visit, response: Response): Response {
  const { headers } = response;
  headers.set('x-request-id', visit.requestId);
  for (const cookie of visit.cookiesToSet) headers.append('set-cookie', cookie);
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  headers.set('x-content-type-options', 'nosniff');
  if (!headers.has('referrer-policy')) headers.set('referrer-policy', 'no-referrer');
  return response;
}
