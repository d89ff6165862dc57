/** A policy document put in force: merged into the policy or in place of it; one revision or none. */
import Joi from 'joi';
import type { GuardedCall } from '../enforcement/access.ts';
import { AppError, invalidField, type Problem, policyInvalid } from '../errors.ts';
import { countDiff, describeDiff } from '../policy/diff.ts';
import type { EntityDiff } from '../policy/entity-store.ts';
import { mergeAll } from '../policy/files.ts';
import { collections, emptyPolicy, nameOf, type Policy } from '../policy/policy.ts';
import { readDocument } from '../policy/policy-document.ts';
import { locateInDocument } from '../policy/publish.ts';
import type { GivenEntity } from '../policy/put-entities.ts';
import type { Services } from '../services.ts';
import { auditEntities, countEntities, ENTITIES_CHANGED } from './change-entity.ts';
import { giverOf } from './giver.ts';
import { requirePartActions } from './guard-parts.ts';
import { putForCaller } from './import-entities.ts';
import {
  actorOf,
  changeQuery,
  type ProvenPublication,
  publishChange,
  requireVersion,
} from './publish-change.ts';

export interface ImportQuery {
  mode: 'merge' | 'replace';
  dryRun: boolean;
}

export const importQuery = changeQuery.keys({
  mode: Joi.string()
    .valid('merge', 'replace')
    .default('merge')
    .description(
      'merge: parts of the same name are replaced, the others stay; replace: what is not named goes',
    ),
  dryRun: Joi.boolean().default(false).description('every check, nothing stays written'),
});

/** What a draft says: parts to add or to replace, and names of parts to take away. */
export interface Draft {
  policy: Policy;
  /** What comes with it; these are put beside those that are there, in every mode. */
  entities: GivenEntity[];
  remove: Partial<Record<keyof Policy, string[]>>;
}

const removal = Joi.object(
  Object.fromEntries(collections.map((collection) => [collection, Joi.array().items(Joi.string()).unique()])),
);

/** The draft in a body. Throws `policy_invalid` with every problem, pointers into the body. */
export function readDraft(body: unknown): Draft {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new AppError('invalid_request', { message: 'the body must be a policy document' });
  const { message = '', remove: given = {}, ...document } = body as Record<string, unknown>;
  if (typeof message !== 'string') throw invalidField('/message', 'must be a string: why, for the history');
  const { policy, entities, problems } = readDocument(document);
  const { error, value: remove } = removal.validate(given, { abortEarly: false, errors: { label: false } });
  const misnamed = (error?.details ?? []).map(
    ({ path, message }): Problem => ({ pointer: ['/remove', ...path].join('/'), code: 'shape', message }),
  );
  if (problems.length + misnamed.length > 0) throw policyInvalid([...problems, ...misnamed]);
  return { policy, entities, remove };
}

/** The policy that a draft makes of the one in force. Throws `invalid_request` for a removal of what is not there. */
export function applyDraft(
  current: Policy,
  { policy, remove }: Omit<Draft, 'entities'>,
  mode: ImportQuery['mode'],
): Policy {
  const base = mode === 'merge' ? current : emptyPolicy();
  const merged = mergeAll([base, policy]);
  for (const collection of collections) {
    const names = new Set(remove[collection] ?? []);
    if (names.size === 0) continue;
    const there = new Set(merged[collection].map((part) => nameOf(collection, part)));
    const missing = [...names].find((name) => !there.has(name));
    if (missing !== undefined) throw invalidField(`/remove/${collection}`, `${missing} is not there`);
    Object.assign(merged, {
      [collection]: merged[collection].filter((part) => !names.has(nameOf(collection, part))),
    });
  }
  return merged;
}

/** `POST /policy/import` */
export async function importPolicy(services: Services, call: GuardedCall<unknown, ImportQuery>) {
  const { req, res, body, query } = call;
  const draft = readDraft(body);
  let entities: EntityDiff | undefined;
  const publication = await publishChange(services, {
    req,
    res,
    body,
    action: 'policy.import',
    target: { type: 'castellan.policy', id: query.mode },
    change: (policy, _trx, { revision }) => {
      requireVersion(req, revision);
      return applyDraft(policy, draft, query.mode);
    },
    locate: locateInDocument(draft.policy),
    guard: (planned) => requirePartActions(giverOf(services, req, planned.before), planned),
    alongside: async (snapshot, trx) => {
      if (draft.entities.length === 0) return;
      entities = await putForCaller(services, req, { trx, snapshot, given: draft.entities, mode: 'merge' });
      if (!query.dryRun) await auditEntities(trx, actorOf(req), entities, { verb: 'import', id: 'merge' });
    },
    dryRun: query.dryRun,
  });
  if (entities && !query.dryRun) services.feed.announce([ENTITIES_CHANGED]);
  return { status: 200, body: presentChange(publication, query.dryRun, entities) };
}

/** What a change did, or would do. */
export function presentChange(
  { before, after, diff, broken }: ProvenPublication,
  dryRun: boolean,
  entities?: EntityDiff,
) {
  return {
    revision: dryRun ? before.revision : after.revision,
    dryRun,
    changes: countDiff(diff),
    summary: describeDiff(diff).slice(0, MOST_LINES),
    ...(entities && { entities: countEntities(entities) }),
    ...(broken.length > 0 && { brokenCases: broken }),
  };
}

const MOST_LINES = 1000;
