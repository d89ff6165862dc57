/** Why a condition is not met: each test that fails, with what was expected and what was found. */
import { type Condition, isTemplate, type Operand } from '../policy/condition.ts';
import { compileCondition, type Facts, read } from '../policy/matcher.ts';
import { settleAs } from '../policy/settle.ts';

/** One test that was not met, or that was and should not have been. */
export interface Failure {
  /** The part of the rule it stands in. */
  in: 'conditions' | 'when';
  path: string;
  operator: string;
  /** What the rule asks for, templates put in; absent where a template could not be. */
  expected?: unknown;
  /** What there was; absent where there was nothing. */
  found?: unknown;
  /** `principal.x`, where the principal has no such value (or of another kind). */
  unresolved?: string;
  /** It must not be met, and is. */
  negated?: true;
  /** Another of these would do as well: failures of one `$or` have one number. */
  alternative?: number;
}

/** What is known when a condition is asked. */
export interface Scene {
  in: Failure['in'];
  /** What paths are read from: the resource's attributes, or the facts of the request. */
  facts: Facts;
  /** What templates are filled from. */
  principal: Facts;
  effect: 'allow' | 'deny';
}

/** Every test that keeps the condition from being met; none: it is met. */
export function failuresOf(condition: Condition, scene: Scene): Failure[] {
  if (isMet(condition, scene, false)) return [];
  return failures(condition, scene, false, { alternatives: 0 });
}

/** Whether the condition is met, as a decision would have it; what cannot be resolved counts the other way in a negation. */
function isMet(
  condition: Condition,
  { in: place, facts, principal, effect }: Scene,
  negated: boolean,
): boolean {
  const counted = negated === (effect === 'deny') ? 'allow' : 'deny';
  return compileCondition(settleAs(condition, principal, counted, place === 'when'))(facts);
}

function failures(
  condition: Condition,
  scene: Scene,
  negated: boolean,
  count: { alternatives: number },
): Failure[] {
  switch (condition.kind) {
    case 'fixed':
      return [];
    case 'not':
      return failures(condition.of, scene, !negated, count);
    case 'all':
    case 'any': {
      // Under a negation an "and" needs one part that is not met, as an "or" needs one that is.
      const anyWouldDo = (condition.kind === 'any') !== negated;
      const open = condition.of.filter((part) => isMet(part, scene, negated) === negated);
      const found = open.flatMap((part) => failures(part, scene, negated, count));
      if (!anyWouldDo || open.length < 2) return found;
      const alternative = ++count.alternatives;
      return found.map((failure) => ({ ...failure, alternative }));
    }
    case 'element':
      return [told({ path: condition.path, operator: '$elemMatch', value: undefined }, scene, negated)];
    case 'test':
      return [told(condition, scene, negated)];
  }
}

function told(
  { path, operator, value }: { path: string; operator: string; value: Operand | undefined },
  { in: place, facts, principal }: Scene,
  negated: boolean,
): Failure {
  const found = read(facts, path.split('.'));
  const missing = unresolvedIn(value, principal);
  return {
    in: place,
    path,
    operator,
    ...(value !== undefined && missing === undefined && { expected: filled(value, principal) }),
    ...(found !== undefined && { found }),
    ...(missing !== undefined && { unresolved: `principal.${missing}` }),
    ...(negated && { negated }),
  };
}

function unresolvedIn(value: Operand | undefined, principal: Facts): string | undefined {
  const templates = [value].flat().filter(isTemplate);
  return templates.find(({ template }) => read(principal, template.split('.')) === undefined)?.template;
}

function filled(value: Operand, principal: Facts): unknown {
  const fill = (item: unknown) => (isTemplate(item) ? read(principal, item.template.split('.')) : item);
  return Array.isArray(value) ? value.map(fill) : fill(value);
}
