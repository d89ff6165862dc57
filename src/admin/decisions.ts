/** /admin/decisions: the decision log, read. */
import Joi from 'joi';
import { ENTITY_RESOURCE, entityAttributes } from '../decision/entities.ts';
import { explain } from '../decision/explain.ts';
import { apiKeyAttributes } from '../decision/principals.ts';
import { endpoint, type GuardedCall, type GuardedEndpoint, type LoadCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { explainCedar } from '../evaluators/explain-cedar.ts';
import type { PageQuery } from '../http/page.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE } from '../policy/built-in.ts';
import { isEntityType } from '../policy/entity.ts';
import type { Services } from '../services.ts';
import { findApiKey } from './api-key.ts';
import {
  type DecisionRow,
  decisionAttributes,
  findDecision,
  mayReadAncestors,
  storedRequest,
} from './decision-rows.ts';
import { disagreementEndpoints } from './disagreements.ts';
import { explanationShape } from './explain.ts';
import { isReadable } from './fill-stored.ts';
import { type DecisionFilter, decisionFilter, listDecisions, presentSummary } from './list-decisions.ts';

const path = '/api/v1/admin/decisions';
const question = { action: 'read', resource: 'castellan.decision' };

const summaryShape = Joi.object({
  id: Joi.string().uuid(),
  at: Joi.date().iso(),
  revision: Joi.number().integer(),
  principal: Joi.string().description('`user:<id>`'),
  action: Joi.string(),
  resource: Joi.string().description('`document:<id>`; the type alone where no one resource was meant'),
  allow: Joi.boolean(),
  ruleId: Joi.string().allow(null),
  reason: Joi.string(),
  evaluator: Joi.string(),
  requestId: Joi.string().allow(null),
});

const facts = Joi.object().unknown(true);
const shape = summaryShape.keys({
  doubt: Joi.string().allow(null),
  facts: Joi.object({
    roles: Joi.array().items(Joi.string()),
    principal: facts,
    action: facts,
    resource: facts,
    context: facts,
  }).description('what it was decided by'),
  omitted: Joi.array().items(Joi.string()).description('paths of facts that are not written down'),
  explanation: explanationShape
    .allow(null)
    .description('by the rules of its revision; null where this release cannot read them any more'),
});

export function decisionEndpoints(services: Services): GuardedEndpoint[] {
  return [
    endpoint<undefined, DecisionFilter & PageQuery>({
      method: 'get',
      path,
      summary: 'List decisions of the log, the newest first',
      access: question,
      query: decisionFilter,
      reply: {
        status: 200,
        description: 'A page',
        shape: Joi.object({ items: Joi.array().items(summaryShape), nextCursor: Joi.string().allow(null) }),
      },
      handle: async (call) => ({ status: 200, body: await listDecisions(services, call) }),
    }),
    ...disagreementEndpoints(services, `${path}/disagreements`, summaryShape),
    endpoint({
      method: 'get',
      path: `${path}/:id`,
      summary: 'Read a decision: what it was decided by, and why it came out so',
      params: Joi.object({ id: Joi.string().uuid().required() }),
      access: {
        ...question,
        load: async ({ params: { id = '' } }: LoadCall) => {
          const row = await findDecision(services, id);
          return row && { ...decisionAttributes(row), row };
        },
      },
      reply: { status: 200, description: 'The decision, without the fields that may not be read', shape },
      handle: (call) => answerDecision(services, call),
    }),
  ];
}

async function answerDecision(services: Services, call: GuardedCall) {
  const { loaded, snapshot, request } = call.context;
  const { row } = loaded as { row: DecisionRow };
  const facts = (await mayReadFacts(services, call, row)) && {
    facts: {
      roles: row.principal.roles,
      principal: row.principal.attributes,
      action: row.actionProperties ?? {},
      resource: row.resource.attributes,
      context: row.context,
    },
    explanation: await explanationOf(services, row),
  };
  const shown = { ...presentSummary(row), doubt: row.doubt, omitted: row.omitted, ...facts };
  const body = request && (await showReadable(services.decisions, snapshot, request, shown));
  return { status: 200, body };
}

/** To be refused must not be a way to read: facts are for those who may read the resource, and who asked for it. */
async function mayReadFacts(services: Services, call: GuardedCall, row: DecisionRow): Promise<boolean> {
  return (
    (await isReadable(services, call, row.resourceType, row.resource.attributes)) &&
    (await mayReadPrincipal(services, call, row)) &&
    (await mayReadAncestors(row, (resource, found) => isReadable(services, call, resource, found)))
  );
}

async function mayReadPrincipal(services: Services, call: GuardedCall, row: DecisionRow): Promise<boolean> {
  const { principalType, principalId, principal } = row;
  if (principalType === ACCOUNT_TYPE) return isReadable(services, call, ACCOUNT_TYPE, principal.attributes);
  if (principalType !== API_KEY_TYPE) return mayReadEntity(services, call, row);
  const key = await findApiKey(services.db, principalId);
  return key !== undefined && isReadable(services, call, 'castellan.api-key', apiKeyAttributes(key));
}

/** What is stored of an entity is in the facts, too; of a type that none is of, they are what was sent. */
async function mayReadEntity(
  services: Services,
  call: GuardedCall,
  { principalType: type, principalId: id, principal: { attributes, roles } }: DecisionRow,
): Promise<boolean> {
  const { types } = call.context.snapshot;
  if (!isEntityType(type, { types, isInTable: (name) => services.sources.has(name) })) return true;
  const entity = entityAttributes({ type, id, attributes, roles, parents: [] });
  return isReadable(services, call, ENTITY_RESOURCE, entity);
}

async function explanationOf({ snapshotAt }: Services, row: DecisionRow) {
  const { allow, reason, ruleId, revision, at } = row;
  const snapshot = await snapshotAt(revision);
  if (!snapshot) return null;
  const request = storedRequest(row, snapshot);
  const cedar = explainCedar(snapshot, request);
  return explain(snapshot, request, { allow, reason, ruleId, revision }, at.getTime(), cedar);
}
