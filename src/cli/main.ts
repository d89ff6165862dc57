#!/usr/bin/env node
/** The command line: `castellan <command>`. */
import { parseArgs } from 'node:util';
import { adminCreate } from './admin-create.ts';
import { type Command, UsageError } from './command.ts';
import { showConfig } from './config.ts';
import { failureLine } from './failure-line.ts';
import { migrateCommand } from './migrate.ts';
import { seedCommand } from './seed.ts';
import { serveCommand } from './serve.ts';

const commands: readonly Command[] = [serveCommand, migrateCommand, seedCommand, showConfig, adminCreate];

try {
  await run(process.argv.slice(2));
} catch (cause) {
  process.stderr.write(`castellan: ${cause instanceof UsageError ? cause.message : failureLine(cause)}\n`);
  process.exit(1);
}

async function run(args: string[]): Promise<void> {
  const command = commands.find(({ name }) => name.split(' ').every((word, index) => args[index] === word));
  if (!command) {
    if (args.length === 0 || args[0] === '--help' || args[0] === 'help') return print(usage());
    throw new UsageError(`there is no command "${args.join(' ')}"; see castellan --help`);
  }
  const rest = args.slice(command.name.split(' ').length);
  if (rest.includes('--help')) return print(help(command));
  await command.run(readOptions(command, rest));
}

function readOptions(command: Command, args: string[]): Record<string, string | boolean | undefined> {
  const options = Object.fromEntries(command.options.map(({ name, type }) => [name, { type }]));
  try {
    return parseArgs({ args, options, allowPositionals: false, strict: true }).values as Record<
      string,
      string | boolean | undefined
    >;
  } catch (cause) {
    throw new UsageError(
      `${cause instanceof Error ? cause.message : cause}; see castellan ${command.name} --help`,
    );
  }
}

function usage(): string {
  return [
    'castellan <command> [options]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(14)} ${summary}`),
    '',
    'Each command has --help. Settings come from the environment: castellan config',
  ].join('\n');
}

function help({ name, summary, options }: Command): string {
  const lines = options.map(
    (option) =>
      `  --${`${option.name}${option.type === 'string' ? ' <…>' : ''}`.padEnd(20)} ${option.meaning}`,
  );
  return [`castellan ${name}`, summary, ...(lines.length > 0 ? ['', ...lines] : [])].join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
