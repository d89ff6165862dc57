/** Failed attempts at passwords, counted per address, per account, and per both. */
import { createHash } from 'node:crypto';
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import type { SharedCache } from '../storage/shared-cache.ts';

/** Who tries, and at which account. */
export interface Try {
  /** As `clientRange` gives it. */
  range: string;
  /** The account by its e-mail key, whether or not there is such an account; left out: it is not about one. */
  emailKey?: string;
  /** Whether the account has logged in from there lately: strangers cannot use up what its own addresses have. */
  isKnownRange?: boolean;
}

export interface Attempt {
  /** It was no failure: it does not count. */
  giveBack(): Promise<void>;
}

export interface LoginThrottle {
  /**
   * Counts an attempt before its outcome is known, so that attempts side by side cannot all pass on the last point.
   * Throws `too_many_attempts`, which tells nothing of the account: an unknown e-mail is counted like any other.
   */
  begin(attempt: Try): Promise<Attempt>;
}

interface Claim {
  limiter: RateLimiterAbstract;
  key: string;
}

/**
 * Makes the throttle on what nodes share. Three limits, since each alone fails: one address trying many accounts, one
 * address trying one account, and many addresses trying one account. The last does not bind addresses from which the
 * account has logged in before, so that nobody can lock it for its owner.
 */
export function loginThrottle(shared: SharedCache, config: Config['login']): LoginThrottle {
  const limiter = (name: string, points: number) =>
    shared.limiter({ name, points, durationSeconds: config.windowSeconds });
  const perAddress = limiter('login-address', config.failuresPerAddress);
  const perAccountAndAddress = limiter('login-account-address', config.failuresPerAccountAndAddress);
  const perAccount = limiter('login-account', config.failuresPerAccount);
  return {
    begin: async ({ range, emailKey, isKnownRange = false }) => {
      const claims: Claim[] = [{ limiter: perAddress, key: range }];
      if (emailKey !== undefined) {
        claims.push({ limiter: perAccountAndAddress, key: digest(emailKey, range) });
        if (!isKnownRange) claims.push({ limiter: perAccount, key: digest(emailKey) });
      }
      await consume(claims);
      return { giveBack: () => giveBack(claims) };
    },
  };
}

/** Takes a point of each limit, or of none. */
async function consume(claims: readonly Claim[]): Promise<void> {
  const results = await Promise.allSettled(claims.map(({ limiter, key }) => limiter.consume(key)));
  const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (refusals.length === 0) return;
  await giveBack(claims);
  const broken = refusals.find((reason) => !(reason instanceof RateLimiterRes));
  if (broken) throw broken;
  const waitMs = Math.max(...refusals.map((refusal: RateLimiterRes) => refusal.msBeforeNext));
  throw new AppError('too_many_attempts', {
    message: 'too many attempts failed; try again later',
    retryAfterSeconds: waitMs / 1000,
  });
}

async function giveBack(claims: readonly Claim[]): Promise<void> {
  await Promise.all(
    claims.map(async ({ limiter, key }) => {
      const { consumedPoints } = await limiter.reward(key);
      // The window ended in between: what it forgot must not become a credit for the next.
      if (consumedPoints < 0) await limiter.delete(key);
    }),
  );
}

/** Keys are seen by whoever sees Redis: no e-mail is in them. */
function digest(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
