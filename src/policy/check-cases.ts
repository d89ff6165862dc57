/** Cases against the policy that they are about: everything that they name must be there. */
import type { Problem } from '../errors.ts';
import { misfit } from './attributes.ts';
import { ACCOUNT_TYPE, API_KEY_TYPE, contextFacts } from './built-in.ts';
import { isSafePath } from './condition.ts';
import { escapePointer } from './parse-condition.ts';
import type {
  AskedAction,
  AskedAncestor,
  AskedPrincipal,
  AskedResource,
  AttributeSpec,
  Case,
  Policy,
  Question,
  ResourceType,
  Role,
} from './policy.ts';
import { closest, unknownName } from './suggest.ts';

/** What a case may refer to. */
interface Known {
  types: ReadonlyMap<string, ResourceType>;
  roles: ReadonlyMap<string, Role>;
  rules: ReadonlySet<string>;
}

/** Every problem of the policy's cases, with pointers into the policy. */
export function checkCases(policy: Policy, types: Known['types'], roles: Known['roles']): Problem[] {
  const known: Known = { types, roles, rules: new Set(policy.rules.map(({ id }) => id)) };
  let questions = 0;
  return policy.cases.flatMap((written, index) => {
    const base = `/cases/${index}`;
    questions += questionsIn(written);
    if (questions > MOST_QUESTIONS)
      return [
        { pointer: base, code: 'too_long', message: `is beyond ${MOST_QUESTIONS} questions in all cases` },
      ];
    return checkCase(written, known, base);
  });
}

/** All of them are asked before each publication. */
const MOST_QUESTIONS = 20_000;

function questionsIn(written: Case): number {
  if (!('principals' in written)) return 1;
  const { principals, resources, actions } = written;
  return Object.keys(principals).length * Object.keys(resources).length * actions.length;
}

/** Everything that a question names and the policy does not have; pointers are into the question. */
export function checkQuestion(
  { principal, resource, action, context }: Question,
  { types, roles }: Pick<Known, 'types' | 'roles'>,
): Problem[] {
  const known = { types, roles, rules: new Set<string>() };
  return [
    ...checkPrincipal(principal, known, '/principal'),
    ...checkResource(resource, known, '/resource'),
    ...checkAction(action, resource, known, '/action'),
    ...checkContext(context, '/context'),
  ];
}

function checkCase(written: Case, known: Known, base: string): Problem[] {
  if ('principals' in written) {
    const { principals, resources, actions, allow } = written;
    return [
      ...Object.entries(principals).flatMap(([name, principal]) =>
        checkPrincipal(principal, known, `${base}/principals/${escapePointer(name)}`),
      ),
      ...Object.entries(resources).flatMap(([name, resource]) =>
        checkResource(resource, known, `${base}/resources/${escapePointer(name)}`),
      ),
      ...checkContext(written.context, `${base}/context`),
      ...checkActions(actions, Object.values(resources), known, `${base}/actions`),
      ...checkTable(allow, { principals, resources, actions }, known, `${base}/allow`),
    ];
  }
  const { principal, resource, action, rule, fields, context } = written;
  const problems = [
    ...checkPrincipal(principal, known, `${base}/principal`),
    ...checkResource(resource, known, `${base}/resource`),
    ...checkAction(action, resource, known, `${base}/action`),
  ];
  if (typeof rule === 'string' && !known.rules.has(rule))
    problems.push(unknownName(`${base}/rule`, 'rule', rule, known.rules));
  return [
    ...problems,
    ...checkFields(fields, resource, known, `${base}/fields`),
    ...checkContext(context, `${base}/context`),
  ];
}

function checkPrincipal(principal: AskedPrincipal, { types, roles }: Known, base: string): Problem[] {
  if (principal === 'anonymous') return [];
  const { type = ACCOUNT_TYPE, roles: given = [] } = principal;
  const problems: Problem[] = given.flatMap((role, index) =>
    roles.has(role) ? [] : [unknownName(`${base}/roles/${index}`, 'role', role, roles.keys())],
  );
  const declared = types.get(type) ?? (type === API_KEY_TYPE ? withoutAttributes : undefined);
  if (!declared) return [...problems, unknownName(`${base}/type`, 'type', type, types.keys())];
  return [
    ...problems,
    ...checkAttributes(principal, declared, ['type', 'id', 'roles', 'ancestors', 'attributes'], base),
    ...checkAncestors(principal.ancestors, types, `${base}/ancestors`),
  ];
}

/** An API key as principal. */
const withoutAttributes: ResourceType = {
  type: API_KEY_TYPE,
  description: '',
  actions: [],
  attributes: {},
  source: null,
  evaluator: '',
};

