/**
 * Stands in for Nagad: its API as strict as what is known of it, its page for the payer, and switches for all that goes wrong.
 * Listens on loopback, has keys of its own, and forgets everything when it is closed.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf } from './body.ts';
import {
  checkHeaders,
  decide,
  dhakaText,
  isDecided,
  type Merchant,
  type NagadOrder,
  NagadOrders,
  returnAddress,
  verification,
} from './nagad_orders.ts';
import { choicePage, endPage, firewallPage, isChoice, type PageChoice } from './nagad_page.ts';
import { NagadRefusal } from './nagad_refusal.ts';
import {
  credentialsOf,
  makePairs,
  type NagadCredentials,
  objectIn,
  type SandboxPairs,
  sealAnswer,
  unsealRequest,
} from './nagad_seal.ts';

type Operation = 'initialize' | 'complete' | 'verify' | 'cancel';

/**
 * What becomes of an answer.
 * firewall: a page of HTML with status 200, nothing is done · error: a refusal with devMessage, nothing is done ·
 * slow: it comes `slowMs` later · silent: it is done, the connection is cut · truncated: it is done, half of the JSON comes ·
 * badSignature, tampered: it is done, and the signature or the encrypted part is changed
 */
type AnswerFault =
  | 'firewall'
  | 'error'
  | 'slow'
  | 'silent'
  | 'truncated'
  | 'badSignature'
  | 'tampered';

/** Switches; they hold until they are changed. */
export interface NagadFaults {
  readonly answers: { [operation in Operation]?: AnswerFault | undefined };
  slowMs: number;
  /** How many verifications after the payer decided still say InProgress. */
  inProgressPolls: number;
  /** How long after the payer decided, and the browser left, verify still says InProgress; ms. */
  successAfterLeavingMs: number;
  /** Members that verify says wrongly, such as `{ amount: '1' }`. */
  wrong: Readonly<Record<string, unknown>>;
}

export interface SandboxNagad extends Merchant {
  /** `http://127.0.0.1:PORT/api/dfs` */
  readonly baseUrl: string;
  readonly faults: NagadFaults;
  /** Makes the keys when they are first asked for, which takes some hundred ms. */
  credentials(): Promise<NagadCredentials>;
  close(): Promise<void>;
}

interface Scene {
  readonly merchant: Merchant;
  readonly orders: NagadOrders;
  readonly faults: NagadFaults;
  readonly pairs: () => Promise<SandboxPairs>;
  readonly hash: 'sha256' | 'sha1';
  readonly now: () => Date;
}

const api = '/api/dfs';
const largestBody = 64_000;

function jsonIn(text: string): Readonly<Record<string, unknown>> {
  const body = objectIn(text);
  if (!body) throw new NagadRefusal('json');
  return body;
}

/** @throws NagadRefusal for a part that is not written as `encodeURIComponent` writes it */
function partsOf(path: string): string[] {
  return path.split('/').map((part) => {
    const decoded = decodeURIComponent(part);
    if (encodeURIComponent(decoded) !== part) throw new NagadRefusal('encoding');
    return decoded;
  });
}

function operationAt(method: string, path: readonly string[]): Operation | null {
  const where = `${method} /${path.slice(0, 2).join('/')}`;
  if (where === 'POST /check-out/initialize' && path.length === 4) return 'initialize';
  if (where === 'POST /check-out/complete' && path.length === 3) return 'complete';
  if (where === 'GET /verify/payment' && path.length === 3) return 'verify';
  return where === 'POST /purchase/cancel' && path.length === 2 ? 'cancel' : null;
}

/** The state as verify shows it: a decision may be held back by the switches. */
function shownState(order: NagadOrder, { faults, now }: Scene): string {
  if (!isDecided(order.state) || !order.decidedAt) return order.state;
  order.polls += 1;
  const since = now().getTime() - order.decidedAt.getTime();
  return order.polls <= faults.inProgressPolls || since < faults.successAfterLeavingMs
    ? 'InProgress'
    : order.state;
}

/** @param path the parts after the API's base @returns the answer's body @throws NagadRefusal */
async function perform(
  operation: Operation,
  path: readonly string[],
  query: URLSearchParams,
  request: IncomingMessage,
  scene: Scene,
): Promise<Readonly<Record<string, unknown>>> {
  const { orders, merchant, faults, hash } = scene;
  if (operation === 'verify') {
    const version = request.headers['x-km-api-version'];
    if (version !== undefined && version !== 'v-0.2.0') throw new NagadRefusal('version');
    const order = orders.byReference(path[2] ?? '');
    return { ...verification(order, merchant, shownState(order, scene)), ...faults.wrong };
  }
  const text = await bodyOf(request, largestBody, () => new NagadRefusal('tooLarge'));
  checkHeaders(request.headers);
  const body = jsonIn(text);
  const pairs = await scene.pairs();
  const encrypted = operation === 'cancel' ? body.sensitiveDataCancelRequest : body.sensitiveData;
  const plain = unsealRequest(encrypted, body.signature, pairs, hash);
  if (operation === 'initialize') {
    const order = orders.initialize([path[2] ?? '', path[3] ?? ''], body, plain, scene.now());
    const acceptDateTime = dhakaText(order.begunAt).replace(/\D/g, '').slice(0, 14);
    return sealAnswer(
      { paymentReferenceId: order.reference, challenge: order.challenge, acceptDateTime },
      pairs,
      hash,
    );
  }
  if (operation === 'complete') {
    const { reference } = orders.complete(path[2] ?? '', body, plain);
    const origin = `http://${request.headers.host ?? ''}`;
    return {
      callBackUrl: `${origin}/check-out/${encodeURIComponent(reference)}`,
      status: 'Success',
    };
  }
  orders.cancel(query, plain, scene.now());
  const { originalRequestDate, originalAmount, cancelAmount, referenceNo, referenceMessage } =
    plain;
  return sealAnswer(
    {
      status: 'Success',
      originalRequestDate,
      originalAmount,
      cancelAmount,
      referenceNo,
      referenceMessage,
    },
    pairs,
    hash,
  );
}

