/** Rules of a plain shape, read without joi: a file of a hundred thousand is mostly these, and joi takes seconds for it. */
import type { Rule } from './policy.ts';

/** What each key may hold; anything else is left to the full check, which says what is wrong. */
const plain: { [key in keyof Required<Rule>]: (value: unknown) => boolean } = {
  id: (value) => typeof value === 'string' && /^[a-z0-9][a-z0-9-]{0,99}$/.test(value),
  role: (value) => typeof value === 'string' && /^[a-z][a-z0-9-]{0,62}$/.test(value),
  principal: () => false,
  action: isWords,
  subject: isWords,
  fields: (value) => Array.isArray(value) && value.length <= 200 && isWords(value),
  conditions: isObject,
  when: isObject,
  inverted: (value) => typeof value === 'boolean',
  reason: (value) => typeof value === 'string' && value !== '' && value.length <= 500,
  priority: (value) => Number.isInteger(value) && Math.abs(value as number) <= 1_000_000,
  enabled: (value) => typeof value === 'boolean',
  validFrom: (value) => value === null,
  validUntil: (value) => value === null,
};

/** The rule with its defaults, as the full check would give it; undefined where that has to look. */
export function readPlainRule(input: unknown): Rule | undefined {
  if (!isObject(input)) return undefined;
  for (const key in input) {
    if (!Object.hasOwn(plain, key) || !plain[key as keyof Rule](input[key])) return undefined;
  }
  if (input['action'] === undefined || input['subject'] === undefined) return undefined;
  return {
    ...(input as unknown as Rule),
    inverted: (input['inverted'] as boolean | undefined) ?? false,
    priority: (input['priority'] as number | undefined) ?? 0,
    enabled: (input['enabled'] as boolean | undefined) ?? true,
    validFrom: null,
    validUntil: null,
  };
}

function isWords(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  if (!Array.isArray(value) || value.length === 0 || value.length > 100) return false;
  return value.every((word) => typeof word === 'string' && word !== '');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
