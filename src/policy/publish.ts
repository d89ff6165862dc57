/** A change of the policy, from the state under the lock to the announcement: one transaction, or nothing. */
import { AppError, type Problem, policyInvalid } from '../errors.ts';
import type { Database, Transaction } from '../storage/postgres.ts';
import { diffPolicies, isEmptyDiff, type PolicyDiff } from './diff.ts';
import { requireEntitiesFit } from './entity-use.ts';
import type { LivePolicy } from './live-policy.ts';
import { type Collection, collections, nameOf, type Policy } from './policy.ts';
import { writeRevision } from './revisions.ts';
import type { Snapshot } from './snapshot.ts';
import { loadPolicy, writeDiff } from './store.ts';

export interface Author {
  id: string | null;
  /** How people know them. */
  name: string;
}

export interface PublishOptions {
  db: Database;
  live: LivePolicy;
  author: Author;
  message?: string;
  /** Makes the new policy from the one in force. Parts are replaced, never changed in place. */
  change(policy: Policy, trx: Transaction, before: Snapshot): Policy | Promise<Policy>;
  /** Refuses by throwing; runs after the new policy compiled and before it is written. */
  guard?(publication: Publication, trx: Transaction): Promise<void> | void;
  /** What is no policy and comes with it: written in the same transaction, also where the policy stays as it is. */
  alongside?(after: Snapshot, trx: Transaction, before: Snapshot): Promise<void>;
  /** Joins the transaction once all is written: the audit entry. */
  record?(publication: Publication, trx: Transaction): Promise<void>;
  /** Where in what was sent a problem of the new policy is; left out: where it is in the policy. */
  locate?: Locate;
  /** Every check, those of the database included; what was written for them is taken back. */
  dryRun?: boolean;
}

/** Finds a problem of a policy in the document that a person sent. */
export type Locate = (problem: Problem, policy: Policy) => Problem;

export interface Publication {
  before: Snapshot;
  after: Snapshot;
  diff: PolicyDiff;
}

const lock = `SELECT pg_advisory_xact_lock(hashtext('castellan.policy'))`;

/** Everything that changes the policy, or who may change it, holds this lock until its transaction ends. */
export async function lockPolicy(trx: Transaction): Promise<void> {
  await trx.raw(lock);
}

/**
 * Publishes a change and puts it in force on this node; other nodes hear of it from the database.
 * Returns what is in force then: the same snapshot as before when nothing changed.
 * Throws `policy_invalid` with every problem, and whatever `change` and `guard` throw; then nothing has changed.
 */
export async function publish(options: PublishOptions): Promise<Publication> {
  let settle = () => {};
  const expect = ({ after }: Publication) => {
    settle = options.live.expect(after.revision);
  };
  try {
    const publication = await commit(options, expect);
    if (!options.dryRun) options.live.adopt(publication.after);
    return publication;
  } finally {
    settle();
  }
}

/** All of it in one transaction; `expect` is told of what is about to be committed. */
function commit(options: PublishOptions, expect: (publication: Publication) => void): Promise<Publication> {
  return options.db.transaction(async (trx) => {
    const before = await snapshotUnderLock(trx, options.live);
    const policy = await options.change(before.policy, trx, before);
    const diff = diffPolicies(before.policy, policy);
    if (isEmptyDiff(diff)) {
      const same = { before, after: before, diff };
      await (options.dryRun ? tryWrite : write)(trx, same, options);
      return same;
    }
    const publication = { before, after: compileNext(policy, before, options), diff };
    await options.guard?.(publication, trx);
    if (options.dryRun) {
      await tryWrite(trx, publication, options);
      return publication;
    }
    await write(trx, publication, options);
    await writeRevision(trx, {
      author: options.author,
      message: options.message ?? '',
      after: publication.after,
      diff,
    });
    await options.record?.(publication, trx);
    expect(publication);
    return publication;
  });
}

async function write(
  trx: Transaction,
  { before, after, diff }: Publication,
  { alongside }: PublishOptions,
): Promise<void> {
  if (after !== before) await writeDiff(trx, diff).catch(explainConflict);
  await alongside?.(after, trx, before);
  await requireEntitiesFit(trx, diff);
}

