/** The Cedar policies of a snapshot, parsed once and kept by Cedar until no snapshot has them any more. */
import { isCedarLoaded, withCedar } from '../policy/cedar/engine.ts';
import { joinedSchema } from '../policy/cedar/join-schema.ts';
import { type SchemaShape, schemaShape } from '../policy/cedar/schema-shape.ts';
import { readStatements, type Statement } from '../policy/cedar/statements.ts';
import type { CedarEntity, CedarPart } from '../policy/policy.ts';
import type { Snapshot } from '../policy/snapshot.ts';

export interface CedarPolicies {
  statements: ReadonlyMap<string, Statement>;
  schema: string | undefined;
  /** Of the schema, where there is one. */
  shape: SchemaShape | undefined;
  /** Stored with the policy, by `entityKey`. */
  entities: ReadonlyMap<string, CedarEntity>;
  /** The name under which Cedar keeps them. */
  slot: string;
  /** The engine that has them; another one has to be given them first. */
  preparedBy: number | undefined;
}

/**
 * By the list of parts, which revisions share as long as nothing in it changes. Cedar keeps what is parsed by name and
 * has no way to drop a name, so names are few and used again: what is kept grows with the snapshots that are alive at
 * once, not with the revisions that there were.
 */
const known = new WeakMap<readonly CedarPart[], CedarPolicies>();
const freeSlots: string[] = [];
let slots = 0;
const released = new FinalizationRegistry<string>((slot) => {
  freeSlots.push(slot);
  emptySlot(slot);
});

/** What Cedar decides by under the snapshot. Throws where it cannot be read, as after a release that knows less. */
export function cedarPoliciesOf({ policy: { cedar: parts } }: Snapshot): CedarPolicies {
  const found = known.get(parts);
  if (found) return found;
  const { statements, problems } = readStatements(parts);
  if (problems.length > 0) throw new Error(`the policies of Cedar cannot be read: ${problems[0]?.message}`);
  const schema = joinedSchema(parts);
  const policies: CedarPolicies = {
    statements: new Map(statements.map((statement) => [statement.id, statement])),
    schema,
    shape: schema === undefined ? undefined : schemaShape(schema),
    entities: new Map(
      parts.flatMap(({ entities = [] }) => entities).map((entity) => [entityKey(entity.uid), entity]),
    ),
    slot: freeSlots.pop() ?? `castellan-${slots++}`,
    preparedBy: undefined,
  };
  known.set(parts, policies);
  released.register(parts, policies.slot);
  return policies;
}

/** A name for an entity, such as `user::"a"`. */
export function entityKey({ type, id }: { type: string; id: string }): string {
  return `${type}::${JSON.stringify(id)}`;
}

/** Uses the engine once it has the policies. Throws where it does not take them, and CedarBrokeError. */
export function withPolicies<T>(
  policies: CedarPolicies,
  use: (cedar: Parameters<Parameters<typeof withCedar<T>>[0]>[0]) => T,
): T {
  return withCedar((cedar, instance) => {
    if (policies.preparedBy !== instance) {
      const staticPolicies = Object.fromEntries(
        [...policies.statements.values()].map(({ id, text }) => [id, text]),
      );
      const answers = [
        cedar.preparsePolicySet(policies.slot, { staticPolicies }),
        ...(policies.schema === undefined ? [] : [cedar.preparseSchema(policies.slot, policies.schema)]),
      ];
      for (const answer of answers)
        if (answer.type === 'failure')
          throw new Error(`Cedar does not take them: ${answer.errors[0]?.message}`);
      policies.preparedBy = instance;
    }
    return use(cedar);
  });
}

/** How many names Cedar has been given in this process, those that are free again included. */
export function slotsInUse(): { made: number; free: number } {
  return { made: slots, free: freeSlots.length };
}

/** The name stays, and holds nothing. An engine that broke meanwhile has nothing of it. */
function emptySlot(slot: string): void {
  if (!isCedarLoaded()) return;
  try {
    withCedar((cedar) => {
      cedar.preparsePolicySet(slot, {});
      cedar.preparseSchema(slot, '');
    });
  } catch {
    // It is filled anew by whoever is given the name next.
  }
}
