/** How a command tells that it failed: lines for people, one object for machines. */
import { ConfigError } from '../config.ts';
import { AppError, type FieldError, type Problem } from '../errors.ts';
import { plainLine } from '../policy/plain-line.ts';
import { DatabaseError } from '../storage/postgres.ts';
import { UsageError } from './command.ts';
import { failureLine } from './failure-line.ts';
import { count, problemLine } from './problem-lines.ts';

/** The policy that a command was to work on is wrong. */
export class ProblemsFound extends Error {
  override name = 'ProblemsFound';
  readonly problems: readonly Problem[];

  /** `outcome` is what came of it, such as `nothing was imported`. */
  constructor(problems: readonly Problem[], outcome?: string) {
    super(`${count(problems.length, 'problem')}${outcome === undefined ? '' : `; ${outcome}`}`);
    this.problems = problems;
  }
}

/** A failure as `--json` prints it, in the member `error`. */
export interface Failure {
  code: string;
  message: string;
  problems?: readonly (Problem | FieldError)[];
  /** Those that would no longer hold. */
  cases?: unknown;
}

/** Tells it on stderr and, where JSON was asked for, as one object on stdout; fulfilled once that is written. */
export async function tellFailure(cause: unknown, isJson: boolean): Promise<void> {
  process.stderr.write(linesOf(cause, isJson).join(''));
  if (!isJson) return;
  const text = `${JSON.stringify({ error: failureOf(cause) })}\n`;
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
}

/** What machines are told of it. */
export function failureOf(cause: unknown): Failure {
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof ProblemsFound) return { code: 'policy_invalid', message, problems: cause.problems };
  if (cause instanceof AppError) {
    const { code, errors, members } = cause;
    return {
      code,
      message,
      ...(errors && { problems: errors }),
      ...(members?.['cases'] !== undefined && { cases: members['cases'] }),
    };
  }
  if (cause instanceof UsageError) return { code: cause.code, message };
  if (cause instanceof ConfigError) return { code: 'settings', message };
  return { code: cause instanceof DatabaseError ? 'unavailable' : 'internal_error', message };
}

/** Problems have a line each, unless machines are told them. */
function linesOf(cause: unknown, isJson: boolean): string[] {
  if (cause instanceof ProblemsFound) {
    const lines = isJson ? [] : cause.problems.map((problem) => `${problemLine(problem)}\n`);
    return [...lines, `castellan: ${cause.message}\n`];
  }
  if (!(cause instanceof UsageError)) return [`castellan: ${failureLine(cause)}\n`];
  return [`castellan${cause.command ? ` ${cause.command}` : ''}: ${plainLine(cause.message)}\n`];
}
