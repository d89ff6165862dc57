/** The composition root: every long-lived thing, built once, closed in the opposite order. */
import { rootCertificates } from 'node:tls';
import type { Request } from 'express';
import type { Logger } from 'pino';
import { passwordHasher } from './accounts/password.ts';
import { Burst } from './audit/burst.ts';
import { DecisionLog } from './audit/decision-log.ts';
import { keepDecisionPartitions } from './audit/decision-partitions.ts';
import { DisagreementLog } from './audit/disagreement-log.ts';
import { readAuthorities } from './config/pem-files.ts';
import type { Config } from './config.ts';
import { abilityCache } from './decision/ability-cache.ts';
import { type DecisionRecord, decisionPoint } from './decision/decide.ts';
import { LiveEntities } from './decision/live-entities.ts';
import { shadows } from './decision/shadow.ts';
import { sourcesOf } from './demo/endpoints.ts';
import { checkSources } from './enforcement/check-sources.ts';
import { gatekeeper } from './enforcement/gatekeeper.ts';
import { routeLimits } from './enforcement/gateway/limits.ts';
import { makeReach } from './enforcement/gateway/reach.ts';
import { makeTargets } from './enforcement/gateway/targets.ts';
import { Upgrades } from './enforcement/gateway/upgrades.ts';
import { makeWire } from './enforcement/gateway/wire.ts';
import { guard } from './enforcement/guard.ts';
import { requireAccessWith } from './enforcement/require-access.ts';
import { tableCheck } from './enforcement/table-check.ts';
import { REMOTE } from './evaluators/authzen-remote.ts';
import { decisionsAt } from './evaluators/decisions-at.ts';
import { makeEvaluators, namesWith } from './evaluators/index.ts';
import { openEvaluators } from './evaluators/open.ts';
import type { CallOutcome, RemotePoint } from './evaluators/remote/decision-point.ts';
import { openRemote } from './evaluators/remote/open.ts';
import { jsonBodyReader } from './http/json-body.ts';
import { type Metrics, makeMetrics } from './http/metrics.ts';
import type { Check } from './http/operations.ts';
import { publicUrlOf } from './http/public-url.ts';
import { type Change, ChangeFeed } from './policy/change-feed.ts';
import type { CompileOptions } from './policy/compile.ts';
import { LivePolicy } from './policy/live-policy.ts';
import { pastSnapshots } from './policy/past-snapshots.ts';
import { targetsOf } from './policy/routes/compile-route.ts';
import type { Snapshot } from './policy/snapshot.ts';
import { LiveIssuers } from './sessions/issuers/live-issuers.ts';
import { LiveApiKeys } from './sessions/live-api-keys.ts';
import { LiveSessions } from './sessions/live-sessions.ts';
import { keepRemovingOldSessions } from './sessions/remove-old.ts';
import { openKeys, type SigningSettings } from './signing/open-keys.ts';
import { makeSigner } from './signing/sign.ts';
import { memoryCache } from './storage/memory-cache.ts';
import type { Storage } from './storage/open-storage.ts';
import { type Database, openPool } from './storage/postgres.ts';
import { redisCache } from './storage/redis-cache.ts';
import type { SharedCache } from './storage/shared-cache.ts';

export type Services = Awaited<ReturnType<typeof makeServices>>;

