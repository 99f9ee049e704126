/** The steps of a customer on the page of the stand-in for bKash: wallet, verification code, PIN, and the ways out. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { returnAddress } from './bkash_answers.ts';
import {
  type BkashBook,
  blockedWallet,
  emptyWallet,
  payingWallets,
  type StandInPayment,
} from './bkash_book.ts';
import { type Language, type Problem, page, type View } from './bkash_page.ts';

const code = '123456';
const pin = '12121';
const mostWrong = 3;

/** What the browser gets. */
interface Shown {
  write(response: ServerResponse): void;
}

function html(status: number, view: View): Shown {
  return {
    write: (response) => {
      response.writeHead(status, {
        'Content-Type': 'text/html; charset=utf-8',
        'Cache-Control': 'no-store',
        // The address holds what opens the payment.
        'Referrer-Policy': 'no-referrer',
        'X-Frame-Options': 'DENY',
      });
      response.end(page(view));
    },
  };
}

function backToShop(payment: StandInPayment, status: string): Shown {
  const version = payment.apiVersion === 'v1' ? '1.2.0-beta/' : 'v2/';
  return {
    write: (response) => {
      const location = `${returnAddress(payment, status)}&apiVersion=${version}`;
      response.writeHead(303, { Location: location, 'Referrer-Policy': 'no-referrer' }).end();
    },
  };
}

export function hostedPage(
  book: BkashBook,
  request: IncomingMessage,
  url: URL,
  body: string,
): Shown {
  const form = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
  const language: Language = form.get('lang') === 'bn' ? 'bn' : 'en';
  const payment = book.payments.get(form.get('paymentId') ?? '');
  if (url.pathname !== '/' || !payment || payment.hash !== form.get('hash'))
    return html(404, { language, kind: 'unknown' });
  const kind = payment.executedAt !== null ? 'over' : book.isExpired(payment) ? 'late' : null;
  if (kind) return html(200, { language, kind });
  const step = (problem: Problem | null): Shown =>
    html(200, { language, kind: 'step', payment, problem });
  if (request.method !== 'POST') return step(null);
  const typed = (form.get('value') ?? '').replace(/[\s-]/g, '');
  switch (form.get('act')) {
    case 'cancel':
      return backToShop(payment, 'cancel');
    case 'fail':
      return backToShop(payment, 'failure');
    case 'close':
      return html(200, { language, kind: 'closed' });
    case 'confirm_and_close':
      authorise(payment, payment.wallet ?? payingWallets[0] ?? '');
      return html(200, { language, kind: 'closed' });
    default:
      return next(payment, typed, step);
  }
}

/** One step forward, or the same once more with what was wrong. */
function next(
  payment: StandInPayment,
  typed: string,
  step: (problem: Problem | null) => Shown,
): Shown {
  if (payment.step === 'wallet') {
    if (![...payingWallets, emptyWallet, blockedWallet].includes(typed)) return step('wallet');
    payment.wallet = typed;
    payment.step = 'otp';
    return step(null);
  }
  if (typed !== (payment.step === 'otp' ? code : pin)) {
    payment.wrong += 1;
    return payment.wrong < mostWrong ? step(payment.step) : startAgain(payment);
  }
  if (payment.step === 'otp') {
    payment.step = 'pin';
    return step(null);
  }
  if (payment.wallet === emptyWallet || payment.wallet === blockedWallet)
    return startAgain(payment);
  authorise(payment, payment.wallet ?? '');
  return backToShop(payment, 'success');
}

/** bKash tells the shop of a failure, and goes on calling the payment initiated. */
function startAgain(payment: StandInPayment): Shown {
  payment.step = payment.agreementId === null ? 'wallet' : 'pin';
  payment.wrong = 0;
  return backToShop(payment, 'failure');
}

function authorise(payment: StandInPayment, wallet: string): void {
  payment.wallet = wallet;
  payment.authorised = true;
  payment.step = 'pin';
}
