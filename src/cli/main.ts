#!/usr/bin/env node
/** The command line: `castellan <command>`. */
import { parseArgs } from 'node:util';
import { adminCreate } from './admin-create.ts';
import { auditVerify } from './audit-verify.ts';
import { casesCommand } from './cases.ts';
import { checkCommand } from './check.ts';
import { type Command, type CommandArgument, type Options, UsageError } from './command.ts';
import { showConfig } from './config.ts';
import { diffCommand } from './diff.ts';
import { explainCommand } from './explain.ts';
import { exportCommand } from './export.ts';
import { failureLine } from './failure-line.ts';
import { importCommand } from './import.ts';
import { migrateCommand } from './migrate.ts';
import { restoreCommand } from './restore.ts';
import { revisionsCommand } from './revisions.ts';
import { seedCommand } from './seed.ts';
import { serveCommand } from './serve.ts';

const commands: readonly Command[] = [
  serveCommand,
  migrateCommand,
  seedCommand,
  showConfig,
  adminCreate,
  checkCommand,
  importCommand,
  exportCommand,
  diffCommand,
  revisionsCommand,
  restoreCommand,
  casesCommand,
  explainCommand,
  auditVerify,
];

const typed = process.argv.slice(2);
const command = commands.find(({ name }) => name.split(' ').every((word, index) => typed[index] === word));

try {
  await run(command, typed);
} catch (cause) {
  const [said, name] = cause instanceof UsageError ? [cause.message, cause.command] : [failureLine(cause)];
  process.stderr.write(`castellan${name ? ` ${name}` : ''}: ${said}\n`);
  process.exit(command?.failureCode ?? 1);
}

async function run(asked: Command | undefined, args: string[]): Promise<void> {
  if (!asked) {
    if (args.length === 0 || args[0] === '--help' || args[0] === 'help') return print(usage());
    throw new UsageError(`there is no command "${args.join(' ')}"; see castellan --help`);
  }
  const rest = args.slice(asked.name.split(' ').length);
  if (rest.includes('--help')) return print(help(asked));
  const { values, positionals } = readArguments(asked, rest);
  await asked.run(values, positionals);
}

function readArguments(asked: Command, args: string[]): { values: Options; positionals: string[] } {
  const { name, argument } = asked;
  const options = Object.fromEntries(asked.options.map((option) => [option.name, { type: option.type }]));
  const parsed = () => {
    try {
      return parseArgs({ args, options, allowPositionals: argument !== undefined, strict: true });
    } catch (cause) {
      throw new UsageError(`${cause instanceof Error ? cause.message : cause}; see castellan ${name} --help`);
    }
  };
  const { values, positionals } = parsed();
  refuseArguments(asked, positionals);
  for (const option of asked.options) {
    const value = (values as Options)[option.name];
    if (value !== undefined && option.values && !option.values.includes(String(value)))
      throw new UsageError(`--${option.name} must be ${option.values.join(' or ')}, not "${value}"`);
  }
  return { values: values as Options, positionals };
}

function refuseArguments({ name, argument }: Command, positionals: string[]): void {
  if (!argument) return;
  if (positionals.length === 0 && !argument.optional) throw new UsageError(argument.missing, name);
  if (positionals.length > 1 && !argument.many)
    throw new UsageError(`one ${argument.name} is enough, not ${positionals.length}`, name);
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

function help({ name, summary, argument, options, notes = [] }: Command): string {
  const shown = options.map((option) => ({
    ...option,
    said: `${option.name}${option.type === 'string' ? ` <${option.values?.join('|') ?? '…'}>` : ''}`,
  }));
  const width = Math.max(20, ...shown.map(({ said }) => said.length));
  const lines = shown.map(({ said, meaning }) => `  --${said.padEnd(width)} ${meaning}`);
  const usageLine = `castellan ${name}${argument ? ` ${argumentText(argument)}` : ''}`;
  return [
    usageLine,
    summary,
    ...(lines.length > 0 ? ['', ...lines] : []),
    ...notes.flatMap((note) => ['', note]),
  ].join('\n');
}

function argumentText({ name, optional, many }: CommandArgument): string {
  const text = `${name}${many ? ' …' : ''}`;
  return optional ? `[${text}]` : text;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
