/** Values written as Cedar writes them. */
import ipaddr from 'ipaddr.js';
import type { AttributeType } from '../policy.ts';

/** What is written cannot be said in Cedar, and why: the end of a sentence that begins with the rule. */
export class InexpressibleError extends Error {
  override name = 'InexpressibleError';
}

export function inexpressible(why: string): never {
  throw new InexpressibleError(why);
}

/** The kind of value that an attribute of a type has in Cedar; undefined: none that expressions could compare. */
export const comparedAs: Record<AttributeType, string | undefined> = {
  string: 'String',
  uuid: 'String',
  boolean: 'Boolean',
  integer: 'Long',
  number: 'decimal',
  date: 'datetime',
  array: undefined,
  object: undefined,
};

const escapesOf: Record<string, string> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** A string; throws InexpressibleError for half a character. */
export function stringLiteral(text: string): string {
  if (!text.isWellFormed()) inexpressible('compares with half a character (a lone surrogate)');
  const inner = text.replaceAll(/["\\\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return escapesOf[character] ?? `\\u{${code.toString(16)}}`;
  });
  return `"${inner}"`;
}

/** A value of an attribute of this type. Throws InexpressibleError where Cedar has no such value. */
export function literal(value: string | number | boolean, type: AttributeType): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string')
    return type === 'date' ? `datetime(${stringLiteral(value)})` : stringLiteral(value);
  if (type !== 'number') return Number.isSafeInteger(value) ? String(value + 0) : unsayable(value);
  const text = (value === 0 ? 0 : value).toFixed(4);
  return Math.abs(value) <= 9e14 && Number(text) === value ? `decimal("${text}")` : unsayable(value);
}

function unsayable(value: number): never {
  return inexpressible(`compares with ${value}, which is no number of Cedar`);
}

/** A network, IPv4 written as IPv6 being IPv4. */
export function networkLiteral(network: string): string {
  const [address, bits] = ipaddr.parseCIDR(network);
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96;
  return isMapped
    ? `ip("${address.toIPv4Address().toString()}/${bits - 96}")`
    : `ip("${address.toString()}/${bits}")`;
}

const words = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar']);

/** An attribute of something, and whether it is there. */
export function attributeOf(of: string, name: string): { value: string; has: string } {
  return words.has(name)
    ? { value: `${of}["${name}"]`, has: `${of} has "${name}"` }
    : { value: `${of}.${name}`, has: `${of} has ${name}` };
}
