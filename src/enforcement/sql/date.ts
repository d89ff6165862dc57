/** Tests on instants. Decisions see them as text in milliseconds (ISO 8601, UTC), columns hold microseconds. */
import type { TestOperator } from '../../policy/condition.ts';
import { all, any, bind, type Expression, type Fragment, raw, sql, test } from './expression.ts';
import { compareText } from './text.ts';

const canonical = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** A comparison of a column with a text: an instant, or, from a value that nobody declared, any other. */
export function compareDate(column: Fragment, operator: TestOperator, value: string): Expression {
  const atMs = canonical.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(atMs) || new Date(atMs).toISOString() !== value)
    return compareText(asText(column), operator, value);
  const bounded = (order: string, ms: number) =>
    test(sql`${column} ${raw(order)} ${bind(instant(ms), 'timestamptz')}`);
  switch (operator) {
    case '$eq':
      return all([bounded('>=', atMs), bounded('<', atMs + 1)]);
    case '$lt':
      return bounded('<', atMs);
    case '$lte':
      return bounded('<', atMs + 1);
    case '$gt':
      return bounded('>=', atMs + 1);
    case '$gte':
      return bounded('>=', atMs);
    default:
      return compareText(asText(column), operator, value);
  }
}

/** Instants that no decision can compare: infinite, or of a year without four digits. */
export function misfitDate(column: Fragment): Expression {
  return any([
    test(sql`${column} < ${bind(instant(FIRST_MS), 'timestamptz')}`),
    test(sql`${column} >= ${bind(instant(LAST_MS + 1), 'timestamptz')}`),
  ]);
}

const FIRST_MS = Date.parse('0000-01-01T00:00:00.000Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** As decisions see it. PostgreSQL has no year 0; it is 1 BC. */
function asText(column: Fragment): Fragment {
  const utc = sql`(${column} AT TIME ZONE 'UTC')`;
  const year = sql`CASE WHEN ${column} < '0001-01-01Z'::timestamptz THEN '0000' ELSE to_char(${utc}, 'YYYY') END`;
  return sql`(${year} || to_char(${utc}, '-MM-DD"T"HH24:MI:SS.MS"Z"'))`;
}

/** As PostgreSQL reads it. */
function instant(atMs: number): string {
  const text = new Date(atMs).toISOString();
  if (text.startsWith('0000-')) return `0001-${text.slice(5)} BC`;
  return text.startsWith('+') ? text.slice(1).replace(/^0+/, '') : text;
}