/** Builds everything on an open storage; the policy is loaded and the feed is open when it resolves. */
export async function makeServices(config: Config, storage: Storage, logger: Logger) {
  const { db } = storage;
  if (config.authzenPublic)
    logger.warn(
      'AUTHZEN_PUBLIC is set: whoever reaches this address may ask for every decision, unidentified',
    );
  const metrics = makeMetrics();
  const shared = openSharedCache(config, logger, metrics);
  const sessions = new LiveSessions({ db, idleSeconds: config.sessionIdleSeconds });
  const apiKeys = new LiveApiKeys({ db });
  const entities = new LiveEntities({ db });
  const sources = sourcesOf(config);
  await checkSources(db, sources);
  const onRemoteCall = (outcome: CallOutcome) => metrics.remoteCalls.inc({ outcome });
  const more = await openEvaluators(config, onRemoteCall);
  const evaluatorNames = namesWith(more);
  const reach = makeReach(config.upstreamHosts);
  const upgrades = new Upgrades();
  const ca = authoritiesOf(config);
  const targets = makeTargets(reach, ca, (origin, isUp) =>
    logger.warn({ target: origin, isUp }, isUp ? 'an upstream answers again' : 'an upstream does not answer'),
  );
  const live = makeLivePolicy(
    config,
    db,
    { evaluators: evaluatorNames, tables: tableCheck(sources), refusalOf: reach.refusalOf },
    logger,
    metrics,
    (snapshot) => {
      targets.watch(snapshot);
      upgrades.adopt(snapshot);
    },
  );
  const abilityOf = abilityCache({ shared, onLookup: (tier) => metrics.abilityLookups.add(tier) });
  const decisionLog = openDecisionLog(config, storage, logger, metrics);
  const evaluators = makeEvaluators({ abilityOf, ...more });
  const disagreements = openDisagreementLog(config, db, logger);
  // With connections and a circuit of its own: what is only watched must not keep what decides from being asked.
  const shadowRemote = openRemote(config, onRemoteCall);
  const shadow = shadows({
    evaluators: makeEvaluators({ abilityOf, ...more, remote: shadowRemote }),
    ...config.shadow,
    onOutcome: (evaluator, outcome) => metrics.shadowDecisions.inc({ evaluator, outcome }),
    onDisagreement: (disagreement) => disagreements.note(disagreement),
  });
  const tellOfDoubt = doubtTeller(logger);
  const decisions = decisionPoint({
    evaluators,
    record: (entry) => {
      measure(entry, metrics, tellOfDoubt);
      const id = decisionLog.note(entry);
      shadow.note(entry, id);
      return id;
    },
  });
  const issuers = new LiveIssuers({
    issuers: config.trustedIssuers,
    db,
    entities,
    isInTable: (type) => sources.has(type),
    onTrouble: (issuer, cause) =>
      logger.warn({ err: cause, issuer }, 'the keys of an issuer cannot be had; its tokens are nobody'),
  });
  const gate = gatekeeper({
    live,
    issuers,
    decisions,
    minRevisionWaitMs: config.minRevisionWaitMs,
    hideForbidden: config.hideForbidden,
  });
  const feed = new ChangeFeed({
    db,
    databaseUrl: storage.databaseUrl,
    shared,
    pollMs: config.policyPollMs,
    onChange: (change) => {
      applyChange(change, { live, sessions, apiKeys, entities });
      if (change.kind !== 'policy') void upgrades.look();
    },
    onGap: () => {
      sessions.forgetAll();
      apiKeys.forgetAll();
      entities.forgetAll();
      void upgrades.look();
      void live.refresh();
    },
    onConfirmed: (revision, atMs) => void live.confirm(revision, atMs),
    onTrouble: (what, cause) => logger.warn({ err: cause }, `change feed: ${what} failed, the poll goes on`),
  });
  const [signingKeys] = await Promise.all([openKeys(db, signingSettings(config), logger), live.load()]);
  await feed.open();
  const oldSessions = keepRemovingOldSessions(db, (cause) =>
    logger.warn({ err: cause }, 'old sessions could not be removed; tried again in an hour'),
  );
  const decisionPartitions = await keepDecisionPartitions({
    db,
    keptDays: config.decisionLog.retentionDays,
    isWritten: config.decisionLog.mode !== 'off',
    onTrouble: (cause) =>
      logger.warn({ err: cause }, 'the days of the decision log could not be kept; tried again in an hour'),
  });
  const signer = makeSigner({ keys: signingKeys, issuer: publicUrlOf(config, config.port) });
  const wire = makeWire(reach, ca);
  const readBody = jsonBodyReader(config.bodyLimitBytes);
  const isSecure = (req: Request) => req.secure || (config.publicUrl?.startsWith('https:') ?? false);
  return {
    config,
    db,
    logger,
    metrics,
    shared,
    live,
    feed,
    sessions,
    apiKeys,
    issuers,
    entities,
    passwords: passwordHasher(config.password),
    abilityOf,
    decisions,
    /** Decisions as they would be at an instant, recorded nowhere. */
    decisionsAt: (atMs: number) => decisionsAt(atMs, more),
    decisionLog,
    disagreements,
    signingKeys,
    signer,
    gatekeeper: gate,
    gateway: {
      db,
      sources,
      entities,
      gatekeeper: gate,
      signer,
      wire,
      targets,
      limits: routeLimits(shared),
      readBody,
      isSecure,
    },
    requireAccess: requireAccessWith(gate, abilityOf),
    allowedOrigins: [
      ...config.allowedOrigins,
      ...(config.publicUrl ? [new URL(config.publicUrl).origin] : []),
    ],
    /** Whether the person reached the gateway over TLS, here or at the proxy before it. */
    isSecure,
    mounting: {
      guard: guard({ live, gatekeeper: gate }),
      readBody,
    },
    upgrades,
    evaluatorNames,
    snapshotAt: pastSnapshots({ db, live, evaluators: evaluatorNames }),
    sources,
    checks: healthChecks(config, { db, live, feed, shared, issuers, remote: more.remote }),
    refreshGauges: () => {
      metrics.revision.set(live.health().revision);
      metrics.feedLagSeconds.set(feed.health().polledMsAgo / 1000);
      metrics.listening.set(feed.health().listening ? 1 : 0);
      metrics.redisUp.set(shared.isUp() ? 1 : 0);
      metrics.issuersFailing.set(issuers.failing);
      metrics.decisionLogWaiting.set(decisionLog.waiting);
    },
    close: async () => {
      oldSessions.stop();
      decisionPartitions.stop();
      upgrades.close();
      targets.close();
      wire.close();
      await signingKeys.close();
      await decisionLog.close();
      await disagreements.close();
      more.remote?.close();
      shadowRemote?.close();
      await feed.close();
      await shared.close();
    },
  };
}

