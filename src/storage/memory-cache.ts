/** The in-process stand-in for Redis: one node, nothing shared, the same interface. */
import { LRUCache } from 'lru-cache';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { SharedCache } from './shared-cache.ts';

const MOST_ENTRIES = 10_000;

export function memoryCache(): SharedCache {
  const values = new LRUCache<string, string>({ max: MOST_ENTRIES });
  return {
    kind: 'memory',
    get: async (key) => values.get(key),
    set: async (key, value, ttlSeconds) => void values.set(key, value, { ttl: ttlSeconds * 1000 }),
    publish: async () => {},
    subscribe: () => {},
    limiter: ({ name, points, durationSeconds }) =>
      new RateLimiterMemory({ keyPrefix: name, points, duration: durationSeconds }),
    isUp: () => true,
    close: async () => values.clear(),
  };
}
