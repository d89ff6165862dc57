/** The operators of the rule language: what each accepts when a rule is written, and what it tests when one is asked. */
import ipaddr from 'ipaddr.js';
import { attributeTypes, expectedOf, misfit } from './attributes.ts';
import type { Operand, Scalar, TestOperator } from './condition.ts';
import type { AttributeSpec } from './policy.ts';
import { compilePattern, MOST_PIECES, patternSize } from './rule-pattern.ts';

/** A value found at a path: undefined where there is none. */
export type Found = unknown;

interface Operator {
  /** `list`: takes several values; the template in it must be a list too. */
  takes: 'value' | 'list' | 'number' | 'boolean' | 'pattern' | 'network';
  /** What is wrong with using it on an attribute so declared, if anything. */
  unfit?(spec: AttributeSpec): string | undefined;
  /** Makes the test for an operand without templates. */
  test(value: Exclude<Operand, { template: string }>): (found: Found) => boolean;
}

export const LONGEST_PATTERN = 200;

const ordering = (accept: (order: number) => boolean): Operator => ({
  takes: 'value',
  unfit: (spec) =>
    attributeTypes[elementOf(spec).type].ordered ? undefined : `a ${elementOf(spec).type} has no order`,
  test: (value) =>
    anyElement((found) => typeof found === typeof value && accept(compare(found as Scalar, value as Scalar))),
});

const onlyArrays = (spec: AttributeSpec): string | undefined =>
  spec.type === 'array' ? undefined : `needs an array, this is a ${spec.type}`;

/** Absent attributes equal nothing and are ordered against nothing; `$ne` and `$nin` are the plain opposites of `$eq` and `$in`. */
export const operators: Record<TestOperator, Operator> = {
  $eq: { takes: 'value', test: (value) => anyElement((found) => found === value) },
  $ne: { takes: 'value', test: (value) => not(anyElement((found) => found === value)) },
  $lt: ordering((order) => order < 0),
  $lte: ordering((order) => order <= 0),
  $gt: ordering((order) => order > 0),
  $gte: ordering((order) => order >= 0),
  $in: { takes: 'list', test: (value) => oneOf(value) },
  $nin: { takes: 'list', test: (value) => not(oneOf(value)) },
  $all: {
    takes: 'list',
    unfit: onlyArrays,
    test: (value) => (found) => Array.isArray(found) && asList(value).every((item) => found.includes(item)),
  },
  $size: {
    takes: 'number',
    unfit: onlyArrays,
    test: (value) => (found) => Array.isArray(found) && found.length === value,
  },
  $exists: { takes: 'boolean', test: (value) => (found) => (found !== undefined) === value },
  $regex: {
    takes: 'pattern',
    unfit: (spec) =>
      elementOf(spec).type === 'string' ? undefined : `needs a string, this is a ${spec.type}`,
    test: (value) => {
      const pattern = compilePattern(String(value));
      return anyElement((found) => typeof found === 'string' && pattern.test(found));
    },
  },
  $cidr: {
    takes: 'network',
    unfit: (spec) => (spec.type === 'string' ? undefined : `needs a string, this is a ${spec.type}`),
    test: (value) => {
      const networks = asList(value).map((network) => networkOf(String(network)));
      return (found) => typeof found === 'string' && networks.some((network) => isWithin(found, network));
    },
  },
};

export function isTestOperator(name: string): name is TestOperator {
  return Object.hasOwn(operators, name);
}

/** What is wrong with `value` for this operator on an attribute so declared (undefined: not declared), or undefined. */
export function valueProblem(
  operator: TestOperator,
  value: unknown,
  spec: AttributeSpec | undefined,
): string | undefined {
  switch (operators[operator].takes) {
    case 'boolean':
      return typeof value === 'boolean' ? undefined : 'must be true or false';
    case 'number':
      return Number.isInteger(value) && Number(value) >= 0 ? undefined : 'must be a whole number, 0 or more';
    case 'pattern':
      return patternProblem(value);
    case 'network':
      return networkProblem(value);
    default:
      return scalarProblem(value, spec);
  }
}

/** The declaration of what a comparison compares with: an array's elements, or the attribute itself. */
export function elementOf(spec: AttributeSpec): AttributeSpec {
  return spec.type === 'array' ? { type: spec.items ?? 'string' } : spec;
}

function scalarProblem(value: unknown, spec: AttributeSpec | undefined): string | undefined {
  if (value === null) return 'must not be null; a missing attribute is {"$exists": false}';
  if (!['string', 'number', 'boolean'].includes(typeof value))
    return 'must be a string, a number, true or false';
  if (!spec) return undefined;
  if (spec.type === 'array' && !spec.items) return undefined;
  const element = elementOf(spec);
  if (element.type === 'object') return 'is an object as a whole; compare one of its attributes instead';
  return misfit(value, element) && `must be ${expectedOf(element)}`;
}

function patternProblem(value: unknown): string | undefined {
  if (typeof value !== 'string') return 'must be a pattern (a string)';
  if (value.length > LONGEST_PATTERN) return `must be at most ${LONGEST_PATTERN} characters`;
  const size = patternSize(value);
  if (size > MOST_PIECES)
    return `must be at most ${MOST_PIECES} pieces with its bounds multiplied out, not ${size}`;
  try {
    compilePattern(value);
    // What could not be counted is no pattern, or one that we misread.
    return Number.isNaN(size) ? 'has groups that cannot be counted; write its brackets with \\' : undefined;
  } catch (error) {
    return `is not a pattern that runs in linear time (RE2 syntax): ${error instanceof Error ? error.message : error}`;
  }
}

function networkProblem(value: unknown): string | undefined {
  const networks = asList(value as Operand);
  const wrong = networks.find((network) => typeof network !== 'string' || !isNetwork(network));
  if (networks.length > 0 && wrong === undefined) return undefined;
  return 'must be a network such as 10.0.0.0/8 or 2001:db8::/32, or a list of them';
}

/** Only networks written out: the old short and octal forms (10/8, 010.0.0.0/8) mean something else than they seem to. */
function isNetwork(text: string): boolean {
  return ipaddr.IPv4.isValidCIDRFourPartDecimal(text) || ipaddr.IPv6.isValidCIDR(text);
}

/** IPv4 written as IPv6 (::ffff:10.0.0.0/104) is IPv4, as it is in addresses. */
function networkOf(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  const [address, bits] = ipaddr.parseCIDR(text);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96
    ? [address.toIPv4Address(), bits - 96]
    : [address, bits];
}

function isWithin(address: string, [network, bits]: [ipaddr.IPv4 | ipaddr.IPv6, number]): boolean {
  if (!ipaddr.IPv4.isValidFourPartDecimal(address) && !ipaddr.IPv6.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  return parsed.kind() === network.kind() && parsed.match(network, bits);
}

function oneOf(value: Operand): (found: Found) => boolean {
  const values = new Set<unknown>(asList(value));
  return anyElement((found) => values.has(found));
}

/** As MongoDB and CASL do: a test on an array is met when one of its elements meets it. */
function anyElement(test: (found: Found) => boolean): (found: Found) => boolean {
  return (found) => (Array.isArray(found) ? found.some(test) : test(found));
}

function not(test: (found: Found) => boolean): (found: Found) => boolean {
  return (found) => !test(found);
}

function compare(a: Scalar, b: Scalar): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function asList(value: Operand): (Scalar | { template: string })[] {
  return Array.isArray(value) ? value : [value];
}
