/** Rows of the decision log as they are looked for: as resources, and as the request that was decided. */
import type { Knex } from 'knex';
import {
  type AccessRequest,
  cleanAncestors,
  type GivenAncestor,
  principalOf,
  type Resource,
  resourceOf,
} from '../decision/access-request.ts';
import type { Decision } from '../decision/decision.ts';
import { ENTITY_RESOURCE } from '../decision/entities.ts';
import type { Source } from '../enforcement/source.ts';
import { cleanCopy } from '../policy/attributes.ts';
import type { Facts } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Services } from '../services.ts';
import type { Database } from '../storage/postgres.ts';
import { ancestorAttributes } from './fill-stored.ts';

/** What a list shows of a decision. */
export interface DecisionSummaryRow extends Required<Decision> {
  at: Date;
  principalType: string;
  principalId: string;
  action: string;
  resourceType: string;
  resourceId: string | null;
  evaluator: string;
  requestId: string | null;
}

export interface DecisionRow extends DecisionSummaryRow {
  principal: { roles: string[]; attributes: Record<string, unknown>; ancestors?: GivenAncestor[] };
  actionProperties: Record<string, unknown> | null;
  resource: {
    attributes: Record<string, unknown> & { ancestors?: GivenAncestor[] };
    misfits: string[];
  };
  context: Record<string, unknown>;
  doubt: string | null;
  omitted: string[];
}

/** `decisionsAsResources` as a table, by attribute of `castellan.decision`. */
export const decisionSource: Source = {
  table: 'decisions',
  columns: {
    id: { column: 'id_text', type: 'text' },
    principal: { column: 'principal_name', type: 'text' },
    action: { column: 'action', type: 'text' },
    resource: { column: 'resource_name', type: 'text' },
    allow: { column: 'allow', type: 'boolean' },
    at: { column: 'at', type: 'timestamptz' },
  },
};

/** The table, with columns beside its own for what rules call otherwise. */
export function decisionsAsResources(db: Database): Knex.QueryBuilder {
  const named = db('decisions')
    .select('*')
    .select(
      db.raw('id::text AS id_text'),
      db.raw(`principal_type || ':' || principal_id AS principal_name`),
      db.raw(`concat_ws(':', resource_type, resource_id) AS resource_name`),
    );
  return db.from(named.as('decisions'));
}

/** The entry of this id, also of a moment ago; undefined: there is none, or none any more. */
export async function findDecision(
  { db, decisionLog }: Services,
  id: string,
): Promise<DecisionRow | undefined> {
  await decisionLog.written();
  return db('decisions').where({ id }).first();
}

/** The row as a resource of type `castellan.decision`. */
export function decisionAttributes(row: DecisionSummaryRow) {
  const { id, at, principalType, principalId, action, resourceType, resourceId, allow } = row;
  const resource = resourceId === null ? resourceType : `${resourceType}:${resourceId}`;
  return { id, at, principal: `${principalType}:${principalId}`, action, resource, allow };
}

/** Whether somebody may read everything that the principal or the resource of a decision lay in. */
export async function mayReadAncestors(
  { principal, resource }: DecisionRow,
  mayRead: (resource: string, attributes: object) => Promise<boolean>,
): Promise<boolean> {
  const all = [...(principal.ancestors ?? []), ...(resource.attributes.ancestors ?? [])];
  for (const ancestor of all)
    if (!(await mayRead(ENTITY_RESOURCE, ancestorAttributes(ancestor)))) return false;
  return true;
}

/** What was decided, as it is written down; what was left out of it is absent. */
export function storedRequest(row: DecisionRow, snapshot: Snapshot): AccessRequest {
  const { principalType: type, principalId: id, principal, action: name, actionProperties } = row;
  return {
    principal: principalOf(
      { type, id, ...principal, ...ancestorsOf(principal, snapshot), accessVersion: 0 },
      snapshot.types.get(type),
    ),
    action: { name, ...(actionProperties && { properties: factsOf(actionProperties) }) },
    resource: storedResource(row, snapshot),
    context: factsOf(row.context),
  };
}

function storedResource({ resourceType, resource }: DecisionRow, snapshot: Snapshot): Resource {
  const type = snapshot.types.get(resourceType);
  const { ancestors } = ancestorsOf(resource.attributes, snapshot);
  const attributes = type ? resourceOf(type, resource.attributes, ancestors).attributes : {};
  return { type: resourceType, attributes, misfits: resource.misfits };
}

/** As they were then: what was decided is decided again by the same. */
function ancestorsOf({ ancestors = [] }: { ancestors?: GivenAncestor[] }, snapshot: Snapshot) {
  return { ancestors: cleanAncestors(ancestors, snapshot).ancestors };
}

function factsOf(stored: Record<string, unknown>): Facts {
  return cleanCopy(stored) as Facts;
}
