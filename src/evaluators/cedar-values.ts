/** Castellan's values as Cedar's. What Cedar has no place for throws, and so denies. */
import ipaddr from 'ipaddr.js';
import type { AttributeSpec } from '../policy/policy.ts';

export type CedarValue =
  | boolean
  | number
  | string
  | CedarValue[]
  | { [key: string]: CedarValue }
  | { __extn: { fn: string; arg: string } };

/** Keys by which values in JSON say that they are no record: a caller's object must not make an entity of itself. */
const escapes = new Set(['__entity', '__extn', '__expr']);

/** Cedar's reader of JSON stops at 128, records and what is around them included. */
const DEEPEST = 32;

/** A value of a declared attribute: by its type, and what is within a list or an object by what it is. */
export function cedarValue(value: unknown, spec: AttributeSpec | undefined, depth = 0): CedarValue {
  if (depth > DEEPEST) throw new Error('a value is nested too deep for Cedar');
  if (Array.isArray(value)) {
    const items: AttributeSpec | undefined = spec?.items && { type: spec.items };
    return value.map((item) => cedarValue(item, items, depth + 1));
  }
  if (typeof value === 'object' && value !== null) return recordOf(value, depth);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return spec?.type === 'date' ? extension('datetime', value) : value;
  if (typeof value === 'number')
    return spec?.type === 'number' || !Number.isInteger(value) ? decimal(value) : long(value);
  throw new Error(`Cedar has no value for ${typeof value}`);
}

function recordOf(value: object, depth: number): CedarValue {
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [safeKey(key), cedarValue(entry, undefined, depth + 1)]),
  );
}

/** The name of an attribute or fact. Throws where Cedar would read it as something else. */
export function safeKey(key: string): string {
  if (escapes.has(key)) throw new Error(`Cedar would not take ${key} for a name`);
  return key;
}

function long(value: number): number {
  if (!Number.isSafeInteger(value)) throw new Error(`${value} is no whole number that is exact`);
  return value;
}

/** Cedar's decimals have four digits behind the point, and 63 bits in all. */
const LARGEST_DECIMAL = 900_000_000_000_000;

function decimal(value: number): CedarValue {
  const text = (value === 0 ? 0 : value).toFixed(4);
  if (!(Math.abs(value) <= LARGEST_DECIMAL) || Number(text) !== value)
    throw new Error(`${value} is no decimal of Cedar: at most four digits behind the point`);
  return extension('decimal', text);
}

/** IPv4 written as IPv6 is IPv4, as it is for `$cidr`. */
export function ipValue(value: unknown): CedarValue {
  if (typeof value !== 'string' || !ipaddr.isValid(value)) throw new Error('context.ip is no address');
  return extension('ip', ipaddr.process(value).toString());
}

function extension(fn: string, arg: string): CedarValue {
  return { __extn: { fn, arg } };
}
