/** What a person is told when the process cannot go on. */
import { ConfigError } from '../config.ts';
import { AppError } from '../errors.ts';
import { plainLine } from '../policy/plain-line.ts';
import { DatabaseError } from '../storage/postgres.ts';
import { problemLine } from './problem-lines.ts';

/** One line where the cause is one that an operator can mend; the whole error where it is not. */
export function failureLine(cause: unknown): string {
  const error = cause as NodeJS.ErrnoException & { port?: number };
  if (error.code === 'EADDRINUSE') return `port ${error.port} is in use; set PORT to a free one`;
  if (error.code === 'EACCES' && error.syscall === 'listen')
    return `port ${error.port} may not be listened on by this user; set PORT`;
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND')
    return `HOST cannot be listened on: ${error.message}`;
  if (cause instanceof AppError && cause.problems) return cause.problems.map(problemLine).join('\n');
  if (cause instanceof AppError) return plainLine(error.message);
  if (cause instanceof ConfigError || cause instanceof DatabaseError) return error.message;
  return /^The (embedded PostgreSQL|signing secret)/.test(error.message ?? '')
    ? error.message
    : String(error.stack ?? cause);
}
