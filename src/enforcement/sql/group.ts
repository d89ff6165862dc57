/** And, or, not: what is the same whatever the tests in it are about. */
import type { Condition } from '../../policy/condition.ts';
import { all, any, type Expression, fixed, not } from './expression.ts';

type Group = Exclude<Condition, { kind: 'test' | 'element' }>;

/** The group of what `translate` makes of its parts. */
export function translateGroup(
  condition: Group,
  translate: (condition: Condition) => Expression,
): Expression {
  switch (condition.kind) {
    case 'fixed':
      return fixed(condition.value);
    case 'all':
      return all(condition.of.map(translate));
    case 'any':
      return any(condition.of.map(translate));
    case 'not':
      return not(translate(condition.of));
  }
}
