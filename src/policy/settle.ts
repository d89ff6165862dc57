/** Partial evaluation: what is known of the principal is put into a condition once, while the ability is made. */
import { allOf, anyOf, type Condition, isTemplate, notOf, type Operand, type Scalar } from './condition.ts';
import { compileCondition, type Facts, read } from './matcher.ts';

/**
 * Replaces templates by the principal's values and tests on `principal.` by their outcome.
 *
 * A template that cannot be resolved makes its test unknown. Unknown never widens access: in an allow rule the whole
 * then matches less, in a deny rule more, under any number of negations.
 */
export function settle(condition: Condition, principal: Facts, effect: 'allow' | 'deny'): Condition {
  return settleAt(condition, principal, effect === 'deny');
}

/** `unknown`: what an unknown test counts as at this place of the tree; a negation turns it round. */
function settleAt(condition: Condition, principal: Facts, unknown: boolean): Condition {
  switch (condition.kind) {
    case 'fixed':
      return condition;
    case 'all':
      return allOf(condition.of.map((part) => settleAt(part, principal, unknown)));
    case 'any':
      return anyOf(condition.of.map((part) => settleAt(part, principal, unknown)));
    case 'not':
      return notOf(settleAt(condition.of, principal, !unknown));
    case 'element': {
      const of = settleAt(condition.of, principal, unknown);
      if (of.kind === 'fixed' && of.value === unknown) return of;
      return { kind: 'element', path: condition.path, of };
    }
    case 'test': {
      const value = resolve(condition.value, principal);
      if (value === undefined) return { kind: 'fixed', value: unknown };
      const settled: Condition = { ...condition, value };
      return condition.path.startsWith('principal.')
        ? { kind: 'fixed', value: compileCondition(settled)({ principal }) }
        : settled;
    }
  }
}

/** The operand without templates, or undefined when one cannot be resolved. */
function resolve(operand: Operand, principal: Facts): Operand | undefined {
  if (isTemplate(operand)) return principalValue(operand.template, principal);
  if (!Array.isArray(operand)) return operand;
  const items = operand.map((item) => (isTemplate(item) ? principalValue(item.template, principal) : item));
  return items.includes(undefined) ? undefined : (items as Scalar[]);
}

function principalValue(path: string, principal: Facts): Operand | undefined {
  const value = read(principal, path.split('.'));
  const isScalar = (item: unknown) => ['string', 'number', 'boolean'].includes(typeof item);
  return isScalar(value) || (Array.isArray(value) && value.every(isScalar)) ? (value as Operand) : undefined;
}
