/**
 * Stands in for an UddoktaPay panel on loopback: its API, its page to pay at (`/payment/…`), and a panel for its operator
 * (`/admin`) with a switch for everything that can go wrong. Strict where the real one is: it finds nothing behind a double
 * slash, sends away from a last one, takes JSON only, and never tells an invoice id before the payer comes back.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { bodyOf } from './body.ts';
import { isObject, type Json } from './request.ts';
import { adminPage, closedPage, payPage, postBackPage, sorryPage } from './uddoktapay_page.ts';
import {
  type Operation,
  operations,
  Panel,
  type PanelPayment,
  paisaIn,
  panelWallets,
  switches,
  type UddoktapayFaults,
  verified,
} from './uddoktapay_panel.ts';

export interface SandboxUddoktapay {
  /** `http://127.0.0.1:PORT` */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Set them at will; they hold from the next call on. */
  readonly faults: UddoktapayFaults;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: Json;
}

const largestBody = 100_000;

type Rule = (value: unknown) => string | null;

const rule =
  (fits: (value: unknown) => boolean, complaint: string): Rule =>
  (value) =>
    fits(value) ? null : complaint;
const text = rule((value) => typeof value === 'string', 'must be a string.');
const address = rule(
  (value) => typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value),
  'must be a valid URL.',
);
const positive = rule((value) => paisaIn(value) !== null, 'must be a number greater than 0.');

const fieldsOf: Readonly<
  Record<
    Operation,
    { readonly required: Record<string, Rule>; readonly free: Record<string, Rule> }
  >
> = {
  'checkout-v2': {
    required: {
      full_name: text,
      email: rule(
        (value) => typeof value === 'string' && /^[^\s@]+@[^\s@]+$/.test(value),
        'must be a valid email address.',
      ),
      amount: positive,
      metadata: rule(isObject, 'must be an array.'),
      redirect_url: address,
      cancel_url: address,
    },
    free: {
      webhook_url: address,
      return_type: rule((value) => value === 'GET' || value === 'POST', 'is invalid.'),
    },
  },
  'verify-payment': { required: { invoice_id: text }, free: {} },
  'refund-payment': {
    required: {
      transaction_id: text,
      payment_method: text,
      amount: positive,
      product_name: text,
      reason: text,
    },
    free: {},
  },
};

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  (typeof value === 'string' && value.trim() === '') ||
  (isObject(value) && Object.keys(value).length === 0);

/** In the form of Laravel, which panels are made with; null for a request that is good. */
function complaints(operation: Operation, fields: Json): Answer | null {
  const { required, free } = fieldsOf[operation];
  const errors: Record<string, string[]> = {};
  for (const [name, check] of Object.entries({ ...required, ...free })) {
    const value = fields[name];
    const label = name.replaceAll('_', ' ');
    if (!isEmpty(value)) {
      const wrong = check(value);
      if (wrong) errors[name] = [`The ${label} field ${wrong}`];
    } else if (name in required) errors[name] = [`The ${label} field is required.`];
  }
  const [first, ...others] = Object.values(errors).flat();
  if (first === undefined) return null;
  const more = others.length > 0 ? ` (and ${others.length} more errors)` : '';
  return { status: 422, body: { message: first + more, errors } };
}

function checkOut(panel: Panel, baseUrl: string, fields: Json): Answer {
  const payment = panel.add(fields, paisaIn(fields.amount) ?? 0);
  const payment_url = `${baseUrl}/payment/${payment.token}`;
  return { status: 200, body: { status: true, message: 'Payment Url', payment_url } };
}

function verify(panel: Panel, { invoice_id }: Json): Answer {
  const payment = panel.byInvoice(invoice_id);
  const { verify: how } = panel.faults;
  if (!payment || how === 'bare_error')
    return { status: 200, body: { status: 'ERROR', message: 'Invalid invoice id.' } };
  const usual = verified(payment);
  const odd: Partial<Record<typeof how, Json>> = {
    error_with_data: { status: 'ERROR', message: 'The payment could not be processed.' },
    lower_case: { status: payment.status.toLowerCase() },
    new_word: { status: 'SETTLING' },
    no_metadata: { metadata: [] },
    metadata_as_text: { metadata: JSON.stringify(payment.metadata) },
    no_trx_id: { transaction_id: null },
    other_invoice: { invoice_id: 'Zz0000000000000000Zz' },
    number_amount: { amount: payment.amount / 100 },
  };
  return { status: 200, body: { ...usual, ...odd[how] } };
}

function refund(panel: Panel, fields: Json): Answer {
  const no = (message: string): Answer => ({ status: 400, body: { status: false, message } });
  const payment = panel.byTransfer(fields.transaction_id, fields.payment_method);
  const amount = paisaIn(fields.amount) ?? 0;
  if (payment?.status !== 'COMPLETED') return no('Transaction not found.');
  if (panel.faults.refund === 'not_supported') return no('This gateway does not refund.');
  if (payment.refunded + amount > payment.amount) return no('Amount exceeds the payment.');
  if (panel.faults.refund === 'gateway') payment.refunded += amount;
  return { status: 200, body: { status: true, message: 'Refund request accepted.' } };
}

/** The API: key, ability, fields, and then the call. */
function callOf(
  panel: Panel,
  own: { readonly baseUrl: string; readonly apiKey: string },
  operation: Operation,
  request: IncomingMessage,
  body: string,
): Answer {
  const refuse = (status: number, message: string): Answer => ({
    status,
    body: { status: false, message },
  });
  if (request.headers['rt-uddoktapay-api-key'] !== own.apiKey)
    return refuse(401, 'Unauthorized action.');
  if (panel.faults.forbidden === operation) return refuse(403, 'This key may not do that.');
  let fields: unknown = {};
  if (/\bjson\b/.test(request.headers['content-type'] ?? ''))
    try {
      fields = JSON.parse(body);
    } catch {
      // Laravel takes what it cannot read for a request without fields.
    }
  const given = isObject(fields) ? fields : {};
  const wrong = complaints(operation, given);
  if (wrong) return wrong;
  if (operation === 'checkout-v2') return checkOut(panel, own.baseUrl, given);
  return operation === 'verify-payment' ? verify(panel, given) : refund(panel, given);
}

