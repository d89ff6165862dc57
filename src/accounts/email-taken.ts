/** The answer to an e-mail that another account has. */
import { UniqueViolationError } from 'objection';
import { AppError } from '../errors.ts';

/** 409 `email_taken`, pointing at `/email`. */
export function emailTaken(cause?: unknown): AppError {
  const message = 'belongs to an account already';
  return new AppError('email_taken', {
    message: `the e-mail ${message}`,
    errors: [{ pointer: '/email', message }],
    cause,
  });
}

/** Of two that take one e-mail at once, the database lets one have it: `email_taken`. Rethrows everything else. */
export function explainTaken(cause: unknown): never {
  if (cause instanceof UniqueViolationError && cause.constraint === 'accounts_email_key_key')
    throw emailTaken(cause);
  throw cause;
}
