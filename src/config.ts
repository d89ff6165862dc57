/** The environment, read once and checked: every setting with its default and meaning, in one table. */
import { availableParallelism } from 'node:os';
import ipaddr from 'ipaddr.js';
import Joi from 'joi';
import { itemsOf } from './config/comma-list.ts';
import { forwardAuthSetting, type ProxyName, proxyNames } from './config/forward-auth.ts';
import { type TrustedIssuer, trustedIssuersSetting } from './config/trusted-issuers.ts';
import { showHosts, type UpstreamHost, upstreamHostsSetting } from './config/upstream-hosts.ts';

interface Setting {
  schema: Joi.Schema;
  default?: unknown;
  meaning: string;
  /** What `castellan config` shows, where it is no plain value. */
  show?(value: unknown): string;
  /** Never shown by `castellan config` and never logged. */
  secret?: true;
  /** Set to nothing it is nothing; other settings have their default then. */
  mayBeEmpty?: true;
}

const seconds = Joi.number().integer().min(1);
const list = Joi.string()
  .allow('')
  .custom((text: string) => itemsOf(text));

const proxies = Joi.string()
  .allow('')
  .custom((text: string, helpers) => {
    const items = itemsOf(text);
    const wrong = items.find((item) => !ipaddr.isValid(item) && !ipaddr.isValidCIDR(item));
    return wrong === undefined
      ? items
      : helpers.message({ custom: `"${wrong}" is neither an address nor a CIDR` });
  });
/** A password may be in it, so it is not repeated. */
const redisUrl = Joi.string()
  .pattern(/^(rediss?:\/\/[^\s,]+(,\s*rediss?:\/\/[^\s,]+)*|redis\+sentinel:\/\/[^\s/]+\/\S+)$/)
  .messages({ 'string.pattern.base': 'must be redis://, rediss://, several of them or redis+sentinel://' });

/** A fixed place: credentials are a setting of their own, and a query would be lost. */
const remoteUrl = Joi.string()
  .uri({ scheme: ['http', 'https'] })
  .custom((text: string, helpers) => {
    const { username, password, search, hash } = new URL(text);
    return username || password || search || hash
      ? helpers.message({ custom: 'must have no user, password, query or fragment' })
      : text;
  });

/** Kept out of messages, so what it should be is said without it. */
const signingSecret = Joi.string().min(32).messages({ 'string.min': 'must have at least 32 characters' });

