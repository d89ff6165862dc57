/** One administrator's change of the policy: guarded, proven by its cases, audited, published, in force when it is answered. */
import type { Request, Response } from 'express';
import Joi from 'joi';
import { recordAudit } from '../audit/record.ts';
import { redactText } from '../audit/redact.ts';
import { refuseLockOut } from '../decision/lock-out.ts';
import type { CaseResult } from '../decision/run-cases.ts';
import { AppError, invalidField } from '../errors.ts';
import { API_KEY_TYPE } from '../policy/built-in.ts';
import { countDiff, type PolicyDiff } from '../policy/diff.ts';
import { referenceTo } from '../policy/entity.ts';
import { collections, type Policy } from '../policy/policy.ts';
import { type Locate, type Publication, type PublishOptions, publish } from '../policy/publish.ts';
import { LONGEST_MESSAGE } from '../policy/revisions.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import { accessOf, callerIdOf, type Identity, identityOf } from '../sessions/request-access.ts';
import type { Transaction } from '../storage/postgres.ts';
import { casesBrokenBy } from './broken-cases.ts';
import { giverOf } from './giver.ts';
import { guardPublication } from './guard-escalation.ts';
import { guardIdentities } from './guard-identities.ts';
import { refreshCaller } from './under-lock.ts';

/** What every change of the policy may be asked with. */
export const changeQuery = Joi.object({
  force: Joi.boolean().description('publish although cases break, for those who may override them'),
});

export interface ChangeRequest {
  req: Request;
  res: Response;
  /** As it was sent: it may hold the author's `message`. */
  body?: unknown;
  /** `<target type>.<verb>` for the audit trail. */
  action: string;
  target: { type: string; id: string };
  change(policy: Policy, trx: Transaction, before: Snapshot): Policy | Promise<Policy>;
  locate?: Locate;
  /** What else must hold of it before it is written; throws to refuse. */
  guard?(publication: Publication): Promise<void>;
  /** As in `publish`. */
  alongside?: PublishOptions['alongside'];
  dryRun?: boolean;
}

/** A publication, and the cases that it breaks although it was forced. */
export interface ProvenPublication extends Publication {
  broken: CaseResult[];
}

/**
 * Publishes; the reply says the revision that is in force now. Throws `cases_broken` unless it is forced by `?force=true`
 * of somebody who may `override`, `privilege_escalation`, `policy_locks_out`, and what `publish` throws.
 */
export async function publishChange(services: Services, request: ChangeRequest): Promise<ProvenPublication> {
  const { db, live, feed } = services;
  const { req, res, action, target, change, locate, guard, alongside, dryRun = false } = request;
  const actor = actorOf(req);
  let broken: CaseResult[] = [];
  const publication = await publish({
    db,
    live,
    author: { id: actor.id, name: actor.name },
    message: messageOf(request),
    change: async (policy, trx, before) => {
      await refreshCaller(services, req, trx, before);
      return change(policy, trx, before);
    },
    ...(locate && { locate }),
    ...(alongside && { alongside }),
    dryRun,
    guard: async (planned, trx) => {
      const giver = giverOf(services, req, planned.before);
      await guardPublication(giver, planned, trx);
      await guardIdentities(giver, planned);
      await refuseLockOut(trx, planned);
      await guard?.(planned);
      broken = await casesBrokenBy(services, planned);
      if (broken.length > 0 && !dryRun) await requireOverride(services, request, broken);
    },
    record: (done, trx) =>
      recordAudit(trx, {
        actor,
        action,
        target,
        ...beforeAndAfter(done, broken),
        revision: done.after.revision,
      }),
  });
  const inForce = dryRun ? publication.before : publication.after;
  if (publication.after !== publication.before && !dryRun)
    feed.announce([{ kind: 'policy', subject: String(publication.after.revision) }]);
  res.setHeader('Castellan-Revision', String(inForce.revision));
  return { ...publication, broken };
}

const MOST_TOLD = 100;

/** Breaking cases needs to be asked for, and an action of its own. */
async function requireOverride(
  { gatekeeper }: Services,
  { req, res }: ChangeRequest,
  broken: readonly CaseResult[],
): Promise<void> {
  if (req.query['force'] !== 'true') {
    const cases = broken.slice(0, MOST_TOLD);
    throw new AppError('cases_broken', {
      message: `${broken.length === 1 ? '1 case' : `${broken.length} cases`} would no longer hold: ${cases
        .slice(0, 5)
        .map(({ id }) => id)
        .join(', ')}`,
      members: { cases },
    });
  }
  await gatekeeper.requireAllowed(req, res, { action: 'override', resource: 'castellan.policy' }, {});
}

