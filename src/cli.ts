#!/usr/bin/env node
/** The command line: picks a command, shows help, turns what goes wrong into one line and an exit code. */
import { EXIT, CommandError, parseCommand, print, type Command } from './commands/command.ts';

/** Loaded when it is called: `sign` needs no server, `serve` no client. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./commands/serve.ts')).serve,
  validate: async () => (await import('./commands/validate.ts')).validate,
  keys: async () => (await import('./commands/keys.ts')).keys,
  users: async () => (await import('./commands/users.ts')).users,
  sign: async () => (await import('./commands/sign.ts')).sign,
  curl: async () => (await import('./commands/sign.ts')).curl,
  explain: async () => (await import('./commands/explain.ts')).explain,
  'verify-deployment': async () => (await import('./commands/verify-deployment.ts')).verifyDeployment,
  health: async () => (await import('./commands/health.ts')).health,
  version: async () => (await import('./commands/version.ts')).version,
};

process.exitCode = await main(process.argv.slice(2));

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  // What `serve` starts with `process.model: multi`; no command for people.
  if (name === 'worker') return (await import('./processes/worker.ts')).runWorker(process.env);
  if (name === '--help' || name === 'help') return showCommands(EXIT.ok);
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    process.stderr.write(name === '' ? 'expected a command\n' : `unknown command "${name}"\n`);
    return showCommands(EXIT.usage);
  }
  const command = await load();
  try {
    const { values, positionals } = parseCommand(command, args);
    if (values['help'] === true) {
      print(
        `countersign ${name}: ${command.summary}\n\nusage: countersign ${name} ${command.usage}\n\nalways: --help, --json, --debug (stack of a failure)`,
      );
      return EXIT.ok;
    }
    return await command.run(values, positionals, process.env);
  } catch (thrown) {
    return tell(name, thrown, args.includes('--debug'));
  }
}

function tell(name: string, thrown: unknown, withStack: boolean): number {
  const known = thrown instanceof CommandError ? thrown : undefined;
  const message = Error.isError(thrown) ? thrown.message : 'unexpected failure';
  process.stderr.write(`${known?.exit === EXIT.configuration ? '' : `countersign ${name}: `}${message}\n`);
  if (known?.exit === EXIT.usage) process.stderr.write(`see: countersign ${name} --help\n`);
  if (withStack && Error.isError(thrown)) process.stderr.write(`${thrown.stack ?? ''}\n`);
  return known?.exit ?? EXIT.failed;
}

async function showCommands(exit: number): Promise<number> {
  const lines = await Promise.all(
    Object.entries(COMMANDS).map(async ([name, load]) => `  ${name.padEnd(18)} ${(await load()).summary}`),
  );
  (exit === EXIT.ok ? process.stdout : process.stderr).write(
    `usage: countersign <command> [options]\n\n${lines.join('\n')}\n`,
  );
  return exit;
}
