/** Redis as the shared cache: bounded waits, and nothing fails because it is gone. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible';
import type { SharedCache } from './shared-cache.ts';

export interface RedisCacheOptions {
  /** redis://…, several with commas for a cluster, or redis+sentinel://host:port,host:port/master */
  url: string;
  commandTimeoutMs: number;
  prefix: string;
  onStatus?(up: boolean, cause?: Error): void;
}

/** After a command that failed, how long Redis is left alone: a request waits for it once, not at every look-up. */
const REST_MS = 1000;
/** How often it is asked whether it answers, so that what is said of it holds also where nobody uses it. */
const HEARTBEAT_MS = 1000;

export function redisCache(options: RedisCacheOptions): SharedCache {
  const client = connect(options, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: options.commandTimeoutMs,
  });
  const subscriber = connect(options, { enableOfflineQueue: true, maxRetriesPerRequest: null });
  const watch = watchStatus(client, options);
  subscriber.on('error', () => {});
  let restUntilMs = 0;
  const usable = () => watch.isUp() && Date.now() >= restUntilMs;
  const attempt = async <T>(command: () => Promise<T>): Promise<T | undefined> => {
    if (!usable()) return undefined;
    return command().catch(() => {
      restUntilMs = Date.now() + REST_MS;
      return undefined;
    });
  };
  const channel = `${options.prefix}changes`;
  return {
    kind: 'redis',
    get: async (key) => (await attempt(() => client.get(options.prefix + key))) ?? undefined,
    set: async (key, value, ttlSeconds) =>
      void (await attempt(() => client.set(options.prefix + key, value, 'EX', ttlSeconds))),
    publish: async (message) => void (await attempt(() => client.publish(channel, message))),
    subscribe: (onMessage, onGap) => subscribe(subscriber, channel, onMessage, onGap),
    limiter: ({ name, points, durationSeconds }) =>
      new RateLimiterRedis({
        storeClient: client,
        keyPrefix: options.prefix + name,
        points,
        duration: durationSeconds,
        rejectIfRedisNotReady: true,
        insuranceLimiter: new RateLimiterMemory({ keyPrefix: name, points, duration: durationSeconds }),
      }),
    isUp: watch.isUp,
    close: async () => {
      watch.stop();
      client.disconnect();
      subscriber.disconnect();
    },
  };
}

function subscribe(
  subscriber: Redis | Cluster,
  channel: string,
  onMessage: (message: string) => void,
  onGap: () => void,
): void {
  let connections = 0;
  subscriber.on('message', (_, message: string) => onMessage(message));
  subscriber.on('ready', () => {
    connections++;
    if (connections > 1) onGap();
  });
  subscriber.subscribe(channel).catch(() => {});
}

/** Tells when it turns up or down. A connection on which nothing is answered is down as well. */
function watchStatus(
  client: Redis | Cluster,
  { onStatus }: RedisCacheOptions,
): { isUp(): boolean; stop(): void } {
  let cause: Error | undefined;
  let up: boolean | undefined;
  const turn = (now: boolean) => {
    if (up === now) return;
    up = now;
    onStatus?.(now, cause);
  };
  const fail = (error: Error) => {
    cause = error;
    turn(false);
  };
  client.on('error', (error: Error) => {
    cause = error;
    if (client.status !== 'ready') turn(false);
  });
  client.on('ready', () => turn(true));
  client.on('close', () => turn(false));
  const beat = () => {
    if (client.status === 'ready') client.ping().then(() => turn(true), fail);
  };
  const heartbeat = setInterval(beat, HEARTBEAT_MS).unref();
  return { isUp: () => up === true, stop: () => clearInterval(heartbeat) };
}

function connect(options: RedisCacheOptions, common: RedisOptions): Redis | Cluster {
  const redisOptions: RedisOptions = { ...common, connectTimeout: 2000, retryStrategy: backoff };
  const sentinel = /^redis\+sentinel:\/\/([^/]+)\/(.+)$/.exec(options.url);
  if (sentinel?.[1] && sentinel[2]) {
    const sentinels = sentinel[1].split(',').map((place) => {
      const [host = '', port = '26379'] = place.split(':');
      return { host, port: Number(port) };
    });
    return new Redis({ ...redisOptions, sentinels, name: sentinel[2] });
  }
  const urls = options.url.split(',').map((url) => url.trim());
  if (urls.length === 1) return new Redis(options.url, redisOptions);
  const { enableOfflineQueue = true } = common;
  return new Cluster(urls, { enableOfflineQueue, redisOptions: common, clusterRetryStrategy: backoff });
}

function backoff(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 6), 1000);
}