/** Writes and takes it back: the database knows what it would refuse. */
async function tryWrite(trx: Transaction, publication: Publication, options: PublishOptions): Promise<void> {
  await trx.raw('SAVEPOINT dry_run');
  await write(trx, publication, options);
  await trx.raw('ROLLBACK TO SAVEPOINT dry_run');
}

/** Takes the policy lock; the policy in force in the database then, which may be ahead of this node. */
export async function snapshotUnderLock(trx: Transaction, live: LivePolicy): Promise<Snapshot> {
  // Two statements on one way: the second sees what was committed while the first waited.
  const [, { rows }] = await trx.raw(`${lock}; SELECT max(number) AS number FROM revisions`);
  const inForce = rows[0].number ?? 0;
  // The one before us here has committed, and is about to put it in force.
  await live.arrival(inForce);
  const known = live.snapshot;
  if (inForce === known.revision) return known;
  const { revision, policy } = await loadPolicy(trx, known.policy);
  return live.compileStored(policy, revision);
}

function compileNext(policy: Policy, before: Snapshot, { live, locate }: PublishOptions): Snapshot {
  try {
    return live.compile(policy, before.revision + 1);
  } catch (cause) {
    if (!(cause instanceof AppError && cause.problems && locate)) throw cause;
    throw policyInvalid(cause.problems.map((problem) => locate(problem, policy)));
  }
}

/** For a part that is edited by itself: problems in it are pointed at from there. */
export function locateInPart(collection: Collection, name: string): Locate {
  return (problem, policy) => {
    const index = policy[collection].findIndex((part) => nameOf(collection, part) === name);
    const prefix = `/${collection}/${index}/`;
    return problem.pointer.startsWith(prefix)
      ? { ...problem, pointer: problem.pointer.slice(prefix.length - 1) }
      : withName(problem, policy);
  };
}

/** Of a part that was not sent the name says more than its place in a list that nobody sees. */
function withName(problem: Problem, policy: Policy): Problem {
  const [, collection, index = ''] = problem.pointer.split('/');
  const part = isCollection(collection) ? policy[collection][Number(index)] : undefined;
  if (!part || !isCollection(collection)) return problem;
  return { ...problem, message: `${nameOf(collection, part)}: ${problem.message}` };
}

/** For a document that was merged in: where the part is in it; a part that is not in it is named in the message. */
export function locateInDocument(document: Policy): Locate {
  const places = new Map(
    collections.map((collection) => [
      collection,
      new Map(document[collection].map((part, index) => [nameOf(collection, part), index])),
    ]),
  );
  return (problem, policy) => {
    const [, collection, index = '', ...below] = problem.pointer.split('/');
    if (!isCollection(collection)) return problem;
    const part = policy[collection][Number(index)];
    if (!part) return problem;
    const name = nameOf(collection, part);
    const place = places.get(collection)?.get(name);
    return place === undefined
      ? withName(problem, policy)
      : { ...problem, pointer: ['', collection, place, ...below].join('/') };
  };
}

function isCollection(name: string | undefined): name is Collection {
  return (collections as readonly (string | undefined)[]).includes(name);
}

const FOREIGN_KEY_VIOLATION = '23503';

/** Who can have a role, by the table that says so. */
const holders: Record<string, string> = {
  role_assignments: 'accounts',
  api_key_roles: 'API keys',
  entity_roles: 'entities',
};

/** A role that somebody still has, or a type that entities are of, cannot go; the database is the one to know. */
function explainConflict(cause: unknown): never {
  const { code, table = '' } = cause as { code?: string; table?: string };
  if (code !== FOREIGN_KEY_VIOLATION) throw cause;
  if (table === 'entities')
    throw new AppError('resource_type_in_use', {
      message: 'there are entities of this type; remove them first',
      cause,
    });
  const who = holders[table];
  if (!who) throw cause;
  throw new AppError('role_in_use', {
    message: `${who} still have this role; take it from them first`,
    cause,
  });
}
