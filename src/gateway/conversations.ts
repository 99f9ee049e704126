/**
 * Which offer answered a conversation last: its provider may still have the prompt in its cache, which makes the next request
 * cheaper there. In memory of each process, bounded.
 */
import { hash } from 'node:crypto';
import { fields } from '../dialects/members.ts';
import type { ChatRequest } from './chat_request.ts';
import type { Route } from './choose.ts';
import { needsOf } from './probe_results.ts';
import type { Target } from './target.ts';

/** Caches of providers mostly live as long after their last use; ms. */
const liveMs = 300_000;
const mostConversations = 20_000;

interface Last {
  readonly offer: string;
  readonly at: number;
}

/** A route, and which conversation it belongs to, where that matters: most are the route itself. */
export interface Continued extends Route {
  readonly conversation?: string;
}

export class Conversations {
  /** The one used longest ago comes first. */
  readonly #last = new Map<string, Last>();

  /**
   * The offer that answered the conversation last is asked first, unless the client said otherwise or it is not well.
   * @param account whose conversation it is: names of others mean nothing
   */
  continued(route: Route, request: ChatRequest, account: string): Continued {
    const { targets, isOrdered } = route;
    if (targets.length === 1 || isOrdered || !targets.some(isCheaperCached)) return route;
    const conversation = nameOf(request, account);
    const now = performance.now();
    const last = this.#last.get(conversation);
    const place = targets.findIndex(({ health }) => health.name === last?.offer);
    const target = targets[place];
    if (!last || !target || place === 0 || now - last.at > liveMs)
      return { ...route, conversation };
    if (!isCheaperCached(target) || !target.health.isCalm || target.model !== targets[0]?.model)
      return { ...route, conversation };
    if ((target.health.probes.lacks & needsOf(request.parsed)) !== 0)
      return { ...route, conversation };
    return {
      ...route,
      conversation,
      targets: [target, ...targets.slice(0, place), ...targets.slice(place + 1)],
    };
  }

  answered(conversation: string, { health }: Target): void {
    this.#last.delete(conversation);
    this.#last.set(conversation, { offer: health.name, at: performance.now() });
    if (this.#last.size <= mostConversations) return;
    const [oldest] = this.#last.keys();
    if (oldest !== undefined) this.#last.delete(oldest);
  }
}

function isCheaperCached({ offer: { prices } }: Target): boolean {
  return prices.cachedInput !== null && prices.cachedInput < prices.input;
}

/** By the client's own name for it, else by how it begins: all messages up to the first of the user. */
function nameOf({ session, parsed, model }: ChatRequest, account: string): string {
  const messages: readonly unknown[] = Array.isArray(parsed.messages) ? parsed.messages : [];
  const first = messages.findIndex((message) => fields(message).role === 'user');
  const beginning = session ?? messages.slice(0, first + 1);
  return hash('sha256', JSON.stringify([account, model, beginning]), 'base64');
}
