/** An ability as a WHERE: the rows of a table that the principal may do the action to, found by Postgres. */
import type { Knex } from 'knex';
import type { Model, ModelClass, QueryBuilderType } from 'objection';
import { AppError } from '../errors.ts';
import { requestFacts } from '../evaluators/rule-index.ts';
import { type Ability, type AbilityRule, isAlways } from '../policy/ability.ts';
import { ANCESTORS } from '../policy/built-in.ts';
import { ALWAYS, type Condition, isTemplate, type Operand } from '../policy/condition.ts';
import { compileCondition, type Facts } from '../policy/matcher.ts';
import { operators } from '../policy/operators.ts';
import { ANY_ACTION, ANY_TYPE, type AttributeSpec, type ResourceType } from '../policy/policy.ts';
import type { Database } from '../storage/postgres.ts';
import type { Column, Source } from './source.ts';
import { columnProblem, elementOfColumn, misfitColumn, testColumn } from './sql/column.ts';
import { all, any, type Expression, FALSE, type Fragment, not, render } from './sql/expression.ts';
import { translateGroup } from './sql/group.ts';
import { Untranslatable } from './sql/untranslatable.ts';

/** The evaluator whose rules become SQL. */
export const TRANSLATED = 'casl';

/** The rows of a resource type, and for what. */
export interface Rows {
  type: ResourceType;
  source: Source;
  /** How the query calls the table; left out: by its name. */
  as?: string;
  /** Of entities: those with an ancestor that meets a condition. Throws `Untranslatable`. Rows of other tables lie in nothing. */
  above?: (of: Condition) => Expression;
}

export interface FilterOptions extends Rows {
  ability: Ability;
  action: string;
  /** What rules see of the action beside its name. */
  properties?: Facts;
  context: Facts;
  /** A dotted path: then those rows for which the action is allowed on that field. */
  field?: string;
}

/**
 * Narrows a query to the rows for which `decide` would allow the action. Throws `internal_error` with the rule's id for
 * a rule that cannot be asked of the table: a list is never silently wider or narrower than the decisions.
 */
export function narrow<Query extends Narrowed>(query: Query, options: FilterOptions): Query {
  return where(query, filterOf(options));
}

interface Narrowed {
  whereRaw(sql: string, bindings: Knex.RawBinding[]): unknown;
}

/** Narrows a query by an expression. */
export function where<Query extends Narrowed>(query: Query, expression: Expression): Query {
  const { text, bindings } = render(expression);
  query.whereRaw(text, [...bindings]);
  return query;
}

/** A model whose rows are resources. */
export interface ResourceModel<M extends Model = Model> extends ModelClass<M> {
  resource: string;
  source: Source;
}

export interface AccessibleOptions {
  /** The resource types of the snapshot that the ability is made of. */
  types: ReadonlyMap<string, ResourceType>;
  /** The database or a transaction; left out: what the model is bound to. */
  db?: Database;
  /** Facts of the request, for rules that ask about them. */
  context?: Facts;
  as?: string;
}

/**
 * The rows of a model for which `decide` would allow the action, as a query to go on with: count, order, join, page.
 * What is asked beside it with `or` belongs in one `where((group) => …)`: `orWhere` on the query itself would add rows that
 * were never decided on. Throws as `narrow` does.
 */
export function accessibleBy<M extends Model>(
  ability: Ability,
  action: string,
  model: ResourceModel<M>,
  { types, db, context = {}, as }: AccessibleOptions,
): QueryBuilderType<M> {
  const type = types.get(model.resource);
  if (!type) throw new AppError('internal_error', { detail: `unknown resource type ${model.resource}` });
  const query = model.query(db);
  if (as !== undefined) query.alias(as);
  const rows = { type, source: model.source, ...(as !== undefined && { as }) };
  return narrow(query, { ability, action, context, ...rows });
}