/** Whom upstreams are trusted by: a file replaces those that Node.js knows unless it is beside them. */
function authoritiesOf({ upstreamCaFile: file }: Config): (string | Buffer)[] | undefined {
  return file === undefined
    ? undefined
    : [...rootCertificates, readAuthorities({ setting: 'UPSTREAM_CA', file })];
}

/** What signing needs to know of the settings; a command asks the same. */
export function signingSettings({ signing, dataDir, databaseUrl }: Config): SigningSettings {
  return { ...signing, dataDir, isShared: databaseUrl !== undefined };
}

function openSharedCache(config: Config, logger: Logger, metrics: Metrics): SharedCache {
  if (!config.redisUrl) return memoryCache();
  metrics.registry.registerMetric(metrics.redisUp);
  return redisCache({
    url: config.redisUrl,
    commandTimeoutMs: config.redisCommandTimeoutMs,
    prefix: config.redisPrefix,
    onStatus: (up, cause) =>
      up
        ? logger.info('Redis answers')
        : logger.warn({ err: cause }, 'Redis does not answer; going on from Postgres'),
  });
}

/** On a connection of its own: no request waits for one that the log uses. */
function openDecisionLog(
  { decisionLog: { mode, sample, buffer, flushMs } }: Config,
  { databaseUrl }: Storage,
  logger: Logger,
  metrics: Metrics,
): DecisionLog {
  return new DecisionLog({
    db: openPool({ url: databaseUrl, poolMax: 1, applicationName: 'castellan decision log' }),
    mode,
    sample,
    buffer,
    flushMs,
    onWritten: (count) => metrics.decisionLogWritten.inc(count),
    onDropped: (count) => metrics.decisionLogDropped.inc(count),
    onTrouble: (cause) =>
      logger.warn(
        { err: cause },
        'the decision log cannot be written; decisions wait, the oldest are dropped',
      ),
  });
}

function openDisagreementLog({ decisionLog }: Config, db: Database, logger: Logger): DisagreementLog {
  return new DisagreementLog({
    db,
    keptDays: decisionLog.retentionDays,
    onKept: (disagreement) => logger.warn({ disagreement }, 'the shadow disagrees'),
    onTrouble: (cause) => logger.warn({ err: cause }, 'disagreements of shadows cannot be kept'),
  });
}

function makeLivePolicy(
  config: Config,
  db: Database,
  checks: Pick<CompileOptions, 'evaluators' | 'tables' | 'refusalOf'>,
  logger: Logger,
  metrics: Metrics,
  onAdopted: (snapshot: Snapshot) => void,
): LivePolicy {
  return new LivePolicy({
    db,
    ...checks,
    staleAfterMs: config.policyStaleSeconds * 1000,
    onAdopted: (snapshot) => {
      const { revision, policy } = snapshot;
      logger.info({ revision, rules: policy.rules.length }, 'policy in force');
      onAdopted(snapshot);
      const unanswered = unansweredIn(config, snapshot);
      if (unanswered) logger.warn(unanswered);
      for (const line of [...unnamedIn(config, snapshot), ...refusedIn(checks, snapshot)]) logger.warn(line);
    },
    onFailure: (revision, cause) => {
      metrics.policyFailures.inc();
      logger.error({ revision, err: cause }, 'this revision cannot be put in force; the one before stays');
    },
  });
}

interface Remembered {
  live: LivePolicy;
  sessions: LiveSessions;
  apiKeys: LiveApiKeys;
  entities: LiveEntities;
}

