/** Resource types and roles of a policy document: everything that is wrong with them, with pointers into it. */
import type { Problem } from '../errors.ts';
import { misfit } from './attributes.ts';
import { builtInTypes, reservedAttributes } from './built-in.ts';
import { isSafePath } from './condition.ts';
import { checkIdentity } from './identity.ts';
import { escapePointer } from './parse-condition.ts';
import { ANY_ACTION, ANY_TYPE, builtInRoles, type Policy, type ResourceType, type Role } from './policy.ts';
import { closest } from './suggest.ts';

/** Every problem of the policy's names, resource types and roles; its rules are checked one by one elsewhere. */
export function checkParts(policy: Policy, evaluators: readonly string[]): Problem[] {
  return [
    ...duplicates(
      policy.resourceTypes.map(({ type }) => type),
      '/resourceTypes',
      'type',
    ),
    ...duplicates(
      policy.roles.map(({ key }) => key),
      '/roles',
      'key',
    ),
    ...duplicates(
      policy.rules.map(({ id }) => id),
      '/rules',
      'id',
    ),
    ...duplicates(
      policy.routes.map(({ id }) => id),
      '/routes',
      'id',
    ),
    ...checkVocabulary(policy, evaluators),
  ];
}

/** What was found of a list of types beside a list of roles: most changes are of rules, and lists are never changed in place. */
const vocabularies = new WeakMap<
  readonly ResourceType[],
  { roles: readonly Role[]; evaluators: string; problems: Problem[] }
>();

function checkVocabulary({ resourceTypes, roles }: Policy, evaluators: readonly string[]): Problem[] {
  const known = vocabularies.get(resourceTypes);
  if (known?.roles === roles && known.evaluators === evaluators.join()) return known.problems;
  const problems = [
    ...resourceTypes.flatMap((type, index) => [
      ...checkType(type, `/resourceTypes/${index}`, evaluators),
      ...checkIdentity(type, roles, `/resourceTypes/${index}`),
    ]),
    ...checkBuiltIns(resourceTypes),
    ...checkRoles(roles),
  ];
  vocabularies.set(resourceTypes, { roles, evaluators: evaluators.join(), problems });
  return problems;
}

function checkType(type: ResourceType, base: string, evaluators: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  if (type.type === ANY_TYPE)
    problems.push({
      pointer: `${base}/type`,
      code: 'reserved',
      message: `${ANY_TYPE} stands for every resource type`,
    });
  if (type.actions.includes(ANY_ACTION))
    problems.push({
      pointer: `${base}/actions`,
      code: 'reserved',
      message: `${ANY_ACTION} stands for every action`,
    });
  if (!evaluators.includes(type.evaluator)) {
    problems.push({
      pointer: `${base}/evaluator`,
      code: 'unknown_evaluator',
      message: `is not an evaluator; there are ${evaluators.join(', ')}`,
    });
  }
  problems.push(...checkShadow(type, base, evaluators));
  for (const [name, spec] of Object.entries(type.attributes)) {
    const pointer = `${base}/attributes/${escapePointer(name)}`;
    if (!isSafePath(name) || name.includes('.'))
      problems.push({
        pointer,
        code: 'unsafe_path',
        message: 'must be a name of letters, digits and _ that no object inherits',
      });
    if (reservedAttributes.has(name))
      problems.push({
        pointer,
        code: 'reserved',
        message: `${name} comes from the parents of stored entities; it cannot be declared`,
      });
    if (spec.items && spec.type !== 'array')
      problems.push({ pointer: `${pointer}/items`, code: 'shape', message: 'is only for arrays' });
    const misfits = spec.enum?.filter((value) => misfit(value, { type: spec.type })) ?? [];
    if (misfits.length > 0)
      problems.push({
        pointer: `${pointer}/enum`,
        code: 'shape',
        message: `must hold values of type ${spec.type}`,
      });
  }
  return problems;
}

