/** Where the stand-in of one provider is: all of them are one server. */

/** @param sandboxUrl `http://127.0.0.1:PORT/v1`, where a model is stood in for whoever offers it first */
export function standInUrl(sandboxUrl: string, provider: string): string {
  return sandboxUrl.replace(/\/v1$/, `/${provider}/v1`);
}

/** The provider that a path names, null for none; and the path without it. */
export function standInOf(path: string): { provider: string | null; rest: string } {
  const [, provider, rest] = /^\/(?!v1\/)([a-z0-9-]+)(\/v1(?:\/|$).*)$/.exec(path) ?? [];
  return provider === undefined || rest === undefined
    ? { provider: null, rest: path }
    : { provider, rest };
}
