/** Reads `conditions` or `when` as written into a condition tree, and says everything that is wrong with it. */
import type { Problem } from '../errors.ts';
import { canonical } from './attributes.ts';
import {
  allOf,
  anyOf,
  type Condition,
  isSafePath,
  notOf,
  type Operand,
  type TestOperator,
  templateIn,
} from './condition.ts';
import { elementOf, isTestOperator, operators, valueProblem } from './operators.ts';
import type { AttributeSpec } from './policy.ts';
import { closest } from './suggest.ts';

/** An attribute's declaration; undefined where it is not declared in detail; a problem where it may not be named. */
export type Resolved = { spec?: AttributeSpec } | { problem: string; code: string; suggestion?: string };

/** What a path of the query may name. */
export interface Scope {
  resolve(path: string): Resolved;
  /** The same of one element of a list that has more to say than its declaration; `query`: what is asked of the element. */
  ofElement?(path: string, query: object): ((inner: string) => Resolved) | undefined;
  /** The declaration of a principal's attribute, for templates. */
  principalAttribute(path: string): { spec?: AttributeSpec } | { problem: string; suggestion?: string };
  /** Whether `$cidr` may be used. */
  network: boolean;
}

const groupOperators = ['$and', '$or', '$nor'];
const DEEPEST = 12;
const LONGEST_LIST = 1000;

interface Reading {
  scope: Scope;
  problems: Problem[];
}

/** The tree of a query, and every problem found in it. With problems, the tree is not to be used. */
export function parseQuery(
  query: unknown,
  pointer: string,
  scope: Scope,
): { condition: Condition; problems: Problem[] } {
  const reading: Reading = { scope, problems: [] };
  const condition = readQuery(query, pointer, reading, 0);
  return { condition, problems: reading.problems };
}

function readQuery(query: unknown, pointer: string, reading: Reading, depth: number): Condition {
  if (!isPlainObject(query))
    return refuse(reading, pointer, 'type', 'must be an object: a query in MongoDB style');
  if (depth > DEEPEST)
    return refuse(reading, pointer, 'too_deep', `must not be nested deeper than ${DEEPEST}`);
  return allOfEntries(query, (key, value) => {
    const at = `${pointer}/${escapePointer(key)}`;
    return key.startsWith('$')
      ? readGroup(key, value, at, reading, depth)
      : readField(key, value, at, reading, depth);
  });
}

/**
 * Read as written, so that problems come in that order; put together by key, because a database gives keys back in an
 * order of its own, and what says the same shall be the same tree.
 */
function allOfEntries(query: object, readEntry: (key: string, value: unknown) => Condition): Condition {
  const read = Object.entries(query).map(([key, value]) => ({ key, condition: readEntry(key, value) }));
  return allOf(read.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ condition }) => condition));
}

function readGroup(key: string, value: unknown, at: string, reading: Reading, depth: number): Condition {
  if (key === '$not') return notOf(readQuery(value, at, reading, depth + 1));
  if (!groupOperators.includes(key)) return refuseOperator(reading, at, key, [...groupOperators, '$not']);
  if (!Array.isArray(value) || value.length === 0)
    return refuse(reading, at, 'type', 'must be a list of queries, at least one');
  const parts = value.map((query, index) => readQuery(query, `${at}/${index}`, reading, depth + 1));
  if (key === '$and') return allOf(parts);
  return key === '$or' ? anyOf(parts) : notOf(anyOf(parts));
}

function readField(path: string, value: unknown, at: string, reading: Reading, depth: number): Condition {
  const resolved = reading.scope.resolve(path);
  if ('problem' in resolved) {
    reading.problems.push({
      pointer: at,
      code: resolved.code,
      message: resolved.problem,
      ...suggested(resolved.suggestion),
    });
    return { kind: 'fixed', value: false };
  }
  return readTests(path, value, at, resolved.spec, reading, depth);
}

/** The tests of one path: a bare value for equality, or an object of operators. */
function readTests(
  path: string,
  value: unknown,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
  depth: number,
): Condition {
  if (!isPlainObject(value)) return readTest(path, '$eq', value, at, spec, reading);
  if (Object.keys(value).length === 0)
    return refuse(reading, at, 'type', 'must not be empty; it would match everything');
  return allOfEntries(value, (key, operand) =>
    readOperator(path, key, operand, `${at}/${escapePointer(key)}`, spec, reading, depth),
  );
}

function readOperator(
  path: string,
  key: string,
  operand: unknown,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
  depth: number,
): Condition {
  if (depth > DEEPEST) return refuse(reading, at, 'too_deep', `must not be nested deeper than ${DEEPEST}`);
  if (key === '$not') {
    if (!isPlainObject(operand)) return refuse(reading, at, 'type', 'must be an object of operators');
    return notOf(readTests(path, operand, at, spec, reading, depth + 1));
  }
  if (key === '$elemMatch') return readElement(path, operand, at, spec, reading, depth);
  if (!isTestOperator(key) || (key === '$cidr' && !reading.scope.network)) {
    const known = Object.keys(operators).filter((name) => name !== '$cidr' || reading.scope.network);
    return refuseOperator(reading, at, key, [...known, '$elemMatch', '$not']);
  }
  return readTest(path, key, operand, at, spec, reading);
}

