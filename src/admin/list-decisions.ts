/** The list of decisions: narrowed by PostgreSQL as far as rules can be asked of it, and decided row by row. */
import Joi from 'joi';
import type { Knex } from 'knex';
import type { GuardedCall } from '../enforcement/access.ts';
import { showReadable } from '../enforcement/mask.ts';
import { type FilterOptions, narrow as narrowByRules } from '../enforcement/sql-filter.ts';
import { AppError, invalidField } from '../errors.ts';
import { type PageQuery, pageKeys } from '../http/page.ts';
import { misfit } from '../policy/attributes.ts';
import type { Services } from '../services.ts';
import {
  type DecisionSummaryRow,
  decisionAttributes,
  decisionSource,
  decisionsAsResources,
} from './decision-rows.ts';
import { listReadable } from './list-readable.ts';

export interface DecisionFilter {
  principal?: string;
  action?: string;
  resourceType?: string;
  resourceId?: string;
  allow?: boolean;
  from?: Date;
  to?: Date;
}

export const decisionFilter = Joi.object({
  ...pageKeys,
  principal: Joi.string()
    .pattern(/^[^:]+:./)
    .messages({ 'string.pattern.base': 'must be a type and an id, such as user:<id>' }),
  action: Joi.string(),
  resourceType: Joi.string(),
  resourceId: Joi.string(),
  allow: Joi.boolean(),
  from: Joi.date().iso().description('at or after'),
  to: Joi.date().iso().description('before'),
});

/** Whoever may not read the attribute learns nothing by a filter on it. */
const attributeFiltered: Record<keyof DecisionFilter, string> = {
  principal: 'principal',
  action: 'action',
  resourceType: 'resource',
  resourceId: 'resource',
  allow: 'allow',
  from: 'at',
  to: 'at',
};

const question = { action: 'read', resource: 'castellan.decision' };

export async function listDecisions(
  services: Services,
  call: GuardedCall<unknown, DecisionFilter & PageQuery>,
) {
  const { db, abilityOf, gatekeeper, decisions } = services;
  const { req, query, context } = call;
  const { snapshot, principal } = context;
  const requestAbout = (row: object) => gatekeeper.accessRequest(req, snapshot, question, row);
  const select = decisionsAsResources(db).select(summaryColumns);
  const ability = await abilityOf(snapshot, principal);
  const type = snapshot.types.get(question.resource);
  if (type?.evaluator === 'casl')
    narrow(select, {
      action: 'read',
      ability,
      context: requestAbout({}).context,
      type,
      source: decisionSource,
    });
  applyFilter(select, query);
  return listReadable<DecisionSummaryRow, Partial<ReturnType<typeof presentSummary>>>(services, call, {
    page: (after, size) => pageAfter(select.clone(), after, size),
    nameOf: ({ at, id }) => `${at.toISOString()} ${id}`,
    resource: question.resource,
    filteredBy: filtersOf(query).map((name) => attributeFiltered[name]),
    attributesOf: decisionAttributes,
    present: (row) =>
      showReadable(decisions, snapshot, requestAbout(decisionAttributes(row)), presentSummary(row)),
  });
}

/** A decision without the facts that it was decided by. */
export function presentSummary(row: DecisionSummaryRow) {
  const { revision, ruleId, reason, evaluator, requestId } = row;
  return { ...decisionAttributes(row), revision, ruleId, reason, evaluator, requestId };
}

const summaryColumns = [
  ...['id', 'at', 'revision', 'principalType', 'principalId', 'action', 'resourceType', 'resourceId'],
  ...['allow', 'ruleId', 'reason', 'evaluator', 'requestId'],
];

function filtersOf(query: DecisionFilter): (keyof DecisionFilter)[] {
  const names = Object.keys(attributeFiltered) as (keyof DecisionFilter)[];
  return names.filter((name) => query[name] !== undefined);
}

/** So that few rows are read in vain. What cannot be asked of the table is left to the decision on each row. */
function narrow(select: Knex.QueryBuilder, options: FilterOptions): void {
  try {
    narrowByRules(select, options);
  } catch (cause) {
    if (!(cause instanceof AppError)) throw cause;
  }
}

function applyFilter(select: Knex.QueryBuilder, filter: DecisionFilter): void {
  const { principal, action, resourceType, resourceId, allow, from, to } = filter;
  if (principal !== undefined) {
    const [principalType = ''] = principal.split(':', 1);
    select.where({ principalType, principalId: principal.slice(principalType.length + 1) });
  }
  for (const [column, value] of Object.entries({ action, resourceType, resourceId, allow }))
    if (value !== undefined) select.where(column, value);
  if (from) select.where('at', '>=', from);
  if (to) select.where('at', '<', to);
}

/** Newest first; `after` is `<instant> <id>`. */
function pageAfter(select: Knex.QueryBuilder, after: string | undefined, size: number) {
  const page: Knex.QueryBuilder<object, DecisionSummaryRow[]> = select
    .orderByRaw('at DESC, id DESC')
    .limit(size);
  if (after === undefined) return page;
  const [at = '', id = '', ...rest] = after.split(' ');
  if (misfit(at, { type: 'date' }) || misfit(id, { type: 'uuid' }) || rest.length > 0)
    throw invalidField('/query/cursor', 'must be a nextCursor of this list');
  return page.whereRaw('(at, id) < (?::timestamptz, ?::uuid)', [at, id]);
}
