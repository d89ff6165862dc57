/** Rules and resource types held against the tables that the code registered, when they are written. */
import type { TableCheck } from '../policy/compile.ts';
import type { ResourceType } from '../policy/policy.ts';
import type { Sources } from './source.ts';
import { columnProblems, conditionProblem, TRANSLATED } from './sql-filter.ts';

/** The check for publishing. A type whose evaluator has no rules of ours has no lists either. */
export function tableCheck(sources: Sources): TableCheck {
  const sourceOf = ({ type, evaluator }: ResourceType) =>
    evaluator === TRANSLATED ? sources.get(type) : undefined;
  return {
    attributes: (type) => {
      const source = sourceOf(type);
      return source ? columnProblems(type, source) : [];
    },
    condition: (type, condition) => {
      const source = sourceOf(type);
      return source && conditionProblem(condition, { type, source });
    },
  };
}
