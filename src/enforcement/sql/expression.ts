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
      : sql`${column} IN (${join(
          values.map((value) => bind(value, type)),
          ', ',
        )})`;
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
  return group('any', mergeEqualities(open.filter((part) => part !== FALSE)), FALSE);
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

/** A hundred rules for a hundred owners are one list of a hundred. */
function mergeEqualities(parts: Expression[]): Expression[] {
  const merged = new Map<string, { at: number; equality: Equality }>();
  const kept: Expression[] = [];
  for (const part of parts) {
    if (part.kind !== 'test' || part.negated || !part.equality) {
      kept.push(part);
      continue;
    }
    const { column, type, values } = part.equality;
    const key = JSON.stringify([column, type]);
    const before = merged.get(key);
    if (before) {
      before.equality = { column, type, values: [...new Set([...before.equality.values, ...values])] };
      kept[before.at] = equalsOneOf(column, type, before.equality.values);
    } else {
      merged.set(key, { at: kept.length, equality: part.equality });
      kept.push(part);
    }
  }
  return kept;
}