/** The WHERE of it, with its parameters: `?` and `??` as in `knex.raw`. */
export function filterSql(options: FilterOptions): Fragment {
  return render(filterOf(options));
}

/** What abilities came to: whoever pages through a list asks the same again. What asks about the request is made each time. */
const filters = new WeakMap<Ability, { of: FilterOptions; filter: Expression }[]>();

/** What a row must meet for the action to be allowed on it. Throws as `narrow` does. */
export function filterOf(options: FilterOptions): Expression {
  const { ability, action, type, source, field, as, above } = options;
  if (type.evaluator !== TRANSLATED)
    throw new AppError('internal_error', {
      detail: `the rules of ${type.type} are none that a table can be asked`,
    });
  // A rule about every action is about none that the type does not have.
  if (!type.actions.includes(action)) return FALSE;
  const known = filters.get(ability) ?? [];
  const before = known.find(
    ({ of }) =>
      of.action === action &&
      of.type === type &&
      of.source === source &&
      of.field === field &&
      of.as === as &&
      of.above === above,
  );
  if (before) return before.filter;
  const about = rulesAbout(ability.rules, action, type.type).filter((rule) => covers(rule, field));
  const filter = foldRules(about, options);
  if (about.every(({ when }) => isAlways(when)))
    filters.set(ability, [...known, { of: { ...options, context: {} }, filter }]);
  return filter;
}

/** Rules are folded in CASL's order, so that the last that matches a row settles it. */
function foldRules(about: readonly AbilityRule[], options: FilterOptions): Expression {
  const { action: name, properties = {}, context } = options;
  const facts = requestFacts({ action: { name, properties }, context });
  let filter = FALSE;
  for (const { effect, rules } of runsOf(about)) {
    const conditions = rules
      .filter(({ when }) => isAlways(when) || compileCondition(when)(facts))
      .map((rule) => conditionOf(rule, options));
    if (conditions.length === 0) continue;
    filter = effect === 'allow' ? any([filter, ...conditions]) : all([filter, not(any(conditions))]);
  }
  return filter === FALSE ? FALSE : all([filter, ...misfits(options).map(not)]);
}

/** Why attributes so declared cannot be asked of the table, by attribute. */
export function columnProblems(
  type: ResourceType,
  { columns }: Source,
): { attribute: string; message: string }[] {
  return Object.entries(declaredOf(type)).flatMap(([attribute, spec]) => {
    const column = Object.hasOwn(columns, attribute) ? columns[attribute] : undefined;
    const message = column && columnProblem(spec, column.type);
    return message === undefined ? [] : [{ attribute, message }];
  });
}

/** Why the condition of a rule cannot be asked of the table, whoever asks; undefined where it can. */
export function conditionProblem(condition: Condition, rows: Rows): string | undefined {
  try {
    translate(withSamples(condition), rows);
    return undefined;
  } catch (cause) {
    if (cause instanceof Untranslatable) return cause.message;
    throw cause;
  }
}

/** Rules side by side that have one effect. */
function runsOf(rules: readonly AbilityRule[]): { effect: AbilityRule['effect']; rules: AbilityRule[] }[] {
  const runs: { effect: AbilityRule['effect']; rules: AbilityRule[] }[] = [];
  for (const rule of rules) {
    const last = runs.at(-1);
    if (last?.effect === rule.effect) last.rules.push(rule);
    else runs.push({ effect: rule.effect, rules: [rule] });
  }
  return runs;
}

/** Those of the rules that are about the action on the resource type. */
export function rulesAbout<R extends Pick<AbilityRule, 'actions' | 'subjects'>>(
  rules: readonly R[],
  action: string,
  resource: string,
): R[] {
  const of = (list: readonly string[], one: string, any: string) => list.includes(one) || list.includes(any);
  return rules.filter(
    (rule) => of(rule.actions, action, ANY_ACTION) && of(rule.subjects, resource, ANY_TYPE),
  );
}

