/** An ability as a WHERE: the rows of a table that the principal may do the action to, found by Postgres. */
import type { Knex } from 'knex';
import { AppError } from '../errors.ts';
import { requestFacts } from '../evaluators/rule-index.ts';
import type { Ability, AbilityRule } from '../policy/ability.ts';
import type { Condition, Operand } from '../policy/condition.ts';
import { compileCondition, type Facts } from '../policy/matcher.ts';
import { ANY_ACTION, ANY_TYPE } from '../policy/policy.ts';

export interface FilterOptions {
  ability: Ability;
  action: string;
  resource: string;
  context: Facts;
  /** Attribute -> column. A rule about any other attribute cannot be asked of the table. */
  columns: Readonly<Record<string, string>>;
}

/** A boolean SQL expression that is never NULL, with its bound parameters. */
interface Sql {
  text: string;
  bindings: Knex.RawBinding[];
}

const TRUE: Sql = { text: 'true', bindings: [] };
const FALSE: Sql = { text: 'false', bindings: [] };

/**
 * Narrows a query to the rows for which `decide` would allow the action. Rules are folded in CASL's order, so that the
 * last that matches a row settles it. Throws `internal_error` for a rule that cannot be asked of the table: a list is
 * never silently wider or narrower than the decisions.
 */
export function accessibleBy(query: Knex.QueryBuilder, options: FilterOptions): Knex.QueryBuilder {
  const { text, bindings } = filterSql(options);
  return query.whereRaw(text, bindings);
}

/** The expression itself. */
export function filterSql({ ability, action, resource, context, columns }: FilterOptions): Sql {
  const facts = requestFacts({ action: { name: action }, context });
  let filter = FALSE;
  for (const rule of ability.rules) {
    if (!isAbout(rule, action, resource) || !compileCondition(rule.when)(facts)) continue;
    // As in a decision on the row as a whole: a deny of some fields leaves the row.
    if (rule.effect === 'deny' && rule.fields) continue;
    const condition = translate(rule.condition, columns, rule.id);
    filter = rule.effect === 'allow' ? or(filter, condition) : and(filter, not(condition));
  }
  return filter;
}

function isAbout(rule: AbilityRule, action: string, resource: string): boolean {
  const of = (list: readonly string[], one: string, any: string) => list.includes(one) || list.includes(any);
  return of(rule.actions, action, ANY_ACTION) && of(rule.subjects, resource, ANY_TYPE);
}

function translate(condition: Condition, columns: FilterOptions['columns'], ruleId: string): Sql {
  switch (condition.kind) {
    case 'fixed':
      return condition.value ? TRUE : FALSE;
    case 'all':
      return condition.of.map((part) => translate(part, columns, ruleId)).reduce(and, TRUE);
    case 'any':
      return condition.of.map((part) => translate(part, columns, ruleId)).reduce(or, FALSE);
    case 'not':
      return not(translate(condition.of, columns, ruleId));
    case 'element':
      throw untranslatable(ruleId, `$elemMatch on ${condition.path}`);
    case 'test':
      return translateTest(condition, columns, ruleId);
  }
}

const orders: Partial<Record<string, string>> = { $lt: '<', $lte: '<=', $gt: '>', $gte: '>=' };

/** NULL is a missing attribute: `coalesce` gives each test the answer that the decision gives to it. */
function translateTest(
  { path, operator, value }: Extract<Condition, { kind: 'test' }>,
  columns: FilterOptions['columns'],
  ruleId: string,
): Sql {
  const column = Object.hasOwn(columns, path) ? columns[path] : undefined;
  if (column === undefined) throw untranslatable(ruleId, `the attribute ${path}`);
  const order = orders[operator];
  // Decisions order text by code unit; so does the collation C, whatever that of the database is. A date is text here, too.
  const collation = typeof value === 'string' && !/^\d{4}-\d{2}-\d{2}T/.test(value) ? ' COLLATE "C"' : '';
  if (order) return { text: `coalesce(??${collation} ${order} ?, false)`, bindings: [column, scalar(value)] };
  switch (operator) {
    case '$eq':
      return { text: 'coalesce(?? = ?, false)', bindings: [column, scalar(value)] };
    case '$ne':
      return not(translateTest({ kind: 'test', path, operator: '$eq', value }, columns, ruleId));
    case '$in':
      return translateIn(column, value);
    case '$nin':
      return not(translateIn(column, value));
    case '$exists':
      return { text: value ? '?? IS NOT NULL' : '?? IS NULL', bindings: [column] };
    default:
      throw untranslatable(ruleId, `${operator} on ${path}`);
  }
}

function translateIn(column: string, value: Operand): Sql {
  const list = (Array.isArray(value) ? value : [value]).map(scalar);
  if (list.length === 0) return FALSE;
  return { text: `coalesce(?? IN (${list.map(() => '?').join(', ')}), false)`, bindings: [column, ...list] };
}

function scalar(value: Operand): string | number | boolean {
  if (typeof value === 'object')
    throw new AppError('internal_error', { detail: 'a template was not settled' });
  return value;
}

function and(a: Sql, b: Sql): Sql {
  if (a === TRUE || b === FALSE) return b;
  return b === TRUE || a === FALSE
    ? a
    : { text: `(${a.text} AND ${b.text})`, bindings: [...a.bindings, ...b.bindings] };
}

function or(a: Sql, b: Sql): Sql {
  if (a === FALSE || b === TRUE) return b;
  return b === FALSE || a === TRUE
    ? a
    : { text: `(${a.text} OR ${b.text})`, bindings: [...a.bindings, ...b.bindings] };
}

function not(a: Sql): Sql {
  if (a === TRUE) return FALSE;
  return a === FALSE ? TRUE : { text: `NOT ${a.text}`, bindings: a.bindings };
}

function untranslatable(ruleId: string, what: string): AppError {
  return new AppError('internal_error', { detail: `rule ${ruleId} cannot be asked of the table: ${what}` });
}
