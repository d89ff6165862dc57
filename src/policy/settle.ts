/** Partial evaluation: what is known of the principal is put into a condition once, while the ability is made. */
import { allOf, anyOf, type Condition, isTemplate, notOf, type Operand, type Scalar } from './condition.ts';
import { compileCondition, type Facts, read } from './matcher.ts';
import { operators } from './operators.ts';

type Test = Extract<Condition, { kind: 'test' }>;

/**
 * Replaces templates by the principal's values, in a condition about the resource.
 *
 * A template that cannot be resolved makes its test unknown. Unknown never widens access: in an allow rule the whole
 * then matches less, in a deny rule more, under any number of negations.
 */
export function settle(condition: Condition, principal: Facts, effect: 'allow' | 'deny'): Condition {
  return settleAt(condition, principal, effect === 'deny', false);
}

/** The same for a `when`: there, tests on `principal.` are about who asks, and become their outcome. */
export function settleWhen(condition: Condition, principal: Facts, effect: 'allow' | 'deny'): Condition {
  return settleAt(condition, principal, effect === 'deny', true);
}

/** Either of them, as `ofRequest` says. */
export function settleAs(
  condition: Condition,
  principal: Facts,
  effect: 'allow' | 'deny',
  ofRequest: boolean,
): Condition {
  return settleAt(condition, principal, effect === 'deny', ofRequest);
}

/**
 * `unknown`: what an unknown test counts as at this place of the tree; a negation turns it round. `ofRequest`: paths are
 * those of `when`; elsewhere, and inside an element, `principal.` is an attribute like any other.
 */
function settleAt(condition: Condition, principal: Facts, unknown: boolean, ofRequest: boolean): Condition {
  const outcome = (settled: Condition, path: string): Condition =>
    ofRequest && path.startsWith('principal.')
      ? { kind: 'fixed', value: compileCondition(settled)({ principal }) }
      : settled;
  switch (condition.kind) {
    case 'fixed':
      return condition;
    case 'all':
      return allOf(condition.of.map((part) => settleAt(part, principal, unknown, ofRequest)));
    case 'any':
      return anyOf(condition.of.map((part) => settleAt(part, principal, unknown, ofRequest)));
    case 'not':
      return notOf(settleAt(condition.of, principal, !unknown, ofRequest));
    case 'element': {
      const of = settleAt(condition.of, principal, unknown, false);
      if (isFixed(of, unknown) && !isFixed(settleAt(condition.of, principal, !unknown, false), unknown))
        return of;
      return outcome({ kind: 'element', path: condition.path, of }, condition.path);
    }
    case 'test': {
      const value = resolve(condition, principal);
      if (value === undefined) return { kind: 'fixed', value: unknown };
      return outcome({ ...condition, value }, condition.path);
    }
  }
}

function isFixed(condition: Condition, value: boolean): boolean {
  return condition.kind === 'fixed' && condition.value === value;
}

/** The operand without templates, or undefined when one cannot be resolved: a list is no value, and a value no list. */
function resolve({ operator, value }: Test, principal: Facts): Operand | undefined {
  if (isTemplate(value)) {
    const found = read(principal, value.template.split('.'));
    const fits = operators[operator].takes === 'list' ? isListOfScalars : isScalar;
    return fits(found) ? found : undefined;
  }
  if (!Array.isArray(value)) return value;
  const items = value.map((item) => (isTemplate(item) ? read(principal, item.template.split('.')) : item));
  return isListOfScalars(items) ? items : undefined;
}

function isScalar(value: unknown): value is Scalar {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function isListOfScalars(value: unknown): value is Scalar[] {
  return Array.isArray(value) && value.every(isScalar);
}
