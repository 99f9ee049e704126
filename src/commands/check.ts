/** One thing that `akai doctor` looks at, and what came of it. */
type State = 'ok' | 'warning' | 'problem';

export interface Check {
  readonly name: string;
  readonly state: State;
  readonly detail: string;
  /** What to do; null when nothing is to be done. */
  readonly advice: string | null;
}

export function ok(name: string, detail: string): Check {
  return { name, state: 'ok', detail, advice: null };
}

export function warning(name: string, detail: string, advice: string): Check {
  return { name, state: 'warning', detail, advice };
}

export function problem(name: string, detail: string, advice: string): Check {
  return { name, state: 'problem', detail, advice };
}
