/** The properties that a search gives of what it searches for: what each result must be stored with. */
import { resourceOf } from '../decision/access-request.ts';
import { sortedText } from '../policy/compile.ts';
import type { Condition } from '../policy/condition.ts';
import type { Facts } from '../policy/matcher.ts';
import type { ResourceType } from '../policy/policy.ts';
import { attributesOf } from './ask.ts';
import type { Searched } from './messages.ts';

export interface Criteria {
  /** Whether attributes as they are stored have these very values, and none where `null` was given. */
  fits(stored: Facts): boolean;
  /** As much of it as can be asked of a table. */
  tests: Condition[];
}

/**
 * The criteria, read as the specification has them ("authorized according to the provided criteria", section 8): a result
 * is allowed both with these properties and without them. What the type does not declare is passed over, as in an
 * evaluation. Undefined: a value does not fit its declaration, so nothing can have it.
 */
export function criteriaOf(type: ResourceType | undefined, searched: Searched): Criteria | undefined {
  if (!type) return { fits: () => true, tests: [] };
  const given = attributesOf(searched);
  const { attributes, misfits } = resourceOf(type, given);
  if (misfits.length > 0) return undefined;
  const values = Object.entries(attributes).map(([name, value]) => ({
    name,
    value,
    text: sortedText(value),
  }));
  const absent = Object.keys(type.attributes).filter(
    (name) => Object.hasOwn(given, name) && given[name] === null,
  );
  return {
    fits: (stored) =>
      values.every(({ name, text }) => stored[name] !== undefined && sortedText(stored[name]) === text) &&
      absent.every((name) => stored[name] === undefined),
    tests: values.flatMap(({ name, value }): Condition[] =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [{ kind: 'test', path: name, operator: '$eq', value }]
        : [],
    ),
  };
}
