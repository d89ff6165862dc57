#!/usr/bin/env node
/** The command line: `castellan <command>`. */
import { parseArgs } from 'node:util';
import { type Command, jsonOption, type Options, UsageError } from './command.ts';
import { findCommand, loadCommands } from './commands.ts';
import { tellFailure } from './failure.ts';
import { helpText, usageText } from './help.ts';

const typed = process.argv.slice(2);
let command: Command | undefined;

try {
  command = await findCommand(typed);
  await run(command, typed);
} catch (cause) {
  await tellFailure(cause, asksForJson(command, typed));
  process.exit(command?.failureCode ?? 1);
}

/** Also where what was typed cannot be read: who asks for JSON reads nothing else. */
function asksForJson(asked: Command | undefined, args: string[]): boolean {
  const takesJson = !asked || asked.options.some(({ name }) => name === jsonOption.name);
  return takesJson && args.includes(`--${jsonOption.name}`);
}

async function run(asked: Command | undefined, args: string[]): Promise<void> {
  if (!asked) {
    if (args.length === 0 || args[0] === '--help' || args[0] === 'help')
      return print(usageText(await loadCommands()));
    const beginning = await loadCommands(`${args[0]} `);
    if (beginning.length > 0 && args[1] === '--help') return print(usageText(beginning));
    throw new UsageError(`there is no command "${args.join(' ')}"; see castellan --help`);
  }
  const rest = args.slice(asked.name.split(' ').length);
  if (rest.includes('--help')) return print(helpText(asked));
  const { values, positionals } = readArguments(asked, rest);
  await asked.run(values, positionals);
}

function readArguments(asked: Command, args: string[]): { values: Options; positionals: string[] } {
  const { name, argument } = asked;
  const options = Object.fromEntries(
    asked.options.map(({ name, type, multiple = false }) => [name, { type, multiple }]),
  );
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
    if (option.longest !== undefined && String(value ?? '').length > option.longest)
      throw new UsageError(
        `--${option.name} must be at most ${option.longest} characters, not ${String(value).length}`,
      );
  }
  return { values: values as Options, positionals };
}

function refuseArguments({ name, argument }: Command, positionals: string[]): void {
  if (!argument) return;
  if (positionals.length === 0 && !argument.optional)
    throw new UsageError(argument.missing, { command: name });
  if (positionals.length > 1 && !argument.many)
    throw new UsageError(`one ${argument.name} is enough, not ${positionals.length}`, { command: name });
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