function checkResource(resource: AskedResource, { types }: Known, base: string): Problem[] {
  const declared = types.get(resource.type);
  if (!declared) return [unknownName(`${base}/type`, 'type', resource.type, types.keys())];
  return [
    ...checkAttributes(resource, declared, ['type', 'id', 'ancestors', 'attributes'], base),
    ...checkAncestors(resource.ancestors, types, `${base}/ancestors`),
  ];
}

function checkAncestors(ancestors: AskedAncestor[] = [], types: Known['types'], base: string): Problem[] {
  return ancestors.flatMap((ancestor, index) => {
    const declared = types.get(ancestor.type);
    const at = `${base}/${index}`;
    return declared
      ? checkAttributes(ancestor, declared, ['type', 'id'], at)
      : [unknownName(`${at}/type`, 'type', ancestor.type, types.keys())];
  });
}

/** A misspelt attribute would be missing from every decision, and a case that expects a denial would pass by mistake. */
function checkAttributes(
  asked: { attributes?: Record<string, unknown>; [attribute: string]: unknown },
  { attributes }: ResourceType,
  own: readonly string[],
  base: string,
): Problem[] {
  const check = (given: Record<string, unknown>, at: string, passed: readonly string[]) =>
    Object.entries(given).flatMap(([name, value]): Problem[] => {
      if (passed.includes(name) || name === 'id') return [];
      const pointer = `${at}/${escapePointer(name)}`;
      const spec = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
      if (!spec) return [unknownName(pointer, 'attribute', name, Object.keys(attributes))];
      return value === null ? [] : valueProblems(pointer, value, spec);
    });
  return [...check(asked, base, own), ...check(asked.attributes ?? {}, `${base}/attributes`, [])];
}

function valueProblems(pointer: string, value: unknown, spec: AttributeSpec): Problem[] {
  const message = misfit(value, spec);
  return message === undefined ? [] : [{ pointer, code: 'value', message }];
}

/** Whoever asks may give facts of their own, but a name that is close to a known one is taken for a slip. */
function checkContext(context: Record<string, unknown> = {}, base: string): Problem[] {
  return Object.entries(context).flatMap(([name, value]): Problem[] => {
    const pointer = `${base}/${escapePointer(name)}`;
    const spec = Object.hasOwn(contextFacts, name) ? contextFacts[name] : undefined;
    if (spec) return value === null ? [] : valueProblems(pointer, value, spec);
    const known = Object.keys(contextFacts);
    return closest(name, known) === undefined ? [] : [unknownName(pointer, 'attribute', name, known)];
  });
}

/** A field is an attribute, or lies below one. */
function checkFields(
  fields: Record<string, boolean> = {},
  { type }: AskedResource,
  known: Known,
  base: string,
): Problem[] {
  const names = Object.keys({ id: true, ...known.types.get(type)?.attributes });
  return Object.keys(fields).flatMap((field): Problem[] => {
    const pointer = `${base}/${escapePointer(field)}`;
    if (!isSafePath(field)) return [{ pointer, code: 'unsafe_path', message: 'is not a path' }];
    const [name = ''] = field.split('.');
    return names.includes(name) ? [] : [unknownName(pointer, 'field', name, names)];
  });
}

function checkAction(
  action: AskedAction,
  { type }: AskedResource,
  { types }: Known,
  base: string,
): Problem[] {
  const name = typeof action === 'string' ? action : action.name;
  const actions = types.get(type)?.actions;
  return actions && !actions.includes(name) ? [unknownName(base, 'action', name, actions)] : [];
}

/** Each action of a matrix must be one of some resource in it; to the others it is denied. */
function checkActions(
  actions: readonly string[],
  resources: readonly AskedResource[],
  { types }: Known,
  base: string,
): Problem[] {
  const known = new Set(resources.flatMap(({ type }) => types.get(type)?.actions ?? []));
  return actions.flatMap((action, index) =>
    known.size === 0 || known.has(action) ? [] : [unknownName(`${base}/${index}`, 'action', action, known)],
  );
}

function checkTable(
  allow: Record<string, Record<string, string[]>>,
  {
    principals,
    resources,
    actions,
  }: { principals: object; resources: Record<string, AskedResource>; actions: string[] },
  known: Known,
  base: string,
): Problem[] {
  return Object.entries(allow).flatMap(([principal, row]) => {
    const at = `${base}/${escapePointer(principal)}`;
    if (!Object.hasOwn(principals, principal))
      return [unknownName(at, 'principal', principal, Object.keys(principals))];
    return Object.entries(row).flatMap(([resource, allowed]) => {
      const cell = `${at}/${escapePointer(resource)}`;
      const asked = Object.hasOwn(resources, resource) ? resources[resource] : undefined;
      if (!asked) return [unknownName(cell, 'resource', resource, Object.keys(resources))];
      return allowed.flatMap((action, index) =>
        actions.includes(action)
          ? checkAction(action, asked, known, `${cell}/${index}`)
          : [unknownName(`${cell}/${index}`, 'action', action, actions)],
      );
    });
  });
}
