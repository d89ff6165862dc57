/** What a draft changes about rows that are really there. */

import { type AccessRequest, type Resource, resourceOf } from '../decision/access-request.ts';
import type { DecisionPoint } from '../decision/decide.ts';
import type { DecisionsAt } from '../decision/run-cases.ts';
import type { Effect } from '../decision/simulate.ts';
import { loadSamples, type Sources } from '../enforcement/source.ts';
import type { Principal } from '../policy/ability.ts';
import type { Snapshot } from '../policy/snapshot.ts';
import type { Database } from '../storage/postgres.ts';

export interface SampleChanges {
  resource: string;
  action: string;
  /** How many rows were looked at. */
  examined: number;
  /** Ids of rows allowed only afterwards, and only before; a few of them. */
  gained: string[];
  lost: string[];
  gainedCount: number;
  lostCount: number;
}

export interface SampleOptions {
  db: Database;
  sources: Sources;
  before: Snapshot;
  after: Snapshot;
  decisionsAt: DecisionsAt;
  /** Rows of which whoever asks may not read all are left out: that one is in the sample would tell of them. */
  mayRead(resource: string, attributes: object): Promise<boolean>;
}

const SAMPLES = 100;
const MOST_IDS = 5;

const samples = new WeakMap<
  Snapshot,
  { point: DecisionPoint; rows: Map<string, Promise<Record<string, unknown>[]>> }
>();

/** For each affected action on a type whose table is known: what changes on a sample of its rows. */
export async function sampleChanges(
  options: SampleOptions,
  principal: Principal,
  { gains, losses }: Effect,
): Promise<SampleChanges[]> {
  const { db, sources, before, after } = options;
  const held = samples.get(after) ?? {
    point: options.decisionsAt(Date.now()),
    rows: new Map<string, Promise<Record<string, unknown>[]>>(),
  };
  samples.set(after, held);
  const pairs = new Map(
    [...gains, ...losses].map((change) => [`${change.resource} ${change.action}`, change]),
  );
  const changes: SampleChanges[] = [];
  for (const { resource, action } of pairs.values()) {
    const source = sources.get(resource);
    const type = after.types.get(resource) ?? before.types.get(resource);
    if (!source || !type) continue;
    const rows = held.rows.get(resource) ?? loadSamples(db, source, type, SAMPLES);
    held.rows.set(resource, rows);
    const readable = [];
    for (const row of await rows)
      if (await options.mayRead(resource, row)) readable.push(resourceOf(type, row));
    const compared = await compareRows(held.point, { before, after }, readable, principal, action);
    changes.push({ resource, action, ...compared });
  }
  return changes;
}

async function compareRows(
  point: DecisionPoint,
  { before, after }: { before: Snapshot; after: Snapshot },
  rows: readonly Resource[],
  principal: Principal,
  action: string,
): Promise<Omit<SampleChanges, 'resource' | 'action'>> {
  const gained: string[] = [];
  const lost: string[] = [];
  for (const resource of rows) {
    const request: AccessRequest = { principal, action: { name: action }, resource, context: {} };
    const [was, is] = [await point.decide(before, request), await point.decide(after, request)];
    if (was.allow !== is.allow) (is.allow ? gained : lost).push(String(resource.attributes['id']));
  }
  return {
    examined: rows.length,
    gained: gained.slice(0, MOST_IDS),
    lost: lost.slice(0, MOST_IDS),
    gainedCount: gained.length,
    lostCount: lost.length,
  };
}
