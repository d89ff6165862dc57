/** One administrator's change of the policy: guarded, audited, published, and in force when it is answered. */
import type { Request, Response } from 'express';
import { recordAudit } from '../audit/record.ts';
import { refuseLockOut } from '../decision/lock-out.ts';
import { AppError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import { type Publication, publish } from '../policy/publish.ts';
import type { PolicyDiff } from '../policy/store.ts';
import type { Services } from '../services.ts';
import { principalFor } from '../sessions/authenticate.ts';
import { identityOf } from '../sessions/request-access.ts';
import type { Transaction } from '../storage/postgres.ts';
import { guardPublication } from './guard-escalation.ts';
import { refreshCaller } from './under-lock.ts';

export interface ChangeRequest {
  req: Request;
  res: Response;
  /** `<target type>.<verb>` for the audit trail. */
  action: string;
  target: { type: string; id: string };
  change(policy: Policy, trx: Transaction): Policy | Promise<Policy>;
  focus?: { collection: keyof Policy; name: string };
}

/** Publishes; the reply says the revision that is in force now. */
export async function publishChange(services: Services, request: ChangeRequest): Promise<Publication> {
  const { db, live, feed, decisions } = services;
  const { req, res, action, target, change, focus } = request;
  const actor = actorOf(req);
  const publication = await publish({
    db,
    live,
    author: { id: actor.id, name: actor.name },
    message: messageOf(req),
    change: async (policy, trx, before) => {
      await refreshCaller(services, req, trx, before);
      return change(policy, trx);
    },
    ...(focus && { focus }),
    guard: async (planned, trx) => {
      await guardPublication({ principal: principalFor(req, planned.before), decisions }, planned, trx);
      await refuseLockOut(trx, planned.before, planned.after);
    },
    record: (done, trx) =>
      recordAudit(trx, {
        actor,
        action,
        target,
        ...beforeAndAfter(done.diff),
        revision: done.after.revision,
      }),
  });
  if (publication.after !== publication.before)
    feed.announce([{ kind: 'policy', subject: String(publication.after.revision) }]);
  res.setHeader('Castellan-Revision', String(publication.after.revision));
  return publication;
}

/** Of a single part its two states; of several, what each was and is. */
function beforeAndAfter(diff: PolicyDiff): { before?: unknown; after?: unknown } {
  const parts = [diff.resourceTypes, diff.roles, diff.rules];
  const before = parts.flatMap(({ changed, removed }) => [
    ...changed.map((change) => change.before),
    ...removed,
  ]);
  const after = parts.flatMap(({ changed, added }) => [...changed.map((change) => change.after), ...added]);
  const single = (list: object[]) => (list.length > 1 ? list : list[0]);
  return { before: single(before), after: single(after) };
}

/** Who acts, for the audit trail and as author of revisions. */
export function actorOf(req: Request) {
  const account = identityOf(req)?.account;
  return {
    id: account?.id ?? null,
    name: account?.email ?? 'anonymous',
    address: req.ip ?? null,
    requestId: String(req.id ?? ''),
  };
}

/** The author's words, from the header `Castellan-Message`; percent-encoded where they are not ASCII. */
function messageOf(req: Request): string {
  const header = req.headers['castellan-message'];
  if (typeof header !== 'string') return '';
  // Postgres has no place for U+0000 in a text.
  return decoded(header).replaceAll('\0', '').slice(0, 500);
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

export function etagOf(version: number): string {
  return `"${version}"`;
}