function applyChange(change: Change, { live, sessions, apiKeys, entities }: Remembered): void {
  if (change.kind === 'principal') {
    // An account or an API key: ids are random, so no two are one.
    sessions.forgetAccount(change.subject);
    apiKeys.forget(change.subject);
  } else if (change.kind === 'session') sessions.forgetSession(change.subject);
  else if (change.kind === 'entity') entities.forgetAll();
  else live.hear(Number(change.subject));
}

function measure(
  record: DecisionRecord,
  metrics: Metrics,
  tellOfDoubt: (record: DecisionRecord) => void,
): void {
  const { decision, evaluator, durationMs, doubt } = record;
  metrics.decisions.add(doubt ? 'doubt' : decision.allow ? 'allow' : 'deny', evaluator);
  if (durationMs !== undefined) metrics.decisionSeconds.observe({ evaluator }, durationMs / 1000);
  if (doubt) tellOfDoubt(record);
}

/** All are counted; of those of one resource type a log holds so many at most, since each of its requests may be one. */
function doubtTeller(logger: Logger): (record: DecisionRecord) => void {
  const burst = new Burst();
  return ({ request, doubt }) => {
    if (burst.take(request.resource.type))
      logger.warn(
        { err: doubt, action: request.action.name, resource: request.resource.type },
        'denied in doubt',
      );
  };
}

/** What nobody decides about on this node, in words; nodes may differ, so that a policy may say it all the same. */
function unansweredIn({ authzenRemote }: Config, { policy }: Snapshot): string | undefined {
  const types = policy.resourceTypes.filter(({ evaluator }) => evaluator === REMOTE).map(({ type }) => type);
  if (authzenRemote || types.length === 0) return undefined;
  return `AUTHZEN_REMOTE_URL is not set, so everything about ${types.join(', ')} is denied on this node`;
}

/** Whose tokens are nobody on this node, in words: the policy has no type for their subjects. */
function unnamedIn({ trustedIssuers }: Config, { types }: Snapshot): string[] {
  return trustedIssuers
    .filter(({ principalType }) => !types.has(principalType))
    .map(
      ({ issuer, principalType }) =>
        `${principalType} is no resource type of the policy, so the tokens of ${issuer} are nobody on this node`,
    );
}

/** Routes that were written under another setting and lead nowhere on this node, in words. */
function refusedIn({ refusalOf }: Pick<CompileOptions, 'refusalOf'>, { policy }: Snapshot): string[] {
  return policy.routes.flatMap((route) =>
    targetsOf(route).flatMap(({ target }) => {
      const refusal = refusalOf?.(target);
      return refusal === undefined
        ? []
        : [`nothing is sent to ${target.origin} by the route ${route.id}: ${refusal}`];
    }),
  );
}

interface Checked {
  db: Database;
  live: LivePolicy;
  feed: ChangeFeed;
  shared: SharedCache;
  issuers: LiveIssuers;
  remote: RemotePoint | undefined;
}

function healthChecks(config: Config, { db, live, feed, shared, issuers, remote }: Checked): Check[] {
  return [
    { name: 'postgres', check: async () => ({ ok: Boolean(await db.raw('SELECT 1').timeout(2000)) }) },
    {
      name: 'policy',
      check: () => {
        const { revision, stale, failure, confirmedMsAgo } = live.health();
        const wrong =
          failure && `revision ${failure.revision} does not compile here: ${failure.problems[0]?.message}`;
        return {
          ok: !stale,
          detail:
            wrong ??
            (stale
              ? `not confirmed for ${Math.round(confirmedMsAgo / 1000)} s`
              : (unansweredIn(config, live.snapshot) ?? `revision ${revision}`)),
        };
      },
    },
    {
      name: 'feed',
      check: () => ({ ok: true, detail: feed.health().listening ? 'listening' : 'not listening; polling' }),
    },
    ...(remote
      ? [
          {
            name: 'authzen-remote',
            check: () => ({
              ok: true,
              detail: remote.state === 'closed' ? 'asked' : 'failing; what it decides is denied',
            }),
          },
        ]
      : []),
    ...(issuers.isEmpty
      ? []
      : [
          {
            name: 'issuers',
            check: () => ({ ok: true, detail: issuers.state(live.snapshot) }),
          },
        ]),
    ...(config.redisUrl
      ? [
          {
            name: 'redis',
            check: () => ({ ok: true, detail: shared.isUp() ? 'answers' : 'down; going on from Postgres' }),
          },
        ]
      : []),
  ];
}
