/** The pages for people: front page, documentation, health. Everything that is not /v1. */

import { type Context, Hono } from 'hono';
import { html, raw } from 'hono/html';
import { models, providers } from '../catalogue/catalogue.ts';
import { type Config, isReal } from '../config.ts';
import { ApiError, errorBody, errorHeaders } from '../errors.ts';
import { requestIdOf, timeOrderedId } from '../ids.ts';
import { type Document, readDocuments } from './documents.ts';
import { type Html, message, securityHeaders, sendPage } from './frame.ts';
import { healthCheck } from './health.ts';
import { home } from './home.ts';
import { fill, type Language, textsOf, visitorLanguage } from './language.ts';
import { type MetricsSource, mayReadMetrics, metricsText } from './metrics.ts';

interface PagesContext {
  readonly config: Config;
  /** http://localhost:3000, once the server listens. */
  readonly origin: () => string;
  /** The demo account's key; null where there is none. */
  readonly demoKey: () => string | null;
  /** One trip to the database, for /healthz; rejects when it does not answer. */
  readonly ping: () => Promise<unknown>;
  readonly metrics: MetricsSource;
  /** Told of what no page could foresee, for the log. */
  readonly report: (error: unknown) => void;
}

/** The application that answers every path outside /v1. */
export function buildPages(context: PagesContext): Hono {
  const { config } = context;
  const origin = () => config.publicUrl || context.origin();
  const baseUrl = () => `${origin()}/v1`;
  let read: Promise<Document[]> | undefined;
  const documents = () => {
    read ??= readDocuments(origin());
    return read;
  };
  const healthy = healthCheck(context.ping);
  const app = new Hono({ strict: false });

  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(securityHeaders))
      if (!c.res.headers.has(name)) c.header(name, value);
    if (config.publicUrl.startsWith('https:'))
      c.header('strict-transport-security', 'max-age=31536000');
  });
  app.get('/healthz', async (c) => {
    c.header('cache-control', 'no-store');
    return (await healthy()) ? c.json({ status: 'ok' }) : c.json({ status: 'unavailable' }, 503);
  });
  app.get('/metrics', async (c) => {
    if (!mayReadMetrics(c, config)) return c.notFound();
    c.header('cache-control', 'no-store');
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(await metricsText(context.metrics));
  });
  app.get('/', async (c) => {
    const language = visitorLanguage(c);
    const main = home({
      language,
      sandbox: config.mode === 'sandbox',
      baseUrl: baseUrl(),
      realProviders: realProviders(config),
      demoKey: context.demoKey(),
      modelCount: models.size,
      documents: await documents(),
    });
    const title = `AK AI CORE: ${textsOf(language).tagline.replace('\n', ' ')}`;
    return sendPage(c, config, { language, title, main });
  });
  app.get('/docs', async (c) => {
    const [first] = await documents();
    if (first) return c.redirect(`/docs/${first.slug}${new URL(c.req.url).search}`);
    const language = visitorLanguage(c);
    const { documentation: title, noDocumentation } = textsOf(language);
    return sendPage(c, config, {
      language,
      title,
      main: message(language, title, noDocumentation),
    });
  });
  app.get('/docs/:page', async (c) => {
    const all = await documents();
    const document = all.find(({ slug }) => slug === c.req.param('page'));
    if (!document) return c.notFound();
    const language = visitorLanguage(c);
    const title = `${document.title} · AK AI CORE`;
    return sendPage(c, config, { language, title, main: documentation(language, document, all) });
  });
  app.notFound((c) => notFound(c, config));
  app.onError((error, c) => {
    context.report(error);
    return broken(c, config, error);
  });
  return app;
}

/** Names of the providers that no stand-in answers for. */
function realProviders({ providers: access }: Config): string[] {
  const real = [...access].filter(([, own]) => isReal(own));
  return real.map(([id]) => providers.get(id)?.name ?? id);
}

async function notFound(c: Context, config: Config): Promise<Response> {
  if (!wantsPage(c)) return sendError(new ApiError('not_found'));
  const language = visitorLanguage(c);
  const { missingTitle: title, missing } = textsOf(language);
  c.status(404);
  const main = message(language, title, fill(missing, { path: c.req.path }));
  return sendPage(c, config, { language, title, main });
}

async function broken(c: Context, config: Config, cause: Error): Promise<Response> {
  if (!wantsPage(c)) return sendError(new ApiError('internal_error', { cause }));
  const language = visitorLanguage(c);
  const { brokenTitle: title, broken: sentence } = textsOf(language);
  c.status(500);
  return sendPage(c, config, { language, title, main: message(language, title, sentence) });
}

/** People's browsers name text/html; programs do not. */
function wantsPage(c: Context): boolean {
  return /\btext\/html\b/.test(c.req.header('accept') ?? '');
}

function sendError(error: ApiError): Response {
  const id = requestIdOf(timeOrderedId());
  return new Response(errorBody(error, id, 'text'), {
    status: error.status,
    headers: { ...errorHeaders(error), 'x-request-id': id },
  });
}

function documentation(language: Language, document: Document, all: readonly Document[]): Html {
  const texts = textsOf(language);
  return html`<div class="documentation">
<nav aria-label="${texts.pages}"><ul lang="en">${all.map(
    ({ slug, title }) =>
      html`<li><a href="/docs/${slug}"${slug === document.slug ? raw(' aria-current="page"') : ''}>${title}</a></li>`,
  )}</ul></nav>
<div>
${texts.inEnglish ? html`<p class="aside">${texts.inEnglish}</p>` : ''}
<article lang="en">${raw(document.body)}</article>
</div>
</div>`;
}
