/** The command line: reads the arguments, calls the command, prints what it says and ends with its exit code. */

import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { providers } from './catalogue/catalogue.ts';
import { type Command, UsageError } from './commands/command.ts';
import { commands as databaseCommands } from './commands.ts';
import { type Config, loadConfig, processEnvironment } from './config.ts';
import { errorCode, StartError } from './db/start-error.ts';
import { ApiError } from './errors.ts';
import { SettingError } from './setting.ts';

const usageExit = 2;
/** As shells write the end by Ctrl-C. */
const hurriedExit = 130;

const commands: Readonly<Record<string, Command>> = {
  ...databaseCommands,
  doctor: {
    usage: '',
    sentence: 'Check the installation and say what to do.',
    options: {},
    run: async (_given, config) => (await import('./doctor.ts')).doctor(config),
  },
};

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Progress and errors; stdout stays clean for the one answer of a command. */
function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** @returns lines on the commands whose names a word begins, or on all */
function listed(word: string | null): string[] {
  return Object.entries(commands)
    .filter(([name]) => word === null || name === word || name.startsWith(`${word} `))
    .flatMap(([name, { usage, sentence }]) => [
      `  akai ${name} ${usage}`.trimEnd(),
      `      ${sentence}`,
    ]);
}

function help(): string {
  const lines = listed(null);
  return [
    'AK AI CORE: every AI model behind one endpoint and one wallet.',
    '',
    '  akai serve',
    '      Start the server (npm start does the same).',
    ...lines,
    '  akai help [WORD]',
    '      Show this, or the commands that begin with a word, as "akai WORD --help" does.',
    '',
    'In a checkout: npm run -s akai -- COMMAND. Every command but serve and help takes --json.',
    'Settings are environment variables or lines in .env; .env.example lists them all.',
  ].join('\n');
}

/** What `akai WORD --help` and `akai help WORD` show; null where the words ask for something else. */
function familyHelp(words: readonly string[]): string | null {
  const asked = words.filter((word) => !['help', '--help', '-h'].includes(word));
  const [word, more] = asked;
  if (word === undefined || more !== undefined || asked.length === words.length) return null;
  const lines = listed(word);
  return lines.length === 0 ? null : [...lines, '  Each takes --json.'].join('\n');
}

/** The command that the words begin with, and the rest of the words. */
function findCommand(words: readonly string[]): { name: string; command: Command; rest: string[] } {
  for (const length of [2, 1]) {
    const name = words.slice(0, length).join(' ');
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command) return { name, command, rest: words.slice(length) };
  }
  const family = Object.keys(commands).filter((name) => name.startsWith(`${words[0]} `));
  throw new UsageError(
    family.length > 0
      ? `Say which: ${family.map((name) => `"akai ${name}"`).join(', ')}; "akai ${words[0]} --help" says more.`
      : `There is no command "${words[0]}"; "akai help" lists them.`,
  );
}

async function runCommand(words: readonly string[], json: boolean): Promise<number> {
  const { name, command, rest } = findCommand(words);
  const given = parse(name, command, rest);
  if (given.values.help) {
    print(`akai ${name} ${command.usage}`.trimEnd());
    print(command.sentence);
    return 0;
  }
  const outcome = await command.run(given, await configure(), json ? () => {} : note);
  if (!outcome.printed) print(json ? JSON.stringify(outcome.json) : outcome.text);
  return outcome.failed ? 1 : 0;
}

function parse(name: string, command: Command, args: string[]) {
  try {
    const own = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    const options = { ...command.options, ...own };
    const given = parseArgs({
      args: withNegatives(args, options),
      options,
      allowPositionals: true,
    });
    // Only the id of a key and the name of a file may stand alone; any other word is a slip that must not pass unnoticed.
    const [stray] = given.positionals.slice(['key revoke', 'verify'].includes(name) ? 1 : 0);
    if (stray !== undefined) throw new Error(`"${stray}" has no place here`);
    return given;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const reason = message.replace(/\s+/g, ' ').replace(/\.$/, '');
    throw new UsageError(`${reason}. It is: akai ${name} ${command.usage}`.trimEnd());
  }
}

/** A number below zero is a value like any other, which the command refuses in its own words, and no option. */
function withNegatives(args: readonly string[], options: Command['options']): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const before = joined.at(-1) ?? '';
    const takesText = before.startsWith('--') && options[before.slice(2)]?.type === 'string';
    if (takesText && /^-\.?\d/.test(arg)) joined.splice(-1, 1, `${before}=${arg}`);
    else joined.push(arg);
  }
  return joined;
}

/** The settings, and in the catalogue what they add to it. @throws SettingError */
async function configure(): Promise<Config> {
  const config = loadConfig(processEnvironment(), [...providers.keys()]);
  const { ownModels } = config;
  if (ownModels === '') return config;
  try {
    const { addOwnModels } = await import('./catalogue/own_models.ts');
    addOwnModels(await readFile(ownModels, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new SettingError(`OWN_MODELS=${ownModels} cannot be used: ${reason}`, { cause });
  }
  return config;
}

/** Serves until it is told to stop: once, and open requests may finish; twice, and they may not; three times, and nothing may. */
async function serve(config: Config): Promise<number> {
  const { startServer } = await import('./server.ts');
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  let signals = 0;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      const next = asked[signals];
      signals += 1;
      if (!next) process.exit(hurriedExit);
      next.resolve();
    });
  const server = await startServer(config, print);
  await asked[0].promise;
  print('Stopping: open requests may finish; press Ctrl-C again to stop at once.');
  const stopped = server.stop();
  const hurried = asked[1].promise.then(() => server.stop());
  await Promise.race([stopped, hurried]);
  await stopped;
  print('Stopped.');
  return signals > 1 ? hurriedExit : 0;
}

/** One sentence for what was to be expected; the whole story for what was not. */
function explain(error: unknown): { sentence: string; code: string | null; exit: number } {
  if (error instanceof UsageError) return { sentence: error.message, code: null, exit: usageExit };
  if (error instanceof ApiError) return { sentence: error.message, code: error.code, exit: 1 };
  if (error instanceof StartError || error instanceof SettingError)
    return { sentence: error.message, code: null, exit: 1 };
  if (/^(?:08|57P|CONNECTION_|CONNECT_|ECONN)/.test(errorCode(error)))
    return {
      sentence: 'The database does not answer: "akai doctor" says more.',
      code: 'database_unavailable',
      exit: 1,
    };
  const story = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { sentence: `This should not have happened: ${story}`, code: null, exit: 1 };
}

async function main(args: string[]): Promise<number> {
  const json = args.includes('--json');
  const words = args[0] === '--json' ? args.slice(1) : args;
  try {
    const family = familyHelp(words);
    if (family !== null) {
      print(family);
      return 0;
    }
    if (words.length === 0 || ['help', '--help', '-h'].includes(words[0] ?? '')) {
      print(help());
      return 0;
    }
    return words[0] === 'serve' ? await serve(await configure()) : await runCommand(words, json);
  } catch (error) {
    const { sentence, code, exit } = explain(error);
    note(sentence);
    if (json) print(JSON.stringify({ error: sentence, ...(code ? { code } : {}) }));
    return exit;
  }
}

process.on('uncaughtException', (error) => {
  note(explain(error).sentence);
  process.exit(1);
});
process.exitCode = await main(process.argv.slice(2));
