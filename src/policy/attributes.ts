/** Values by declared type: whether they fit, and the one canonical form in which rules compare them. */
import type { AttributeSpec, AttributeType, ResourceType } from './policy.ts';

interface TypeRule {
  fits(value: unknown): boolean;
  /** What a value of this type should look like, for messages. */
  expected: string;
  ordered: boolean;
}

const isoDate = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const attributeTypes: Record<AttributeType, TypeRule> = {
  string: { fits: (v) => typeof v === 'string', expected: 'a string', ordered: true },
  number: { fits: (v) => typeof v === 'number' && Number.isFinite(v), expected: 'a number', ordered: true },
  integer: { fits: (v) => Number.isInteger(v), expected: 'an integer', ordered: true },
  boolean: { fits: (v) => typeof v === 'boolean', expected: 'true or false', ordered: false },
  date: { fits: isDate, expected: 'a date as in ISO 8601, such as 2026-01-31T12:00:00Z', ordered: true },
  uuid: { fits: (v) => typeof v === 'string' && uuid.test(v), expected: 'a UUID', ordered: false },
  array: { fits: Array.isArray, expected: 'a list', ordered: false },
  object: {
    fits: (v) => typeof v === 'object' && v !== null && !Array.isArray(v),
    expected: 'an object',
    ordered: false,
  },
};

function isDate(value: unknown): boolean {
  if (value instanceof Date) return isComparable(value.getTime());
  return (
    typeof value === 'string' && isoDate.test(value) && isRealDay(value) && isComparable(instantMs(value))
  );
}

/** Instants are compared as text, which has one order only for years of four digits. */
function isComparable(atMs: number): boolean {
  return atMs >= FIRST_MS && atMs <= LAST_MS;
}

const FIRST_MS = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** JavaScript takes 30 February for 2 March. */
function isRealDay(text: string): boolean {
  const day = text.slice(0, 10);
  const atMs = Date.parse(day);
  return !Number.isNaN(atMs) && new Date(atMs).toISOString().startsWith(day);
}

/** Without an offset it is UTC: JavaScript would take it for local time, so that each machine had its own instant. */
export function instantMs(text: string): number {
  const isLocal = /\d{2}:\d{2}/.test(text) && !/(Z|[+-]\d{2}:?\d{2})$/.test(text);
  return Date.parse(isLocal ? `${text}Z` : text);
}

/** What is wrong with `value` as this attribute, or undefined. `null` fits what is nullable. */
export function misfit(value: unknown, spec: AttributeSpec): string | undefined {
  if (value === null) return spec.nullable ? undefined : `must be ${expectedOf(spec)}, not null`;
  if (!attributeTypes[spec.type].fits(value)) return `must be ${expectedOf(spec)}`;
  if (spec.enum && !spec.enum.includes(value as string | number)) return `must be ${expectedOf(spec)}`;
  if (spec.type === 'array' && spec.items && Array.isArray(value)) {
    const items = attributeTypes[spec.items];
    if (!value.every((item) => items.fits(item))) return `must be a list, each item ${items.expected}`;
  }
  return undefined;
}

/** In words, what fits the attribute. */
export function expectedOf(spec: AttributeSpec): string {
  return spec.enum
    ? `one of ${spec.enum.map((value) => JSON.stringify(value)).join(', ')}`
    : attributeTypes[spec.type].expected;
}

/**
 * The form in which a fitting value is compared: dates as ISO 8601 in UTC, UUIDs in lower case, objects copied deep
 * onto null prototypes so that nothing inherited and no accessor can be read through a rule's path.
 */
export function canonical(
  value: unknown,
  type: AttributeType | undefined,
  items?: AttributeType | undefined,
): unknown {
  if (value instanceof Date) return value.toISOString();
  if (type === 'array' && items && Array.isArray(value)) return value.map((item) => canonical(item, items));
  if (typeof value === 'string') {
    if (type === 'date') return new Date(instantMs(value)).toISOString();
    return type === 'uuid' ? value.toLowerCase() : value;
  }
  return typeof value === 'object' ? cleanCopy(value) : value;
}

/** The one form of an id of this type: a UUID is the same account in capitals. */
export function canonicalId(id: string, type: ResourceType | undefined): string {
  return type?.attributes['id']?.type === 'uuid' && uuid.test(id) ? id.toLowerCase() : id;
}

/** A deep copy without prototypes, accessors, functions, nulls or polluting names. */
export function cleanCopy(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(cleanCopy);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const [key, entry] of Object.entries(value)) {
    if (entry === null || entry === undefined || key === '__proto__' || key === 'constructor') continue;
    copy[key] = cleanCopy(entry);
  }
  return copy;
}