function checkShadow(
  { evaluator, shadow }: ResourceType,
  base: string,
  evaluators: readonly string[],
): Problem[] {
  if (shadow === undefined) return [];
  const pointer = `${base}/shadow`;
  if (!evaluators.includes(shadow))
    return [
      {
        pointer,
        code: 'unknown_evaluator',
        message: `is not an evaluator; there are ${evaluators.join(', ')}`,
      },
    ];
  if (shadow !== evaluator) return [];
  return [{ pointer, code: 'shape', message: 'must be another one than the evaluator' }];
}

/** The gateway asks about these itself, so a policy without them would deny its own administrators. */
function checkBuiltIns(types: ResourceType[]): Problem[] {
  return builtInTypes.flatMap((wanted): Problem[] => {
    const index = types.findIndex(({ type }) => type === wanted.type);
    const found = types[index];
    if (!found)
      return [{ pointer: '/resourceTypes', code: 'built_in', message: `${wanted.type} must be there` }];
    const base = `/resourceTypes/${index}`;
    const actions = wanted.actions.filter((action) => !found.actions.includes(action));
    const attributes = Object.keys(wanted.attributes).filter(
      (name) =>
        found.attributes[name]?.type !== wanted.attributes[name]?.type ||
        found.attributes[name]?.items !== wanted.attributes[name]?.items,
    );
    return [
      ...actions.map((action) => ({
        pointer: `${base}/actions`,
        code: 'built_in',
        message: `must keep ${action}`,
      })),
      ...attributes.map((name) => ({
        pointer: `${base}/attributes/${name}`,
        code: 'built_in',
        message: `must keep ${name} of type ${wanted.attributes[name]?.type}`,
      })),
      // What is asked about these is also asked of the rules, such as whether somebody could still change the policy.
      ...(found.evaluator !== 'casl'
        ? [{ pointer: `${base}/evaluator`, code: 'built_in', message: 'must stay casl' }]
        : []),
      // It would be told of everybody who asks anything: their addresses, names and attributes.
      ...(found.shadow !== undefined
        ? [{ pointer: `${base}/shadow`, code: 'built_in', message: 'must have none' }]
        : []),
    ];
  });
}

function checkRoles(roles: Role[]): Problem[] {
  const byKey = new Map(roles.map((role) => [role.key, role]));
  return roles.flatMap((role, index) => {
    const base = `/roles/${index}`;
    const problems: Problem[] = [];
    if ((builtInRoles as readonly string[]).includes(role.key))
      problems.push({ pointer: `${base}/key`, code: 'reserved', message: `${role.key} is a built-in role` });
    role.inherits.forEach((parent, at) => {
      if (byKey.has(parent)) return;
      const suggestion = closest(parent, byKey.keys());
      const message = `${parent} is not a role${suggestion ? `; did you mean ${suggestion}?` : ''}`;
      problems.push({
        pointer: `${base}/inherits/${at}`,
        code: 'unknown_role',
        message,
        ...(suggestion && { suggestion }),
      });
    });
    const loop = cycleFrom(role.key, byKey);
    if (loop)
      problems.push({
        pointer: `${base}/inherits`,
        code: 'cycle',
        message: `a role must not inherit itself: ${loop.join(' → ')}`,
      });
    return problems;
  });
}

/** The way from a role back to itself, if there is one. */
function cycleFrom(start: string, roles: ReadonlyMap<string, Role>): string[] | undefined {
  const seen = new Set<string>();
  const visit = (key: string, path: string[]): string[] | undefined => {
    for (const parent of roles.get(key)?.inherits ?? []) {
      if (parent === start) return [...path, start];
      if (seen.has(parent)) continue;
      seen.add(parent);
      const found = visit(parent, [...path, parent]);
      if (found) return found;
    }
    return undefined;
  };
  return visit(start, [start]);
}

function duplicates(names: string[], base: string, key: string): Problem[] {
  if (new Set(names).size === names.length) return [];
  const first = new Map<string, number>();
  return names.flatMap((name, index) => {
    if (first.has(name))
      return [
        {
          pointer: `${base}/${index}/${key}`,
          code: 'duplicate',
          message: `${name} is there twice (first at ${base}/${first.get(name)})`,
        },
      ];
    first.set(name, index);
    return [];
  });
}
