/** What the evaluator cedar decides by, put to Cedar's own parser and validator. */
import type { Problem } from '../../errors.ts';
import { escapePointer } from '../parse-condition.ts';
import type { AttributeType, CedarPart, Policy, ResourceType } from '../policy.ts';
import { checkEntities } from './check-entities.ts';
import { CedarBrokeError, withCedar } from './engine.ts';
import { joinedSchema } from './join-schema.ts';
import { cedarTypeOf, sameInCedar } from './names.ts';
import { type SchemaShape, schemaShape } from './schema-shape.ts';
import { placeIn, readStatements, type Statement, textProblem } from './statements.ts';

export const CEDAR_EVALUATOR = 'cedar';

/** Whether anything of the policy is about Cedar. */
export function usesCedar({ cedar, resourceTypes }: Policy): boolean {
  return cedar.length > 0 || resourceTypes.some(asksCedar);
}

/** As its evaluator, or as its shadow. */
function asksCedar({ evaluator, shadow }: ResourceType): boolean {
  return evaluator === CEDAR_EVALUATOR || shadow === CEDAR_EVALUATOR;
}

/** Everything that is wrong with it, with pointers into the policy. Cedar is loaded only where a policy is about it. */
export function checkCedar(policy: Policy): Problem[] {
  if (!usesCedar(policy)) return [];
  try {
    return check(policy);
  } catch (cause) {
    if (!(cause instanceof CedarBrokeError)) throw cause;
    return [{ pointer: '/cedar', code: 'cedar', message: cause.message }];
  }
}

function check({ cedar: parts, resourceTypes }: Policy): Problem[] {
  const { statements, problems } = readStatements(parts);
  const found = problems.map(({ part, ...problem }) => inText(parts, part, 'policies', problem));
  const schema = joinedSchema(parts);
  found.push(...checkIds(parts, statements), ...checkSchema(parts, schema), ...checkNames(resourceTypes));
  if (found.length > 0) return found;
  found.push(...checkEntities(parts, schema));
  if (schema === undefined) return found;
  return [
    ...found,
    ...validate(parts, statements, schema),
    ...checkTypes(resourceTypes, schemaShape(schema)),
  ];
}

/** A problem in a text of a part; where Cedar knows the place in the text, it is told. */
function inText(
  parts: readonly CedarPart[],
  part: number,
  key: 'policies' | 'schema',
  { message, start }: { message: string; start?: number | undefined },
): Problem {
  const place = start === undefined ? '' : ` at ${placeIn(parts[part]?.[key] ?? '', start)}`;
  return { pointer: `/cedar/${part}/${key}`, code: 'cedar', message: `${message}${place}` };
}

const LONGEST_ID = 200;

function checkIds(parts: readonly CedarPart[], statements: readonly Statement[]): Problem[] {
  const first = new Map<string, Statement>();
  return statements.flatMap((statement): Problem[] => {
    const { id, part, start } = statement;
    const tell = (message: string) => [inText(parts, part, 'policies', { message, start })];
    if (id.trim() === '' || id.length > LONGEST_ID || id.includes('\0'))
      return tell(`@id must be of 1 to ${LONGEST_ID} characters`);
    const known = first.get(id);
    if (known) return tell(`the policy ${id} is there twice (first in the part ${parts[known.part]?.id})`);
    first.set(id, statement);
    return [];
  });
}

function checkSchema(parts: readonly CedarPart[], schema: string | undefined): Problem[] {
  if (schema === undefined) return [];
  const answer = withCedar((cedar) => cedar.checkParseSchema(schema));
  if (answer.type === 'success') return [];
  return answer.errors.map((error) => {
    const { message, start } = textProblem(error, schema);
    let [part, offset] = [parts.findIndex((one) => one.schema), start];
    // The texts were joined by a line feed each.
    for (const [index, one] of start === undefined ? [] : parts.entries()) {
      part = index;
      if ((offset ?? 0) <= (one.schema ?? '').length) break;
      offset = (offset ?? 0) - (one.schema ?? '').length - 1;
    }
    return inText(parts, part, 'schema', { message, start: offset });
  });
}

function validate(parts: readonly CedarPart[], statements: readonly Statement[], schema: string): Problem[] {
  const staticPolicies = Object.fromEntries(statements.map(({ id, text }) => [id, text]));
  const byId = new Map(statements.map((statement) => [statement.id, statement]));
  const answer = withCedar((cedar) =>
    cedar.validate({ schema, policies: { staticPolicies }, validationSettings: { mode: 'strict' } }),
  );
  if (answer.type === 'failure')
    return answer.errors.map(({ message }) => ({ pointer: '/cedar', code: 'cedar', message }));
  return answer.validationErrors.map(({ policyId, error }) => {
    const statement = byId.get(policyId);
    if (!statement) return { pointer: '/cedar', code: 'cedar', message: error.message };
    const { message, start = 0 } = textProblem(error, statement.text);
    return inText(parts, statement.part, 'policies', { message, start: statement.start + start });
  });
}

function checkNames(resourceTypes: readonly ResourceType[]): Problem[] {
  return sameInCedar(resourceTypes).map(([first, second]) => ({
    pointer: `/resourceTypes/${second}/type`,
    code: 'cedar',
    message: `is the same in Cedar as ${resourceTypes[first]?.type}: ${cedarTypeOf(resourceTypes[second]?.type ?? '')}`,
  }));
}

/** The kind in a Cedar schema that the values of an attribute have. */
const kinds: Record<AttributeType, string> = {
  string: 'String',
  uuid: 'String',
  integer: 'Long',
  number: 'decimal',
  boolean: 'Boolean',
  date: 'datetime',
  array: 'Set',
  object: 'Record',
};

/** Types that Cedar is asked about must be in the schema; the attributes of all that are there must be of one kind in both. */
function checkTypes(resourceTypes: readonly ResourceType[], shape: SchemaShape): Problem[] {
  return resourceTypes.flatMap((type, index) => {
    const base = `/resourceTypes/${index}`;
    const name = cedarTypeOf(type.type) ?? type.type;
    const entity = shape.entities.get(name);
    const tell = (pointer: string, message: string): Problem => ({ pointer, code: 'cedar_schema', message });
    const isAsked = asksCedar(type);
    if (!entity) return isAsked ? [tell(`${base}/type`, `the schema of Cedar has no entity ${name}`)] : [];
    return [
      ...(isAsked ? type.actions : []).flatMap((action, at) =>
        shape.actions.get(action)?.resources.includes(name)
          ? []
          : [
              tell(
                `${base}/actions/${at}`,
                `the schema of Cedar has no action ${action} that applies to ${name}, outside of namespaces`,
              ),
            ],
      ),
      ...Object.entries(type.attributes).flatMap(([attribute, spec]) => {
        const kind = entity.attributes.get(attribute);
        return kind === undefined || kind === kinds[spec.type]
          ? []
          : [
              tell(
                `${base}/attributes/${escapePointer(attribute)}/type`,
                `is ${kind} in the schema of Cedar, where ${spec.type} is ${kinds[spec.type]}`,
              ),
            ];
      }),
    ];
  });
}