/** Of so many parts the audit trail tells each; of more, how many, and the revision has them all. */
const MOST_AUDITED = 20;

/** Of a single part its two states; of several, what each was and is. */
export function beforeAndAfter(
  { before, after, diff }: Publication,
  broken: readonly CaseResult[],
): { before?: unknown; after?: unknown } {
  const forced = broken.length > 0 && {
    forced: { brokenCases: broken.map(({ id }) => id).slice(0, MOST_TOLD) },
  };
  const { added, changed, removed } = countDiff(diff);
  if (added + changed + removed > MOST_AUDITED)
    return {
      before: { revision: before.revision, digest: before.digest },
      after: { revision: after.revision, digest: after.digest, added, changed, removed, ...forced },
    };
  const states = partsOf(diff);
  const single = (list: object[]) => (list.length > 1 ? list : list[0]);
  const told = single(states.after);
  return {
    before: single(states.before),
    after: forced ? { ...(told && { changed: told }), ...forced } : told,
  };
}

function partsOf(diff: PolicyDiff): { before: object[]; after: object[] } {
  const parts = collections.map((collection) => diff[collection]);
  return {
    before: parts.flatMap(({ changed, removed }) => [...changed.map((change) => change.before), ...removed]),
    after: parts.flatMap(({ changed, added }) => [...changed.map((change) => change.after), ...added]),
  };
}

function actorName(identity: Identity | undefined): string {
  if (!identity) return 'anonymous';
  if (identity.account) return identity.account.email;
  // A key may be called like anything, also like somebody's e-mail; and so may whoever is from elsewhere.
  if (identity.apiKey) return `${API_KEY_TYPE}:${identity.apiKey.name}`;
  const { issuer, subject } = identity.found.token;
  return referenceTo({ type: issuer.principalType, id: subject });
}

/** Who acts, for the audit trail and as author of revisions. */
export function actorOf(req: Request) {
  const identity = identityOf(req);
  return {
    id: callerIdOf(req) ?? identity?.found?.token.subject ?? null,
    name: actorName(identity),
    address: accessOf(req).address ?? null,
    requestId: String(req.id ?? ''),
  };
}

/**
 * The author's words, from the header `Castellan-Message` (percent-encoded where not ASCII) or `message` of the body.
 * Throws `invalid_request` when they are too long.
 */
function messageOf({ req, body }: ChangeRequest): string {
  const header = req.headers['castellan-message'];
  const inHeader = typeof header === 'string';
  const given = inHeader ? decoded(header) : messageInBody(body);
  if (given.length > LONGEST_MESSAGE) {
    const pointer = inHeader ? '/headers/Castellan-Message' : '/message';
    throw invalidField(pointer, `must be at most ${LONGEST_MESSAGE} characters`);
  }
  // Postgres has no place for U+0000 in a text.
  return redactText(given.replaceAll('\0', ''));
}

function messageInBody(body: unknown): string {
  const message = typeof body === 'object' && body !== null && 'message' in body ? body.message : undefined;
  return typeof message === 'string' ? message : '';
}

function decoded(header: string): string {
  try {
    return decodeURIComponent(header);
  } catch {
    return header;
  }
}

/** Throws `stale_version` unless `If-Match` is absent, `*`, or names the version (RFC 9110 section 13.1.1). */
export function requireVersion(req: Request, version: number): void {
  const header = req.headers['if-match'];
  if (header === undefined || header.trim() === '*') return;
  const tags = header.split(',').map((tag) => tag.trim());
  if (!tags.includes(etagOf(version)))
    throw new AppError('stale_version', { message: `it is at version ${version} now; read it again` });
}

/** The same where the version is still to be read: only if it is asked for. Throws `not_found`, too. */
export async function requireVersionOf(
  req: Request,
  read: () => PromiseLike<{ version: number } | undefined>,
): Promise<void> {
  if (req.headers['if-match'] === undefined) return;
  const row = await read();
  if (!row) throw new AppError('not_found');
  requireVersion(req, row.version);
}

export function etagOf(version: number): string {
  return `"${version}"`;
}
