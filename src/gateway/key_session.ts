/**
 * Keys that are not sent themselves: a service account of Google signs for tokens that live an hour. One is asked for at a time,
 * and the next before the last has ended.
 */
import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { fields } from '../dialects/members.ts';

/** Something that must be had before a key can ask. */
export interface KeySession {
  /** What is sent in the key's place, or null where it must be renewed first. */
  current(): string | null;
  /** @throws SessionRefused where the key is not accepted; whatever fetch throws */
  renew(): Promise<void>;
  /** It was not accepted: the next request has another. */
  forget(): void;
}

/** The key itself is not accepted, or is none. */
export class SessionRefused extends Error {}

/** A token is renewed so long before its end; ms. */
const marginMs = 300_000;
const patienceMs = 10_000;
/** What a signed request may live at most, by Google's rule; seconds. */
const longestSeconds = 3600;
/** Google's are no longer. While one signs, everybody else waits. */
const mostKeyBits = 4096;
const scope = 'https://www.googleapis.com/auth/cloud-platform';
const grant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Null for a key that is sent as it is. @param tokenUrl where tokens are asked for, whatever the key says */
export function serviceAccountSession(key: string, tokenUrl: string): KeySession | null {
  return key.startsWith('{') ? new ServiceAccount(key, tokenUrl) : null;
}

/**
 * Where a service account asks: in its own project, and where the operator's address leads to elsewhere, or nowhere.
 * @param key the JSON of a service account, or a text of another kind
 */
export function addressOf(baseUrl: string, key: string): string {
  const { project_id } = key.startsWith('{') ? parsed(key) : {};
  if (typeof project_id !== 'string') return baseUrl;
  const everywhere = baseUrl.replace('{location}-', '').replaceAll('{location}', 'global');
  return everywhere.replace(/\/projects\/[^/]+/, `/projects/${project_id}`);
}

class ServiceAccount implements KeySession {
  readonly #text: string;
  readonly #tokenUrl: string;
  #token = '';
  /** `performance.now()` at which the token ends. */
  #endsAt = 0;
  #renewal: Promise<void> | null = null;

  /** @param text the JSON file that Google gives for it */
  constructor(text: string, tokenUrl: string) {
    this.#text = text;
    this.#tokenUrl = tokenUrl;
  }

  current(): string | null {
    return performance.now() < this.#endsAt - marginMs ? this.#token : null;
  }

  forget(): void {
    this.#endsAt = 0;
  }

  renew(): Promise<void> {
    this.#renewal ??= this.#renewNow().finally(() => {
      this.#renewal = null;
    });
    return this.#renewal;
  }

  async #renewNow(): Promise<void> {
    const askedAt = performance.now();
    const body = new URLSearchParams({ grant_type: grant, assertion: this.#assertion() });
    const signal = AbortSignal.timeout(patienceMs);
    const response = await fetch(this.#tokenUrl, { method: 'POST', body, signal });
    const text = await response.text();
    // Its own words: `invalid_grant`, and which part of the key is wrong.
    if (response.status === 400 || response.status === 401 || response.status === 403)
      throw new SessionRefused(`no token for the service account: ${reasonIn(text)}`);
    const { access_token, expires_in } = parsed(text);
    if (response.status !== 200 || typeof access_token !== 'string')
      throw new Error(`no token for the service account: HTTP ${response.status}`);
    this.#token = access_token;
    // One that ends within the margin serves the requests that wait for it, and is renewed for the next.
    const lives = (typeof expires_in === 'number' ? expires_in : longestSeconds) * 1000;
    this.#endsAt = askedAt + Math.max(lives, marginMs + 1000);
  }

  /** A signed statement of who asks, for what and until when (RFC 7523). @throws SessionRefused */
  #assertion(): string {
    const { client_email, private_key, private_key_id } = parsed(this.#text);
    if (typeof client_email !== 'string' || typeof private_key !== 'string')
      throw new SessionRefused(
        'the key is no service account: it lacks client_email or private_key',
      );
    const header = { alg: 'RS256', typ: 'JWT', kid: private_key_id };
    const iat = Math.floor(Date.now() / 1000);
    const claims = {
      iss: client_email,
      scope,
      aud: this.#tokenUrl,
      iat,
      exp: iat + longestSeconds,
    };
    const signed = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${signed}.${sign('sha256', Buffer.from(signed), privateKey(private_key)).toString('base64url')}`;
  }
}

/** @throws SessionRefused */
function privateKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new SessionRefused('the private_key of the service account cannot be read', { cause });
  }
  const { asymmetricKeyType, asymmetricKeyDetails } = key;
  const { modulusLength = 0 } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === 'rsa' && modulusLength <= mostKeyBits) return key;
  throw new SessionRefused(
    `the private_key of the service account is no RSA key of at most ${mostKeyBits} bits`,
  );
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    return fields(JSON.parse(text));
  } catch {
    return {};
  }
}

const mostQuoted = 200;

function reasonIn(text: string): string {
  const { error, error_description } = parsed(text);
  return [error, error_description]
    .filter((part) => typeof part === 'string')
    .join(': ')
    .slice(0, mostQuoted);
}
