/** /admin/policy/revisions: every state the policy was in, to be read, compared and restored. */
import Joi from 'joi';
import { endpoint, type GuardedCall, type GuardedEndpoint } from '../enforcement/access.ts';
import { AppError, policyInvalid } from '../errors.ts';
import { decodeCursor, encodeCursor, type PageQuery, pageKeys } from '../http/page.ts';
import { withBuiltIns } from '../policy/built-in.ts';
import { describeDiff, diffPolicies } from '../policy/diff.ts';
import { RevisionRow } from '../policy/models.ts';
import type { Policy } from '../policy/policy.ts';
import { readDocument, toDocument } from '../policy/policy-document.ts';
import { LONGEST_MESSAGE, readRevision, readRevisionDiff } from '../policy/revisions.ts';
import type { Services } from '../services.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { giverOf } from './giver.ts';
import { requirePartActions } from './guard-parts.ts';
import { presentChange } from './import-policy.ts';
import { changeQuery, publishChange, requireVersion } from './publish-change.ts';

const path = '/api/v1/admin/policy/revisions';
const number = Joi.number().integer().min(1).max(2_147_483_647);
const params = Joi.object({ n: number.required() });
const policy = { resource: 'castellan.policy', load: () => ({}) };

export const revisionShape = Joi.object({
  number,
  createdAt: Joi.date().iso(),
  author: Joi.object({ id: Joi.string().allow(null), name: Joi.string() }),
  message: Joi.string().allow(''),
  digest: Joi.string(),
  changes: Joi.object({ added: Joi.number(), changed: Joi.number(), removed: Joi.number() }),
});

export const changeShape = Joi.object({
  revision: Joi.number().integer(),
  dryRun: Joi.boolean(),
  changes: revisionShape.extract('changes'),
  summary: Joi.array().items(Joi.string()),
  entities: Joi.object({ added: Joi.number(), changed: Joi.number(), removed: Joi.number() }),
  brokenCases: Joi.array().items(Joi.object().unknown(true)),
});

const diffShape = Joi.object({
  from: Joi.number().integer(),
  to: Joi.number().integer(),
  diff: Joi.object().unknown(true),
  summary: Joi.array().items(Joi.string()),
});

export function revisionEndpoints(services: Services): GuardedEndpoint[] {
  const { db } = services;
  return [
    endpoint<undefined, PageQuery>({
      method: 'get',
      path,
      summary: 'List revisions, the newest first',
      access: { action: 'read', ...policy },
      query: Joi.object(pageKeys),
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(revisionShape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async ({ query }) => ({ status: 200, body: await listRevisions(db, query) }),
    }),
    endpoint({
      method: 'get',
      path: `${path}/:n`,
      summary: 'Read a revision: what it changed, and the whole policy',
      params,
      access: { action: 'read', ...policy },
      reply: {
        status: 200,
        description: 'The revision',
        shape: revisionShape.keys({
          diff: Joi.object().unknown(true),
          summary: Joi.array().items(Joi.string()),
          policy: Joi.object().unknown(true),
        }),
      },
      handle: async ({ params: { n } }) => ({ status: 200, body: await showRevision(db, Number(n)) }),
    }),
    endpoint<undefined, { against?: number }>({
      method: 'get',
      path: `${path}/:n/diff`,
      summary: 'What a revision is beside another one; left out: the one before',
      params,
      query: Joi.object({ against: Joi.number().integer().min(0).max(2_147_483_647) }),
      access: { action: 'read', ...policy },
      reply: { status: 200, description: 'The difference', shape: diffShape },
      handle: async ({ params: { n }, query: { against = Number(n) - 1 } }) => {
        const to = await policyAt(db, Number(n));
        const from = await policyAt(db, against);
        const diff = diffPolicies(from, to);
        return { status: 200, body: { from: against, to: Number(n), diff, summary: describeDiff(diff) } };
      },
    }),
    endpoint<{ message?: string }>({
      method: 'post',
      path: `${path}/:n/restore`,
      summary: 'Make the policy what it was at a revision: a new revision, with the same guards',
      params,
      query: changeQuery,
      body: Joi.object({ message: Joi.string().allow('').max(LONGEST_MESSAGE) }),
      access: { action: 'update', ...policy },
      reply: { status: 200, description: 'The revision that is in force now', shape: changeShape },
      errors: [
        'policy_invalid',
        'privilege_escalation',
        'policy_locks_out',
        'cases_broken',
        'role_in_use',
        'resource_type_in_use',
        'stale_version',
      ],
      handle: (call) => restore(services, call),
    }),
  ];
}

/** A page of revisions, the newest first. */
export async function listRevisions(db: Database, { limit, cursor }: PageQuery) {
  const query = RevisionRow.query(db)
    .orderBy('number', 'desc')
    .limit(limit + 1);
  query.select('number', 'createdAt', 'authorId', 'author', 'message', 'digest', 'changes');
  if (cursor !== undefined) {
    const [place = ''] = decodeCursor(cursor, 1);
    query.where('number', '<', Number.parseInt(place, 10) || 0);
  }
  const rows = await query;
  const items = rows.slice(0, limit).map(present);
  const last = items.at(-1);
  return { items, nextCursor: rows.length > limit && last ? encodeCursor([String(last.number)]) : null };
}

function present(row: RevisionRow) {
  const { number: n, createdAt, authorId, author, message, digest, changes } = row;
  return { number: n, createdAt, author: { id: authorId, name: author }, message, digest, changes };
}

async function showRevision(db: Database, n: number) {
  const row = await RevisionRow.query(db).findById(n);
  if (!row) throw new AppError('not_found', { message: `there is no revision ${n}` });
  const diff = await readRevisionDiff(db, row);
  return { ...present(row), diff, summary: describeDiff(diff), policy: toDocument(await policyAt(db, n)) };
}

/** The policy at a revision; at 0 there was none. Throws `not_found`. */
async function policyAt(db: Database | Transaction, n: number): Promise<Policy> {
  const policyThen = await readRevision(db, n);
  if (!policyThen) throw new AppError('not_found', { message: `there is no revision ${n}` });
  return policyThen;
}

/**
 * The policy at a revision; what was accepted by an older version may be shaped otherwise now, and know fewer built-in
 * types: it is given those. Throws `not_found`, `policy_invalid`.
 */
export async function policyToRestore(trx: Transaction, n: number): Promise<Policy> {
  const { policy: then, problems } = readDocument(toDocument(await policyAt(trx, n)));
  if (problems.length > 0) throw policyInvalid(problems);
  return withBuiltIns(then);
}

async function restore(services: Services, { req, res, params: { n }, body }: GuardedCall<unknown>) {
  const publication = await publishChange(services, {
    req,
    res,
    body,
    action: 'policy.restore',
    target: { type: 'castellan.policy', id: String(n) },
    change: (_, trx, { revision }) => {
      requireVersion(req, revision);
      return policyToRestore(trx, Number(n));
    },
    guard: (planned) => requirePartActions(giverOf(services, req, planned.before), planned),
  });
  return { status: 200, body: presentChange(publication, false) };
}