/** Every setting there is. A function for those defaults that depend on another setting. */
export const settings = {
  NODE_ENV: {
    schema: Joi.string().valid('development', 'test', 'production'),
    default: 'development',
    meaning: 'production refuses the demo and listens on every address',
  },
  HOST: {
    schema: Joi.string(),
    default: ({ NODE_ENV }: { NODE_ENV: string }) => (NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1'),
    meaning: 'address to listen on',
  },
  PORT: {
    schema: Joi.number().integer().min(0).max(65535),
    default: 8080,
    meaning: 'port to listen on; 0 takes a free one',
  },
  PUBLIC_URL: {
    schema: Joi.string().uri({ scheme: ['http', 'https'] }),
    meaning: 'how people reach the gateway; https makes cookies Secure with the __Host- prefix',
  },
  TLS_CERT: {
    schema: Joi.string(),
    meaning:
      'file of the certificate with its chain (PEM): with it the port takes TLS alone, with HTTP/2 and HTTP/1.1; read again when it changes',
  },
  TLS_KEY: { schema: Joi.string(), meaning: 'file of the key (PEM) of that certificate' },
  TRUSTED_PROXIES: {
    schema: proxies,
    default: '',
    meaning: 'addresses or CIDRs of proxies whose X-Forwarded-* headers are believed, comma separated',
  },
  FORWARD_AUTH: {
    schema: forwardAuthSetting,
    default: proxyNames.join(','),
    mayBeEmpty: true,
    meaning: 'proxies that may ask at /forward-auth, comma separated; empty: none. Name the one in use alone',
  },
  ALLOWED_ORIGINS: {
    schema: list,
    default: '',
    meaning: 'other origins whose pages may send changes with the session cookie, comma separated',
  },
  UPSTREAM_CA: {
    schema: Joi.string(),
    meaning:
      'file of the authorities (PEM) that upstreams with https are trusted by, beside those that Node.js knows',
  },
  UPSTREAM_HOSTS: {
    schema: upstreamHostsSetting,
    default: '',
    show: showHosts,
    meaning:
      'where routes may lead, comma separated: host names, *.suffix, addresses and CIDRs, each with :port or without; without it anywhere but link-local, unspecified and multicast addresses',
  },
  DATABASE_URL: {
    schema: Joi.string().uri({ scheme: ['postgres', 'postgresql'] }),
    secret: true,
    meaning: 'PostgreSQL >= 14; without it one is run in DATA_DIR',
  },
  DATABASE_POOL_MAX: {
    schema: Joi.number().integer().min(2).max(500),
    default: 10,
    meaning: 'connections per process at most',
  },
  DATA_DIR: {
    schema: Joi.string(),
    default: '.castellan',
    meaning: 'where the embedded PostgreSQL keeps its data, and a signing secret that was not set',
  },
  REDIS_URL: {
    schema: redisUrl,
    secret: true,
    meaning:
      'redis://, rediss://, a comma separated list of them (cluster), or redis+sentinel://host:port,host:port/master; without it a cache in the process',
  },
  REDIS_COMMAND_TIMEOUT_MS: {
    schema: Joi.number().integer().min(1),
    default: 100,
    meaning: 'how long a Redis command may take before the node goes on without it',
  },
  REDIS_PREFIX: {
    schema: Joi.string(),
    default: 'castellan:',
    meaning: 'what every Redis key and channel begins with',
  },
  DEMO: {
    schema: Joi.boolean(),
    default: ({ NODE_ENV }: { NODE_ENV: string }) => NODE_ENV !== 'production',
    meaning: 'seed an empty database with the demo policy and accounts, and serve the demo API',
  },
  LOG_LEVEL: {
    schema: Joi.string().valid('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    default: 'info',
    meaning: 'how much is logged',
  },
  REGISTRATION_ROLES: {
    schema: list,
    default: 'user',
    meaning: 'roles of a newly registered account, comma separated',
  },
  SESSION_IDLE_SECONDS: {
    schema: seconds,
    default: 7 * 24 * 3600,
    meaning: 'a session unused for so long is over',
  },
  SESSION_ABSOLUTE_SECONDS: {
    schema: seconds,
    default: 30 * 24 * 3600,
    meaning: 'a session this old is over',
  },
  PASSWORD_MEMORY_KIB: {
    schema: Joi.number().integer().min(19456),
    default: 19456,
    meaning: 'argon2id memory, KiB (OWASP: at least 19456)',
  },
  PASSWORD_TIME_COST: { schema: Joi.number().integer().min(2), default: 2, meaning: 'argon2id passes' },
  PASSWORD_PARALLELISM: { schema: Joi.number().integer().min(1), default: 1, meaning: 'argon2id lanes' },
  PASSWORD_HASH_CONCURRENCY: {
    schema: Joi.number().integer().min(1),
    default: () => Math.min(4, availableParallelism()),
    meaning: 'password hashes computed at once; the rest queues',
  },
  PASSWORD_HASH_QUEUE: {
    schema: Joi.number().integer().min(1),
    default: 1000,
    meaning: 'password hashes that may wait; beyond it 503',
  },
  LOGIN_WINDOW_SECONDS: {
    schema: seconds.max(7 * 24 * 3600),
    default: 900,
    meaning: 'over how long failed logins are counted',
  },
  LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS: {
    schema: Joi.number().integer().min(1),
    default: 10,
    meaning: 'failed logins to one account from one address',
  },
  LOGIN_FAILURES_PER_ACCOUNT: {
    schema: Joi.number().integer().min(1),
    default: 50,
    meaning: 'failed logins to one account from addresses it has not logged in from before',
  },
  LOGIN_FAILURES_PER_ADDRESS: {
    schema: Joi.number().integer().min(1),
    default: 200,
    meaning: 'failed logins from one address (IPv6: one /64)',
  },
  BODY_LIMIT_BYTES: {
    schema: Joi.number().integer().min(1024),
    default: 1024 * 1024,
    meaning: 'largest body that is read',
  },
  POLICY_LIMIT_BYTES: {
    schema: Joi.number().integer().min(1024),
    default: 64 * 1024 * 1024,
    meaning: 'largest policy document that is read',
  },
  REQUEST_TIMEOUT_MS: {
    schema: Joi.number().integer().min(100),
    default: 30_000,
    meaning: 'how long a request may take to arrive; of an upload to a service, how long nothing may come',
  },
  SHUTDOWN_GRACE_MS: {
    schema: Joi.number().integer().min(0),
    default: 10_000,
    meaning: 'how long requests in flight may take to finish at the stop',
  },
  POLICY_POLL_MS: {
    schema: Joi.number().integer().min(50),
    default: 1000,
    meaning: 'how often the change log is read behind the feed',
  },
  POLICY_STALE_SECONDS: {
    schema: seconds,
    default: 60,
    meaning: 'a node that could not confirm its revision for so long stops deciding',
  },
  MIN_REVISION_WAIT_MS: {
    schema: Joi.number().integer().min(0),
    default: 2000,
    meaning: 'how long Castellan-Min-Revision is waited for',
  },
  SIGNING_SECRET: {
    schema: signingSecret,
    secret: true,
    meaning:
      'encrypts the keys that sign, the same on every node, at least 32 characters; without it one is made and kept in DATA_DIR',
  },
  SIGNING_SECRET_PREVIOUS: {
    schema: signingSecret,
    secret: true,
    meaning: 'the secret before, for as long as keys are encrypted with it',
  },
  SIGNING_KEY_DAYS: {
    schema: Joi.number().integer().min(1).max(3650),
    default: 30,
    meaning: 'how long a key signs before the next one does',
  },
  TRUSTED_ISSUERS: {
    schema: trustedIssuersSetting,
    default: '[]',
    show: JSON.stringify,
    meaning:
      'whose JSON Web Tokens identify their bearers: a list in JSON, or a file of it (docs/identities.md)',
  },
  HIDE_FORBIDDEN: {
    schema: Joi.boolean(),
    default: false,
    meaning: 'answer 404 instead of 403, where existence itself is secret',
  },
  AUTHZEN_PUBLIC: {
    schema: Joi.boolean(),
    default: false,
    meaning: 'whoever reaches the gateway may ask for decisions at /access/v1; for a private network only',
  },
  EVALUATORS: {
    schema: list,
    default: '',
    meaning:
      'modules with evaluators of your own, comma separated; `castellan serve --evaluator` adds to them',
  },
  EVALUATOR_TIMEOUT_MS: {
    schema: Joi.number().integer().min(1).max(60_000),
    default: 1000,
    meaning: 'how long an evaluator of your own may take; then the decision is denied',
  },
  SHADOW_CONCURRENCY: {
    schema: Joi.number().integer().min(1).max(1000),
    default: 16,
    meaning: 'decisions about one resource type that its shadow is asked about at once',
  },
  SHADOW_QUEUE: {
    schema: Joi.number().integer().min(0).max(1_000_000),
    default: 1000,
    meaning:
      'decisions about one resource type that wait for its shadow at most; beyond it they are dropped, and counted',
  },
  SHADOW_TIMEOUT_MS: {
    schema: Joi.number().integer().min(1).max(60_000),
    default: 1000,
    meaning: 'how long a shadow may take; then it is in doubt',
  },
  AUTHZEN_REMOTE_URL: {
    schema: remoteUrl,
    meaning: 'another AuthZEN decision point, asked about resource types whose evaluator is authzen-remote',
  },
  AUTHZEN_REMOTE_AUTHORIZATION: {
    schema: Joi.string()
      .pattern(/^[\x21-\x7e][\x20-\x7e]*$/)
      .messages({ 'string.pattern.base': 'must be the value of a header, in ASCII and on one line' }),
    secret: true,
    meaning: 'what is sent to it as Authorization, such as "Bearer <token>"',
  },
  AUTHZEN_REMOTE_TIMEOUT_MS: {
    schema: Joi.number().integer().min(1).max(60_000),
    default: 1000,
    meaning: 'how long it is waited for, all attempts together; then the decision is denied',
  },
  AUTHZEN_REMOTE_ROLES_PROPERTY: {
    schema: Joi.string().pattern(/^[A-Za-z][A-Za-z0-9._-]{0,99}$/),
    default: 'roles',
    meaning: 'the property of the subject in which it finds the roles; Cerbos: cerbos.roles',
  },
  AUTHZEN_REMOTE_CA: { schema: Joi.string(), meaning: 'file of the authorities (PEM) that it is trusted by' },
  AUTHZEN_REMOTE_CERT: { schema: Joi.string(), meaning: 'file of the certificate (PEM) that is shown to it' },
  AUTHZEN_REMOTE_KEY: { schema: Joi.string(), meaning: 'file of the key (PEM) of that certificate' },
  DECISION_LOG: {
    schema: Joi.string().valid('off', 'denials', 'sample', 'all'),
    default: 'denials',
    meaning: 'which decisions are kept: off, denials, sample (denials and a share of the allows) or all',
  },
  DECISION_LOG_SAMPLE: {
    schema: Joi.number().min(0).max(1),
    default: 0.01,
    meaning: 'share of the allows that are kept with DECISION_LOG=sample',
  },
  DECISION_LOG_RETENTION_DAYS: {
    schema: Joi.number().integer().min(1).max(36_500),
    default: 30,
    meaning: 'how long decisions are kept',
  },
  DECISION_LOG_BUFFER: {
    schema: Joi.number().integer().min(1).max(1_000_000),
    default: 10_000,
    meaning: 'decisions that wait to be written at most; beyond it the oldest are dropped, and counted',
  },
  DECISION_LOG_FLUSH_MS: {
    schema: Joi.number().integer().min(10).max(3_600_000),
    default: 1000,
    meaning: 'how often decisions are written',
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof settings;

/** Both in PEM. */
export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

/** Settings as they are in force. Frozen. */
export interface Config {
  env: 'development' | 'test' | 'production';
  host: string;
  port: number;
  publicUrl: string | undefined;
  /** Undefined: what comes is plain. */
  tls: CertificateFiles | undefined;
  trustedProxies: string[];
  forwardAuth: readonly ProxyName[];
  allowedOrigins: string[];
  upstreamCaFile: string | undefined;
  upstreamHosts: readonly UpstreamHost[];
  databaseUrl: string | undefined;
  databasePoolMax: number;
  dataDir: string;
  redisUrl: string | undefined;
  redisCommandTimeoutMs: number;
  redisPrefix: string;
  demo: boolean;
  logLevel: string;
  registrationRoles: string[];
  sessionIdleSeconds: number;
  sessionAbsoluteSeconds: number;
  password: {
    memoryKib: number;
    timeCost: number;
    parallelism: number;
    hashConcurrency: number;
    hashQueue: number;
  };
  login: {
    windowSeconds: number;
    failuresPerAccountAndAddress: number;
    failuresPerAccount: number;
    failuresPerAddress: number;
  };
  bodyLimitBytes: number;
  policyLimitBytes: number;
  requestTimeoutMs: number;
  shutdownGraceMs: number;
  policyPollMs: number;
  policyStaleSeconds: number;
  minRevisionWaitMs: number;
  signing: {
    /** Undefined: one of its own, in the data directory. */
    secret: string | undefined;
    previousSecret: string | undefined;
    keyDays: number;
  };
  trustedIssuers: readonly TrustedIssuer[];
  hideForbidden: boolean;
  authzenPublic: boolean;
  evaluators: string[];
  evaluatorTimeoutMs: number;
  shadow: { concurrency: number; queue: number; timeoutMs: number };
  /** Undefined: there is no other decision point. */
  authzenRemote:
    | {
        url: string;
        authorization: string | undefined;
        timeoutMs: number;
        rolesProperty: string;
        caFile: string | undefined;
        certFile: string | undefined;
        keyFile: string | undefined;
      }
    | undefined;
  decisionLog: {
    mode: 'off' | 'denials' | 'sample' | 'all';
    sample: number;
    retentionDays: number;
    buffer: number;
    flushMs: number;
  };
}

/** A setting that is not usable; the message names it and says what would be right. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** One line of `castellan config`. */
export interface SettingReport {
  name: SettingName;
  value: string;
  source: 'environment' | 'default';
  meaning: string;
}

type Values = Record<SettingName, unknown>;

/** Reads and checks the environment. Throws ConfigError naming the first setting that is not usable. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  return toConfig(readSettings(env));
}

/** The environment of a child process: that of this one, and more. */
export function environmentWith(more: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...process.env, ...more };
}

/** Every setting with its value in force and where it comes from; secrets are not shown. */
export function reportSettings(env: NodeJS.ProcessEnv = process.env): SettingReport[] {
  const values = readSettings(env);
  return settingEntries().map(([name, setting]) => {
    const value = values[name];
    const shown = value === undefined ? '' : setting.secret ? '(set)' : (setting.show ?? String)(value);
    return {
      name,
      value: shown,
      source: isSet(setting, env[name]) ? 'environment' : 'default',
      meaning: setting.meaning,
    };
  });
}

function readSettings(env: NodeJS.ProcessEnv): Values {
  const values: Partial<Values> = {};
  for (const [name, setting] of settingEntries()) {
    const raw = isSet(setting, env[name]) ? env[name] : defaultOf(setting, values);
    if (raw === undefined) continue;
    const { error, value } = setting.schema.validate(raw, { errors: { label: false } });
    if (error)
      throw new ConfigError(
        `${name}: ${error.message}${setting.secret ? '' : `, not "${raw}"`} (${setting.meaning})`,
      );
    values[name] = value;
  }
  if (values.NODE_ENV === 'production' && values.DEMO) {
    throw new ConfigError(
      'DEMO: must be false with NODE_ENV=production; everybody knows the passwords of the demo',
    );
  }
  for (const [cert, key] of certificateSettings) refuseHalf(values, cert, key);
  if (values.SIGNING_SECRET_PREVIOUS !== undefined && values.SIGNING_SECRET === undefined)
    throw new ConfigError('SIGNING_SECRET_PREVIOUS: goes with SIGNING_SECRET, the one that follows it');
  return values as Values;
}

const certificateSettings = [
  ['AUTHZEN_REMOTE_CERT', 'AUTHZEN_REMOTE_KEY'],
  ['TLS_CERT', 'TLS_KEY'],
] as const;

function refuseHalf(values: Partial<Values>, cert: SettingName, key: SettingName): void {
  if ((values[cert] === undefined) !== (values[key] === undefined))
    throw new ConfigError(`${cert}: goes with ${key}; set both or none`);
}

function settingEntries(): [SettingName, Setting][] {
  return Object.entries(settings) as [SettingName, Setting][];
}

function isSet({ mayBeEmpty }: Setting, value: string | undefined): value is string {
  return value !== undefined && (value !== '' || mayBeEmpty === true);
}

function defaultOf(setting: Setting, values: Partial<Values>): unknown {
  return typeof setting.default === 'function' ? setting.default(values) : setting.default;
}

function toConfig(values: Values): Config {
  const v = values as Record<SettingName, never>;
  const config: Config = {
    env: v.NODE_ENV,
    host: v.HOST,
    port: v.PORT,
    publicUrl: v.PUBLIC_URL,
    tls: v.TLS_CERT && Object.freeze({ certFile: v.TLS_CERT, keyFile: v.TLS_KEY }),
    trustedProxies: v.TRUSTED_PROXIES,
    forwardAuth: v.FORWARD_AUTH,
    allowedOrigins: v.ALLOWED_ORIGINS,
    upstreamCaFile: v.UPSTREAM_CA,
    upstreamHosts: v.UPSTREAM_HOSTS,
    databaseUrl: v.DATABASE_URL,
    databasePoolMax: v.DATABASE_POOL_MAX,
    dataDir: v.DATA_DIR,
    redisUrl: v.REDIS_URL,
    redisCommandTimeoutMs: v.REDIS_COMMAND_TIMEOUT_MS,
    redisPrefix: v.REDIS_PREFIX,
    demo: v.DEMO,
    logLevel: v.LOG_LEVEL,
    registrationRoles: v.REGISTRATION_ROLES,
    sessionIdleSeconds: v.SESSION_IDLE_SECONDS,
    sessionAbsoluteSeconds: v.SESSION_ABSOLUTE_SECONDS,
    password: Object.freeze({
      memoryKib: v.PASSWORD_MEMORY_KIB,
      timeCost: v.PASSWORD_TIME_COST,
      parallelism: v.PASSWORD_PARALLELISM,
      hashConcurrency: v.PASSWORD_HASH_CONCURRENCY,
      hashQueue: v.PASSWORD_HASH_QUEUE,
    }),
    login: Object.freeze({
      windowSeconds: v.LOGIN_WINDOW_SECONDS,
      failuresPerAccountAndAddress: v.LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS,
      failuresPerAccount: v.LOGIN_FAILURES_PER_ACCOUNT,
      failuresPerAddress: v.LOGIN_FAILURES_PER_ADDRESS,
    }),
    bodyLimitBytes: v.BODY_LIMIT_BYTES,
    policyLimitBytes: v.POLICY_LIMIT_BYTES,
    requestTimeoutMs: v.REQUEST_TIMEOUT_MS,
    shutdownGraceMs: v.SHUTDOWN_GRACE_MS,
    policyPollMs: v.POLICY_POLL_MS,
    policyStaleSeconds: v.POLICY_STALE_SECONDS,
    minRevisionWaitMs: v.MIN_REVISION_WAIT_MS,
    signing: Object.freeze({
      secret: v.SIGNING_SECRET,
      previousSecret: v.SIGNING_SECRET_PREVIOUS,
      keyDays: v.SIGNING_KEY_DAYS,
    }),
    trustedIssuers: v.TRUSTED_ISSUERS,
    hideForbidden: v.HIDE_FORBIDDEN,
    authzenPublic: v.AUTHZEN_PUBLIC,
    evaluators: v.EVALUATORS,
    evaluatorTimeoutMs: v.EVALUATOR_TIMEOUT_MS,
    shadow: Object.freeze({
      concurrency: v.SHADOW_CONCURRENCY,
      queue: v.SHADOW_QUEUE,
      timeoutMs: v.SHADOW_TIMEOUT_MS,
    }),
    authzenRemote:
      v.AUTHZEN_REMOTE_URL &&
      Object.freeze({
        url: v.AUTHZEN_REMOTE_URL,
        authorization: v.AUTHZEN_REMOTE_AUTHORIZATION,
        timeoutMs: v.AUTHZEN_REMOTE_TIMEOUT_MS,
        rolesProperty: v.AUTHZEN_REMOTE_ROLES_PROPERTY,
        caFile: v.AUTHZEN_REMOTE_CA,
        certFile: v.AUTHZEN_REMOTE_CERT,
        keyFile: v.AUTHZEN_REMOTE_KEY,
      }),
    decisionLog: Object.freeze({
      mode: v.DECISION_LOG,
      sample: v.DECISION_LOG_SAMPLE,
      retentionDays: v.DECISION_LOG_RETENTION_DAYS,
      buffer: v.DECISION_LOG_BUFFER,
      flushMs: v.DECISION_LOG_FLUSH_MS,
    }),
  };
  return Object.freeze(config);
}
