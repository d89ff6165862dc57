/** What the command line says of itself. */
import type { Command, CommandArgument } from './command.ts';

/** What there is. */
export function usageText(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    'castellan <command> [options]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Each command has --help. Settings come from the environment: castellan config',
  ].join('\n');
}

/** What a command takes, and what each part of it means. */
export function helpText({ name, summary, argument, options, notes = [] }: Command): string {
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