function readElement(
  path: string,
  query: unknown,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
  depth: number,
): Condition {
  if (spec && spec.type !== 'array')
    return refuse(reading, at, 'operator_unfit', `$elemMatch needs an array, this is a ${spec.type}`);
  if (!isPlainObject(query) || Object.keys(query).length === 0)
    return refuse(reading, at, 'type', 'must be an object of operators, or a query about the element');
  const element = spec?.items ? elementOf(spec) : undefined;
  const ofOperators = Object.keys(query).every((key) => key.startsWith('$') && !groupOperators.includes(key));
  const { ofElement, ...scope } = reading.scope;
  const resolve = ofElement?.(path, query) ?? ((inner: string) => resolveBelow(inner, spec));
  const elementScope: Scope = { ...scope, resolve };
  const inner = ofOperators
    ? readTests('', query, at, element, reading, depth + 1)
    : readQuery(query, at, { scope: elementScope, problems: reading.problems }, depth + 1);
  return { kind: 'element', path, of: inner };
}

/** What lies below an element is not declared, but its paths must be safe, and below a plain value lies nothing. */
function resolveBelow(path: string, spec: AttributeSpec | undefined): Resolved {
  if (!isSafePath(path)) return unsafePath(path);
  const items = spec?.items;
  return items && items !== 'object'
    ? { code: 'unknown_attribute', problem: `the elements are of type ${items}; nothing lies below them` }
    : {};
}

function readTest(
  path: string,
  operator: TestOperator,
  value: unknown,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
): Condition {
  const unfit = spec && operators[operator].unfit?.(spec);
  if (unfit) return refuse(reading, at, 'operator_unfit', `${operator} ${unfit}`);
  const operand =
    operators[operator].takes === 'list'
      ? readList(value, operator, at, spec, reading)
      : readOperand(value, operator, at, spec, reading, false);
  return operand === undefined
    ? { kind: 'fixed', value: false }
    : { kind: 'test', path, operator, value: operand };
}

function readList(
  value: unknown,
  operator: TestOperator,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
): Operand | undefined {
  if (templateIn(value)) return readOperand(value, operator, at, spec, reading, true);
  if (!Array.isArray(value))
    return void refuse(reading, at, 'type', 'must be a list, or a template for a list');
  if (value.length > LONGEST_LIST)
    return void refuse(reading, at, 'too_long', `must have at most ${LONGEST_LIST} items`);
  const items = value.map((item, index) =>
    readOperand(item, operator, `${at}/${index}`, spec, reading, false),
  );
  return items as Operand;
}

function readOperand(
  value: unknown,
  operator: TestOperator,
  at: string,
  spec: AttributeSpec | undefined,
  reading: Reading,
  list: boolean,
): Operand | undefined {
  const template = templateIn(value);
  if (template && ['value', 'list'].includes(operators[operator].takes)) {
    return templateFits(template.template, spec, at, reading, list) ? template : undefined;
  }
  const mark = operator === '$regex' ? '${principal.' : '${';
  if (typeof value === 'string' && value.includes(mark)) {
    return void refuse(
      reading,
      at,
      'template',
      `a template stands for a whole value: $\{principal.<attribute>} and nothing beside it`,
    );
  }
  const problem = valueProblem(operator, value, spec);
  if (problem) return void refuse(reading, at, 'value', problem);
  return canonical(value, spec && elementOf(spec).type) as Operand;
}

function templateFits(
  path: string,
  spec: AttributeSpec | undefined,
  at: string,
  reading: Reading,
  list: boolean,
): boolean {
  const resolved = reading.scope.principalAttribute(path);
  if ('problem' in resolved) {
    reading.problems.push({
      pointer: at,
      code: 'template',
      message: resolved.problem,
      ...suggested(resolved.suggestion),
    });
    return false;
  }
  const given = resolved.spec;
  if (!given) return true;
  // A UUID column can be asked for nothing else. `id` is declared as a string, for principals that are no accounts.
  const isUuid = (attribute: AttributeSpec) => elementOf(attribute).type === 'uuid';
  if (spec && isUuid(spec) && !isUuid(given) && path !== 'id') {
    refuse(reading, at, 'template', `principal.${path} is not declared as a uuid, which is needed here`);
    return false;
  }
  if (list !== (given.type === 'array')) {
    refuse(
      reading,
      at,
      'template',
      list
        ? `principal.${path} is a ${given.type}, a list is needed here`
        : `principal.${path} is a list, a single value is needed here`,
    );
    return false;
  }
  if (!spec || comparable(elementOf(given).type, elementOf(spec).type)) return true;
  refuse(
    reading,
    at,
    'template',
    `principal.${path} is a ${elementOf(given).type}, a ${elementOf(spec).type} is needed here`,
  );
  return false;
}

const kinds: Record<string, string> = { integer: 'number', uuid: 'string' };

function comparable(a: string, b: string): boolean {
  return (kinds[a] ?? a) === (kinds[b] ?? b);
}

export function unsafePath(path: string): { problem: string; code: string } {
  return {
    code: 'unsafe_path',
    problem: `"${path}" is not a path: names of letters, digits and _ with dots between, none that objects inherit`,
  };
}

function refuseOperator(reading: Reading, pointer: string, name: string, known: string[]): Condition {
  const suggestion = closest(name, known);
  const message = `${name} is not an operator here${suggestion ? `; did you mean ${suggestion}?` : `; there are ${known.join(' ')}`}`;
  reading.problems.push({ pointer, code: 'unknown_operator', message, ...suggested(suggestion) });
  return { kind: 'fixed', value: false };
}

function refuse(reading: Reading, pointer: string, code: string, message: string): Condition {
  reading.problems.push({ pointer, code, message });
  return { kind: 'fixed', value: false };
}

function suggested(suggestion: string | undefined): { suggestion?: string } {
  return suggestion === undefined ? {} : { suggestion };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 6901 section 3. */
export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
