/** Condition trees made into functions: compiled once per rule, asked on every request. */
import type { Condition } from './condition.ts';
import { operators } from './operators.ts';

/** Facts by name, on a null prototype: what a condition is asked about. */
export type Facts = Readonly<Record<string, unknown>>;
export type Matcher = (facts: Facts) => boolean;

/** The function that tells whether facts meet the condition. Templates must have been settled before. */
export function compileCondition(condition: Condition): Matcher {
  switch (condition.kind) {
    case 'fixed':
      return () => condition.value;
    case 'all':
      return every(condition.of.map(compileCondition));
    case 'any': {
      const parts = condition.of.map(compileCondition);
      return (facts) => parts.some((part) => part(facts));
    }
    case 'not': {
      const inner = compileCondition(condition.of);
      return (facts) => !inner(facts);
    }
    case 'element':
      return compileElement(condition.path, condition.of);
    case 'test':
      return compileTest(condition);
  }
}

function compileTest({ path, operator, value }: Extract<Condition, { kind: 'test' }>): Matcher {
  if (typeof value === 'object' && 'template' in value)
    throw new Error(`template principal.${value.template} was not settled`);
  const test = operators[operator].test(value);
  if (!path.includes('.')) return (facts) => test(facts[path]);
  const segments = path.split('.');
  if (operator === '$size' || operator === '$exists')
    return compileStructural(segments, test, operator, value);
  return (facts) => test(read(facts, segments));
}

/** Through an array these are about each element's own value, as in MongoDB, not about the values put together. */
function compileStructural(
  segments: string[],
  test: (found: unknown) => boolean,
  operator: '$size' | '$exists',
  value: unknown,
): Matcher {
  const parents = segments.slice(0, -1);
  const last = segments.slice(-1);
  const isAbsence = operator === '$exists' && value === false;
  return (facts) => {
    const parent = read(facts, parents);
    if (!Array.isArray(parent)) return test(read(parent, last));
    return isAbsence
      ? parent.every((item) => isArray(item) || test(read(item, last)))
      : parent.some((item) => !isArray(item) && test(read(item, last)));
  };
}

const isArray: (value: unknown) => boolean = Array.isArray;

/** An element that is no object is known to its tests by the name ''. */
function compileElement(path: string, of: Condition): Matcher {
  const inner = compileCondition(of);
  const segments = path.split('.');
  return (facts) => {
    const found = read(facts, segments);
    return (
      Array.isArray(found) &&
      found.some((item) =>
        inner(isObject(item) ? Object.assign(Object.create(null), item, { '': item }) : { '': item }),
      )
    );
  };
}

function every(parts: Matcher[]): Matcher {
  const [first, second] = parts;
  if (parts.length === 2 && first && second) return (facts) => first(facts) && second(facts);
  return (facts) => parts.every((part) => part(facts));
}

/** The value at a path; through an array, the values of its elements (as MongoDB does). Undefined: nothing there. */
export function read(facts: unknown, segments: readonly string[]): unknown {
  let current = facts;
  for (let i = 0; i < segments.length; i++) {
    if (Array.isArray(current)) {
      const rest = segments.slice(i);
      const found = current
        .flatMap((item) => (Array.isArray(item) ? [] : read(item, rest)))
        .filter((value) => value !== undefined);
      return found.length > 0 ? found : undefined;
    }
    const segment = segments[i];
    if (!isObject(current) || segment === undefined || !Object.hasOwn(current, segment)) return undefined;
    current = current[segment];
  }
  return current;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
