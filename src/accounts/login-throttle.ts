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

export interface LoginThrottle {
  /**
   * Runs `check` if there are points left, and counts it as a failure when it says false. It is counted before its
   * outcome is known, so that attempts side by side cannot all pass on the last point; those for which none is left
   * meanwhile wait for others of the same kind to end, so that a burst of right passwords queues and is not refused.
   * Throws `too_many_attempts`, which tells nothing of the account: an unknown e-mail is counted like any other.
   */
  attempt(who: Try, check: () => Promise<boolean>): Promise<boolean>;
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
  const queues = new Map<string, Queue>();
  return {
    attempt: async ({ range, emailKey, isKnownRange = false }, check) => {
      const claims: Claim[] = [{ limiter: perAddress, key: range }];
      if (emailKey !== undefined) {
        claims.push({ limiter: perAccountAndAddress, key: digest(emailKey, range) });
        if (!isKnownRange) claims.push({ limiter: perAccount, key: digest(emailKey) });
      }
      const end = await enter(queues, digest(emailKey ?? '', range), () => consume(claims));
      try {
        const passed = await check().catch(async (cause) => {
          await giveBack(claims);
          throw cause;
        });
        if (passed) await giveBack(claims);
        return passed;
      } finally {
        end();
      }
    },
  };
}

/** Attempts of one kind in this process: those under way, and those that wait for one of them to end. */
interface Queue {
  running: number;
  waiting: (() => void)[];
}

const LONGEST_QUEUE = 1000;

/** Takes points, waiting for attempts under way as long as there are none left; what it returns ends the attempt. */
async function enter(
  queues: Map<string, Queue>,
  key: string,
  take: () => Promise<void>,
): Promise<() => void> {
  const queue = queues.get(key) ?? { running: 0, waiting: [] };
  queues.set(key, queue);
  queue.running++;
  const end = () => {
    queue.running--;
    queue.waiting.shift()?.();
    if (queue.running === 0 && queue.waiting.length === 0) queues.delete(key);
  };
  for (;;) {
    try {
      await take();
      return end;
    } catch (cause) {
      const others = queue.running - queue.waiting.length - 1;
      if (others === 0 || queue.waiting.length >= LONGEST_QUEUE || !isRefusal(cause)) {
        end();
        throw cause;
      }
      await new Promise<void>((wake) => queue.waiting.push(wake));
    }
  }
}

function isRefusal(cause: unknown): boolean {
  return cause instanceof AppError && cause.code === 'too_many_attempts';
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
