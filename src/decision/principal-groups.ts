/** Principals that a draft affects alike: the same roles, and the same values where rules look. */
import { ancestorFacts, type Principal } from '../policy/ability.ts';
import { type Condition, isTemplate, pathsOf, templatesOf, testsOf } from '../policy/condition.ts';
import { read } from '../policy/matcher.ts';
import type { Snapshot } from '../policy/snapshot.ts';

/** Paths of the principal that any rule looks at; and the ids that rules name outright. */
export interface Relevant {
  paths: readonly string[];
  /** Whether a `when` asks for the id itself: then everybody is a group of their own. */
  ids: boolean;
}

/** What of a principal matters to the rules of either side. */
export function relevantPaths(before: Snapshot, after: Snapshot): Relevant {
  const paths = new Set<string>();
  const conditions = [...before.rules.values(), ...after.rules.values()];
  for (const { condition, when } of conditions) {
    for (const path of [...templatesOf(condition), ...templatesOf(when)]) paths.add(path);
    for (const path of pathsOf(when))
      if (path.startsWith('principal.')) paths.add(path.slice('principal.'.length));
  }
  // Put into a condition, everybody's own id does the same for each, unless it meets somebody's id written out.
  const ids =
    conditions.some(
      ({ when }) => pathsOf(when).includes('principal.id') || templatesOf(when).includes('id'),
    ) || meetsIdsWrittenOut(conditions);
  paths.delete('id');
  return { paths: [...paths].sort(), ids };
}

/** Whether one rule compares with the principal's id what another compares with a value. */
function meetsIdsWrittenOut(conditions: readonly { condition: Condition }[]): boolean {
  const [own, written] = [new Set<string>(), new Set<string>()];
  for (const { condition } of conditions)
    for (const { path, value } of testsOf(condition))
      for (const item of [value].flat()) {
        if (isTemplate(item)) {
          if (item.template === 'id') own.add(path);
        } else if (typeof item === 'string' && uuid.test(item)) written.add(path);
      }
  return [...own].some((path) => written.has(path));
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whoever has the same key gains and loses the same. */
export function groupKey(
  principal: Principal,
  afterwards: Principal,
  { paths, ids }: Relevant,
  before: Snapshot,
  after: Snapshot,
): string {
  const own = `${principal.type}:${principal.id}`;
  const isNamed = ids || before.rulesByPrincipal.has(own) || after.rulesByPrincipal.has(own);
  const valuesOf = ({ attributes, ancestors }: Principal) => {
    const facts = ancestors.length > 0 ? { ...attributes, ...ancestorFacts(ancestors) } : attributes;
    return paths.map((path) => read(facts, path.split('.')) ?? null);
  };
  return JSON.stringify([
    principal.type,
    isNamed ? principal.id : null,
    principal.roles,
    valuesOf(principal),
    valuesOf(afterwards),
  ]);
}
