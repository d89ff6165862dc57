/** Boolean SQL as a tree: negations are pushed down to the tests, so that NULL never has to be told from false above them. */
import type { Knex } from 'knex';

/** A piece of SQL with its bound parameters, `?` and `??` as in `knex.raw`. */
export interface Fragment {
  text: string;
  bindings: readonly Knex.RawBinding[];
}

/**
 * What a row must meet. A test whose SQL is NULL is not met. In a tree without negations above the tests that is what
 * WHERE makes of it, and an index can be used; a negated test is `IS NOT TRUE`.
 */
export type Expression =
  | { kind: 'fixed'; value: boolean }
  | { kind: 'test'; met: Fragment; negated: boolean; equality?: Equality }
  | { kind: 'all' | 'any'; of: readonly Expression[] };

/** A test that a column has one of some values: several of them in an "or" become one list. */
export interface Equality {
  column: Fragment;
  /** The cast of the parameter: `uuid`. */
  type: string;
  values: readonly Knex.RawBinding[];
}

export const TRUE: Expression = Object.freeze({ kind: 'fixed', value: true });
export const FALSE: Expression = Object.freeze({ kind: 'fixed', value: false });

export function fixed(value: boolean): Expression {
  return value ? TRUE : FALSE;
}

/** Puts fragments together: what stands in the template is SQL, what is put in keeps its parameters. */
export function sql(texts: TemplateStringsArray, ...parts: readonly Fragment[]): Fragment {
  return {
    text: parts.reduce((so, part, index) => so + part.text + (texts[index + 1] ?? ''), texts[0] ?? ''),
    bindings: parts.flatMap((part) => part.bindings),
  };
}

/** SQL of our own: an operator, a name that we made. Never anything that a rule or a request says. */
export function raw(text: string): Fragment {
  return { text, bindings: [] };
}

/** A bound parameter of a type. */
export function bind(value: Knex.RawBinding, type: string): Fragment {
  return { text: `?::${type}`, bindings: [value] };
}

/** Several of them with the same between. */
export function join(parts: readonly Fragment[], between: string): Fragment {
  return {
    text: parts.map(({ text }) => text).join(between),
    bindings: parts.flatMap(({ bindings }) => bindings),
  };
}

export function test(met: Fragment): Expression {
  return { kind: 'test', met, negated: false };
}

/** The column has one of the values, each of the type that `type` casts to. */
export function equalsOneOf(column: Fragment, type: string, values: readonly Knex.RawBinding[]): Expression {
  const [first] = values;
  if (first === undefined) return FALSE;
  const met =
    values.length === 1
      ? sql`${column} = ${bind(first, type)}`
      : sql`${column} = ANY (${{ text: `?::${type}[]`, bindings: [[...values] as Knex.RawBinding] }})`;
  return { kind: 'test', met, negated: false, equality: { column, type, values } };
}

export function all(parts: readonly Expression[]): Expression {
  const open = flat('all', parts);
  if (open.some((part) => part === FALSE)) return FALSE;
  return group(
    'all',
    open.filter((part) => part !== TRUE),
    TRUE,
  );
}

export function any(parts: readonly Expression[]): Expression {
  const open = flat('any', parts);
  if (open.some((part) => part === TRUE)) return TRUE;
  return group('any', mergeAlike(open.filter((part) => part !== FALSE)), FALSE);
}

/** By De Morgan. */
export function not(expression: Expression): Expression {
  switch (expression.kind) {
    case 'fixed':
      return fixed(!expression.value);
    case 'all':
      return any(expression.of.map(not));
    case 'any':
      return all(expression.of.map(not));
    case 'test':
      return { ...expression, negated: !expression.negated };
  }
}

/** The SQL of it. */
export function render(expression: Expression): Fragment {
  switch (expression.kind) {
    case 'fixed':
      return { text: String(expression.value), bindings: [] };
    case 'test': {
      const { met, negated, equality } = expression;
      if (!negated) return met;
      const [value, ...others] = equality?.values ?? [];
      return equality && value !== undefined && others.length === 0
        ? sql`${equality.column} IS DISTINCT FROM ${bind(value, equality.type)}`
        : sql`(${met}) IS NOT TRUE`;
    }
    case 'all':
    case 'any': {
      const between = expression.kind === 'all' ? ' AND ' : ' OR ';
      return sql`(${join(expression.of.map(render), between)})`;
    }
  }
}

function flat(kind: 'all' | 'any', parts: readonly Expression[]): Expression[] {
  return parts.flatMap((part) => (part.kind === kind ? part.of : [part]));
}

function group(kind: 'all' | 'any', parts: readonly Expression[], none: Expression): Expression {
  const [first] = parts;
  if (first === undefined) return none;
  return parts.length === 1 ? first : { kind, of: parts };
}

/** One of a column's values and, with it, what else must be met: a way to read a part of an "or". */
interface Alternative {
  /** Alternatives of one key differ in nothing but the values. */
  key: string;
  equality: Equality;
  rest: readonly Expression[];
}

/** A hundred rules for a hundred owners are one list of a hundred; so are those that ask the same beside it. */
function mergeAlike(parts: readonly Expression[]): readonly Expression[] {
  if (parts.length < 2) return parts;
  const read = parts.map(alternativesIn);
  const counts = new Map<string, number>();
  for (const { key } of read.flat()) counts.set(key, (counts.get(key) ?? 0) + 1);
  const alike = new Map<string | Expression, { first: Expression; of: Alternative[] }>();
  for (const [index, part] of parts.entries()) {
    const found = mostFrequent(read[index] ?? [], counts);
    const group = alike.get(found?.key ?? part);
    if (found && group) group.of.push(found);
    else alike.set(found?.key ?? part, { first: part, of: found ? [found] : [] });
  }
  if (alike.size === parts.length) return parts;
  return mergeAlike([...alike.values()].map(({ first, of }) => (of.length > 1 ? merged(of) : first)));
}

function alternativesIn(part: Expression): Alternative[] {
  const tests = part.kind === 'all' ? part.of : [part];
  const keys = tests.map(keyOf);
  return tests.flatMap((one, index) => {
    if (one.kind !== 'test' || one.negated || !one.equality) return [];
    const { column, type } = one.equality;
    const key = [type, column.text, ...column.bindings, ...keys.toSpliced(index, 1)].join('\0');
    return [{ key, equality: one.equality, rest: tests.toSpliced(index, 1) }];
  });
}

function mostFrequent(
  alternatives: readonly Alternative[],
  counts: ReadonlyMap<string, number>,
): Alternative | undefined {
  const [first, ...others] = alternatives;
  return others.reduce(
    (most, one) => (most && (counts.get(one.key) ?? 0) > (counts.get(most.key) ?? 0) ? one : most),
    first,
  );
}

function merged(alternatives: readonly Alternative[]): Expression {
  const [{ equality, rest } = {} as Alternative] = alternatives;
  const values = new Set(alternatives.flatMap((one) => one.equality.values));
  return all([equalsOneOf(equality.column, equality.type, [...values]), ...rest]);
}

/** The same for what is the same SQL with the same parameters. */
function keyOf(expression: Expression): string {
  switch (expression.kind) {
    case 'fixed':
      return String(expression.value);
    case 'test':
      return `${expression.negated}${expression.met.text}${JSON.stringify(expression.met.bindings)}`;
    default:
      return `${expression.kind}(${expression.of.map(keyOf).join(',')})`;
  }
}