/** As in a decision: on the row as a whole, a deny of some fields leaves the row. */
function covers({ effect, fields }: AbilityRule, field: string | undefined): boolean {
  if (!fields) return true;
  return field === undefined
    ? effect === 'allow'
    : fields.some((granted) => field === granted || field.startsWith(`${granted}.`));
}

function conditionOf(rule: AbilityRule, rows: Rows): Expression {
  try {
    return translate(rule.condition, rows);
  } catch (cause) {
    if (!(cause instanceof Untranslatable)) throw cause;
    throw new AppError('internal_error', {
      detail: `rule ${rule.id} cannot be asked of the table ${rows.source.table}: ${cause.message}`,
      cause,
    });
  }
}

/** A condition about the rows, without templates. Throws `Untranslatable`. */
export function translate(condition: Condition, rows: Rows): Expression {
  switch (condition.kind) {
    case 'test': {
      const isAsked = condition.path === ANCESTORS && condition.operator === '$exists';
      if (rows.above && isAsked)
        return condition.value === true ? rows.above(ALWAYS) : not(rows.above(ALWAYS));
      const [name = '', ...below] = condition.path.split('.');
      return testColumn(columnOf(name, rows), below, condition);
    }
    case 'element': {
      if (rows.above && condition.path === ANCESTORS) return rows.above(condition.of);
      const [name = '', ...below] = condition.path.split('.');
      return elementOfColumn(columnOf(name, rows), below, condition);
    }
    default:
      return translateGroup(condition, (part) => translate(part, rows));
  }
}

/** What no decision takes, such as infinity where a number should be, denies the row. */
function misfits(rows: Rows): Expression[] {
  const { type, source } = rows;
  return Object.entries(declaredOf(type))
    .filter(([name, spec]) => Object.hasOwn(source.columns, name) && !isChecked(source.columns[name], spec))
    .map(([name, spec]) => misfitColumn(columnOf(name, rows), spec));
}

/** As in a decision: what a resource is known by is an attribute, declared or not. */
function declaredOf({ attributes }: ResourceType): Record<string, AttributeSpec> {
  return { id: { type: 'string' }, ...attributes };
}

/** No CHECK is asked for that numbers are whole. */
function isChecked(column: Column | undefined, { type }: AttributeSpec): boolean {
  return column?.checked === true && (type !== 'integer' || column.type === 'integer');
}

function columnOf(name: string, { type, source, as }: Rows) {
  // Entities have parents, rows of tables none: whatever a column of this name held, it would not be that.
  if (name === ANCESTORS)
    throw new Untranslatable(`${type.type} is in a table, and its rows have no ${ANCESTORS}`);
  const column = Object.hasOwn(source.columns, name) ? source.columns[name] : undefined;
  if (!column) throw new Untranslatable(`${type.type}.${name} has no column in ${source.table}`);
  const spec = declaredOf(type)[name] ?? { type: 'string' };
  const problem = columnProblem(spec, column.type);
  if (problem !== undefined) throw new Untranslatable(`${type.type}.${name}: ${problem}`);
  const path = `${as ?? source.table}.${column.column}`;
  return { column: { text: '??', bindings: [path] }, type: column.type };
}

/** With something in the place of each template: whether a test can be asked does not depend on what it is. */
function withSamples(condition: Condition): Condition {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { ...condition, of: condition.of.map(withSamples) };
    case 'not':
    case 'element':
      return { ...condition, of: withSamples(condition.of) };
    case 'test':
      return { ...condition, value: sample(condition.value, operators[condition.operator].takes === 'list') };
    case 'fixed':
      return condition;
  }
}

function sample(value: Operand, list: boolean): Operand {
  if (isTemplate(value)) return list ? ['sample'] : 'sample';
  return Array.isArray(value) ? value.map((item) => (isTemplate(item) ? 'sample' : item)) : value;
}
