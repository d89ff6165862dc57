/** What a command is. */
import { plainLine } from '../policy/plain-line.ts';

export interface Command {
  /** As typed: one word or two. */
  name: string;
  summary: string;
  /** What stands behind the name. */
  argument?: CommandArgument;
  options: readonly CommandOption[];
  /** Further lines of its help. */
  notes?: readonly string[];
  /** What it exits with when it fails; left out: 1. */
  failureCode?: number;
  /** Throws to fail: UsageError for what was typed, anything else for what went wrong. */
  run(options: Options, args: string[]): Promise<void>;
}

export interface CommandArgument {
  /** As help shows it, such as `<dir|file>`. */
  name: string;
  /** What to do when it is missing: `name a file or folder`. */
  missing: string;
  optional?: boolean;
  many?: boolean;
}

export interface CommandOption {
  name: string;
  type: 'string' | 'boolean';
  meaning: string;
  /** May be given several times; only what is started reads it. */
  multiple?: true;
  /** Left out: any. */
  values?: readonly string[];
  /** How many characters it has at most, in UTF-16 code units. */
  longest?: number;
}

export type Options = Record<string, string | boolean | undefined>;

/** What was typed is not right; the message says what would be. */
export class UsageError extends Error {
  override name = 'UsageError';
  readonly command: string | undefined;
  /** For machines. */
  readonly code: string;

  /** With the command's name the line begins with it. */
  constructor(message: string, { command, code = 'usage' }: { command?: string; code?: string } = {}) {
    super(message);
    this.command = command;
    this.code = code;
  }
}

export const jsonOption = { name: 'json', type: 'boolean', meaning: 'print JSON, for machines' } as const;

/** Prints the value as JSON, or the lines for people. */
export function printResult(json: unknown, value: object, lines: readonly string[]): void {
  process.stdout.write(json === true ? `${JSON.stringify(value)}\n` : linesText(lines));
}

/** Each on a line of its own: nothing of what others wrote ends it, or moves the cursor. */
export function linesText(lines: readonly string[]): string {
  return lines.map((line) => `${plainLine(line)}\n`).join('');
}

/** A whole number of at least 1. Throws UsageError, which says what it is for. */
export function readNumber(what: string, text: unknown): number {
  const number = Number(text);
  if (typeof text !== 'string' || !Number.isSafeInteger(number) || number < 1 || number > 2_147_483_647)
    throw new UsageError(`${what} must be a number from 1 on, not ${text}`);
  return number;
}