function sendHtml(response: ServerResponse, html: string, status = 200): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' }).end(html);
}

function sendTo(response: ServerResponse, location: string): void {
  response.writeHead(302, { location }).end();
}

/** The answer, or what the switches make of it. */
function send(
  response: ServerResponse,
  { status, body }: Answer,
  fault: UddoktapayFaults['answer'],
): void {
  const json = JSON.stringify(body);
  const type = { 'content-type': 'application/json' };
  if (fault === 'none') return;
  if (fault === 'cut') response.destroy();
  else if (fault === 'html') sendHtml(response, sorryPage('Checking your browser'));
  else if (fault === 'error_500') response.writeHead(500, type).end('{"message":"Server Error"}');
  else if (fault === 'wrong_status') response.writeHead(502, type).end(json);
  else if (fault === 'truncated') response.writeHead(200, type).end(json.slice(0, -9));
  else response.writeHead(status, type).end(json);
}

/** Back to the shop, as it asked for. */
function sendBack(response: ServerResponse, payment: PanelPayment): void {
  if (payment.returnType === 'POST') {
    sendHtml(response, postBackPage(payment));
    return;
  }
  const target = new URL(payment.redirectUrl);
  target.searchParams.set('invoice_id', payment.invoiceId);
  sendTo(response, target.href);
}

function pay(panel: Panel, payment: PanelPayment, form: URLSearchParams, out: ServerResponse) {
  const act = form.get('act');
  if (act === 'cancel') return sendTo(out, payment.cancelUrl);
  const status = act === 'hand_in' ? 'PENDING' : act === 'fail' ? 'FAILED' : 'COMPLETED';
  const wrong = panel.submit(payment, status, {
    wallet: panelWallets.find((wallet) => wallet === form.get('wallet')) ?? 'bkash',
    sender: form.get('sender') ?? '',
    trxId: form.get('trx_id') ?? '',
  });
  if (wrong) return sendHtml(out, payPage(payment, panel.faults, wrong), 422);
  if (act === 'pay_close') return sendHtml(out, closedPage());
  sendBack(out, payment);
}

/** What the operator of the panel does. */
async function administer(panel: Panel, path: string, form: URLSearchParams): Promise<void> {
  if (path === '/admin') {
    for (const [name, options] of Object.entries(switches)) {
      const chosen = options.find((option) => option === form.get(name));
      if (chosen) Object.assign(panel.faults, { [name]: chosen });
    }
    panel.faults.trxId = form.get('trxId') ?? panel.faults.trxId;
    return;
  }
  const payment = panel.payments.get(path.slice('/admin/'.length));
  if (!payment) return;
  const act = form.get('act');
  if (act === 'approve') panel.decide(payment, 'COMPLETED');
  if (act === 'reject') panel.decide(payment, 'FAILED');
  if (act === 'amount') payment.amount = paisaIn(form.get('amount')) ?? payment.amount;
  const ipn = switches.ipn.find((how) => `ipn_${how}` === act);
  if (ipn) await panel.notify(payment, ipn);
}

async function handle(
  panel: Panel,
  own: { readonly baseUrl: string; readonly apiKey: string },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const body = await bodyOf(request, largestBody);
  if (/[^/]\/$/.test(path)) {
    response.writeHead(301, { location: path.slice(0, -1) }).end();
    return;
  }
  const operation = operations.find((each) => path === `/api/${each}`);
  if (operation) {
    if (request.method !== 'POST')
      return send(
        response,
        { status: 405, body: { message: 'Supported methods: POST.' } },
        'right',
      );
    // Without it Laravel takes the caller for a browser and sends it away.
    if (!/json/.test(request.headers.accept ?? '')) return sendTo(response, '/');
    const { answer, of } = panel.faults;
    const fault = of === 'all' || of === operation ? answer : 'right';
    return send(response, callOf(panel, own, operation, request, body), fault);
  }
  const form = new URLSearchParams(body);
  const payment = panel.payments.get(/^\/payment\/([0-9a-f]{40})$/.exec(path)?.[1] ?? '');
  if (payment && request.method === 'POST') return pay(panel, payment, form, response);
  if (payment && payment.status !== 'INITIATED') return sendBack(response, payment);
  if (payment) return sendHtml(response, payPage(payment, panel.faults, null));
  if (/^\/admin(?:\/[0-9a-f]{40})?$/.test(path)) {
    if (request.method === 'POST') {
      await administer(panel, path, form);
      return sendTo(response, '/admin');
    }
    return sendHtml(response, adminPage([...panel.payments.values()].reverse(), panel.faults));
  }
  if (path === '/') return sendTo(response, '/admin');
  sendHtml(response, sorryPage('404 · Not found'), 404);
}

/** Listens on a free port of 127.0.0.1; each start has a key of its own. */
export async function startSandboxUddoktapay(): Promise<SandboxUddoktapay> {
  const apiKey = `sandbox-${randomBytes(16).toString('hex')}`;
  const panel = new Panel(apiKey);
  const server = createServer((request, response) => {
    handle(panel, { baseUrl, apiKey }, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('The sandbox has no port.');
  const baseUrl = `http://127.0.0.1:${bound.port}`;
  return {
    baseUrl,
    apiKey,
    faults: panel.faults,
    async close() {
      panel.close();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
