/** Passwords hashed and verified with argon2id, a bounded number at once. */
import { randomBytes } from 'node:crypto';
import argon2 from 'argon2';
import pLimit from 'p-limit';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';

export interface PasswordHasher {
  /** A PHC string with the configured parameters. Throws `overloaded` when too many wait. */
  hash(password: string): Promise<string>;
  /**
   * Whether the password is the one that was hashed. Without a hash (no such account, or one that may not log in) a
   * dummy is verified, which costs the same and never fits. Throws `overloaded` when too many wait.
   */
  verify(hash: string | undefined, password: string): Promise<boolean>;
  /** Whether a parameter is higher now than when this was hashed; lowered ones do not weaken what is stored. */
  needsRehash(hash: string): boolean;
}

const VERSION = 0x13;
const RETRY_AFTER_SECONDS = 2;

/**
 * Makes the hasher. A hash takes `memoryKib` for tens of milliseconds, so `hashConcurrency` run at once, `hashQueue`
 * wait, and what comes on top is refused. Passwords are hashed in NFC, so that every keyboard types the same one.
 */
export function passwordHasher(config: Config['password']): PasswordHasher {
  const { memoryKib, timeCost, parallelism, hashConcurrency, hashQueue } = config;
  const limit = pLimit(hashConcurrency);
  const bounded = <T>(work: () => Promise<T>): Promise<T> => {
    if (limit.activeCount + limit.pendingCount >= hashConcurrency + hashQueue) {
      throw new AppError('overloaded', {
        message: 'too many logins are waiting; try again in a moment',
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    return limit(work);
  };
  const hash = async (password: string) =>
    bounded(() =>
      argon2.hash(password.normalize('NFC'), {
        type: argon2.argon2id,
        version: VERSION,
        memoryCost: memoryKib,
        timeCost,
        parallelism,
      }),
    );
  const dummy = hash(randomBytes(32).toString('base64url'));
  dummy.catch(() => {}); // told to whoever needs it
  return {
    hash,
    verify: async (stored, password) => {
      const against = stored ?? (await dummy);
      const fits = await bounded(() => argon2.verify(against, password.normalize('NFC')));
      return fits && stored !== undefined;
    },
    needsRehash: (stored) => {
      const { v, m, t, p } = parametersOf(stored);
      return v !== VERSION || m < memoryKib || t < timeCost || p < parallelism;
    },
  };
}

/** Of `$argon2id$v=19$m=19456,t=2,p=1$…`, whatever their order; one that is not there is 0. */
function parametersOf(stored: string): { v: number; m: number; t: number; p: number } {
  const named = stored.split('$').flatMap((part) => [...part.matchAll(/(?:^|,)([vmtp])=(\d+)/g)]);
  return {
    v: 0,
    m: 0,
    t: 0,
    p: 0,
    ...Object.fromEntries(named.map(([, name, value]) => [name, Number(value)])),
  };
}
