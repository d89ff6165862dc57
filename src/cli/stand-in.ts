/** Who stands for everybody of a role where rules ask about whoever asks. */
import { anonymous, principalOf } from '../decision/access-request.ts';
import type { Principal } from '../policy/ability.ts';
import { ACCOUNT_TYPE } from '../policy/built-in.ts';
import { pathsOf, templatesOf } from '../policy/condition.ts';
import type { AttributeSpec } from '../policy/policy.ts';
import type { CompiledRule, Snapshot } from '../policy/snapshot.ts';

const NIL = '00000000-0000-0000-0000-000000000000';

/** Each role, and those without any where rules speak of them. */
export function askers(snapshot: Snapshot, rules: readonly CompiledRule[]): [string, Principal][] {
  const speaksOf = (...roles: string[]) => rules.some(({ source: { role } }) => role && roles.includes(role));
  return [
    ...(speaksOf('everyone', 'anonymous') ? [['anonymous', anonymous] as [string, Principal]] : []),
    ...(speaksOf('everyone', 'authenticated')
      ? [['authenticated', standIn(snapshot, [])] as [string, Principal]]
      : []),
    ...[...snapshot.roles.keys()].map((role): [string, Principal] => [role, standIn(snapshot, [role])]),
  ];
}

/** Somebody whose attributes say what they are. */
export function standIn({ types }: Snapshot, roles: readonly string[]): Principal {
  const type = types.get(ACCOUNT_TYPE);
  const attributes = Object.fromEntries(
    Object.entries(type?.attributes ?? {}).map(([name, spec]) => [name, standInFor(name, spec)]),
  );
  return principalOf({ type: ACCOUNT_TYPE, id: NIL, roles, attributes, accessVersion: 0 }, type);
}

function standInFor(name: string, { type, items }: AttributeSpec): unknown {
  switch (type) {
    case 'array':
      return [standInFor(name, { type: items ?? 'string' })];
    case 'boolean':
      return true;
    case 'date':
      return '2000-01-01T00:00:00.000Z';
    case 'integer':
    case 'number':
      return 0;
    case 'object':
      return {};
    case 'string':
      return `<${name}>`;
    case 'uuid':
      return NIL;
  }
}

/** The attributes of the principal that a rule looks at. */
export function principalPaths({ condition, when }: CompiledRule): string[] {
  const tested = pathsOf(when).filter((path) => path.startsWith('principal.'));
  const paths = [...templatesOf(condition), ...templatesOf(when), ...tested.map((path) => path.slice(10))];
  return paths.map((path) => path.split('.')[0] ?? '');
}
