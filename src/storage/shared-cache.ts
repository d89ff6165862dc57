/** What nodes share beside Postgres: values that can be made again, messages that are only hints, and rate limits. */
import type { RateLimiterAbstract } from 'rate-limiter-flexible';

export interface LimitOptions {
  /** Part of the keys; one name per limit. */
  name: string;
  points: number;
  durationSeconds: number;
}

/** Never throws and never waits longer than the command timeout: a cache that does not answer has nothing. */
export interface SharedCache {
  readonly kind: 'redis' | 'memory';
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string, ttlSeconds: number): Promise<void>;
  publish(message: string): Promise<void>;
  /** `onMessage` for each message of any node, this one included; `onGap` when some may have been lost. */
  subscribe(onMessage: (message: string) => void, onGap: () => void): void;
  limiter(options: LimitOptions): RateLimiterAbstract;
  /** Whether it answers now. */
  isUp(): boolean;
  close(): Promise<void>;
}