/** Changes one bit of a base64 text. */
function flipped(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const bytes = Buffer.from(value, 'base64');
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  return bytes.toString('base64');
}

function spoilt(
  body: Readonly<Record<string, unknown>>,
  fault: AnswerFault | undefined,
): Readonly<Record<string, unknown>> {
  const name =
    fault === 'tampered' ? 'sensitiveData' : fault === 'badSignature' ? 'signature' : null;
  return name !== null && name in body ? { ...body, [name]: flipped(body[name]) } : body;
}

function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
  });
  response.end(text);
}

async function answerApi(
  operation: Operation,
  path: readonly string[],
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
  scene: Scene,
): Promise<void> {
  const fault = scene.faults.answers[operation];
  if (fault === 'firewall') {
    sendText(response, 200, 'text/html', firewallPage);
    return;
  }
  if (fault === 'error') throw new NagadRefusal('fault');
  const body = await perform(operation, path, query, request, scene);
  if (fault === 'silent') {
    response.destroy();
    return;
  }
  if (fault === 'slow') await sleep(scene.faults.slowMs, undefined, { ref: false });
  const text = JSON.stringify(spoilt(body, fault));
  const sent = fault === 'truncated' ? text.slice(0, text.length / 2) : text;
  sendText(response, 200, 'application/json', sent);
}

function choose(order: NagadOrder, choice: PageChoice, scene: Scene): string | null {
  if (choice === 'leave') return null;
  const states = { pay: 'Success', pay_stay: 'Success', fail: 'Failed', abort: 'Aborted' } as const;
  decide(order, states[choice], scene.now());
  return choice === 'pay_stay' ? null : returnAddress(order, scene.merchant);
}

async function answerPage(
  reference: string,
  request: IncomingMessage,
  response: ServerResponse,
  scene: Scene,
): Promise<void> {
  // Read before the state is looked at, so that of two clicks the second finds the first decided.
  const form =
    request.method === 'POST'
      ? await bodyOf(request, largestBody, () => new NagadRefusal('tooLarge'))
      : '';
  const choice = new URLSearchParams(form).get('choice');
  const order = scene.orders.byReference(reference);
  if (order.state === 'OrderInitiated') order.state = 'Ready';
  if (order.state !== 'Ready') {
    sendText(response, 200, 'text/html', endPage('over'));
    return;
  }
  const { amount, orderId } = order;
  if (!isChoice(choice)) {
    sendText(response, 200, 'text/html', choicePage({ amount: amount ?? '', orderId }));
    return;
  }
  const away = choose(order, choice, scene);
  if (away === null) {
    sendText(response, 200, 'text/html', endPage(choice === 'leave' ? 'left' : 'paid'));
    return;
  }
  response.writeHead(303, { location: away, 'cache-control': 'no-store' });
  response.end();
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  scene: Scene,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  const onPage = pathname.startsWith('/check-out/');
  try {
    if (onPage) {
      const reference = decodeURIComponent(pathname.slice('/check-out/'.length));
      await answerPage(reference, request, response, scene);
      return;
    }
    const path = pathname.startsWith(`${api}/`) ? partsOf(pathname.slice(api.length + 1)) : [];
    const operation = operationAt(request.method ?? '', path);
    if (!operation) throw new NagadRefusal('address');
    await answerApi(operation, path, searchParams, request, response, scene);
  } catch (error) {
    if (response.headersSent || response.destroyed) response.destroy();
    else if (onPage) sendText(response, 404, 'text/html', endPage('unknown'));
    else {
      const { status, body } = error instanceof NagadRefusal ? error : new NagadRefusal('fault');
      sendText(response, status, 'application/json', JSON.stringify(body));
    }
  }
}

/**
 * Listens on a free port of 127.0.0.1.
 * @param options.hash under signatures; `now` is the clock that the merchant's times are compared with
 */
export async function startSandboxNagad({
  hash = 'sha256' as 'sha256' | 'sha1', // as: the default alone would be the whole type
  now = () => new Date(),
} = {}): Promise<SandboxNagad> {
  const merchant: Merchant = { merchantId: '680000000000001', merchantNumber: '01700000000' };
  let made: Promise<SandboxPairs> | null = null;
  const scene: Scene = {
    merchant,
    orders: new NagadOrders(merchant),
    faults: {
      answers: {},
      slowMs: 0,
      inProgressPolls: 0,
      successAfterLeavingMs: 0,
      wrong: {},
    },
    pairs: () => (made ??= makePairs()),
    hash,
    now,
  };
  const server = createServer((request, response) => void handle(request, response, scene));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The sandbox has no port.');
  return {
    ...merchant,
    baseUrl: `http://127.0.0.1:${address.port}${api}`,
    faults: scene.faults,
    credentials: async () => credentialsOf(await scene.pairs()),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
