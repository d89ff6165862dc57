/** What rules may name of ancestors: the type, the id and the attributes of whatever something may lie in or belong to. */
import { ANCESTORS } from './built-in.ts';
import { isSafePath, pathsOf, templatesOf } from './condition.ts';
import { type Resolved, unsafePath } from './parse-condition.ts';
import type { AttributeSpec, ResourceType } from './policy.ts';
import type { CompiledRule } from './snapshot.ts';
import { closest } from './suggest.ts';

type Types = ReadonlyMap<string, ResourceType>;

/** How an attribute is declared; null: by several types, and not alike. */
type Declared = Record<string, AttributeSpec | null>;

/** A path below a list of ancestors, such as `viewers` of `ancestors.viewers`: the values of all of them. */
export function resolveBelowAncestors(path: string, types: Types): Resolved {
  const resolved = resolveOfAncestor(path, types);
  if (!('spec' in resolved) || !resolved.spec) return resolved;
  const { type, items } = resolved.spec;
  if (type === 'array') return { spec: { type, ...(items && { items }) } };
  return { spec: { type: 'array', items: type } };
}

/** A path of one ancestor, as in an `$elemMatch`; `query` may say of which type it is. */
export function resolveOfAncestor(path: string, types: Types, query?: object): Resolved {
  if (!isSafePath(path)) return unsafePath(path);
  const [name = '', ...rest] = path.split('.');
  const asked: unknown = query && Reflect.get(query, 'type');
  const declared = declaredBy(types, typeof asked === 'string' ? types.get(asked) : undefined);
  if (!Object.hasOwn(declared, name)) return unknownOfAncestor(name, rest, Object.keys(declared), asked);
  const spec = declared[name];
  if (!spec) return {};
  if (rest.length === 0) return { spec };
  if (spec.type === 'object' || (spec.type === 'array' && (spec.items ?? 'object') === 'object')) return {};
  return { code: 'unknown_attribute', problem: `${name} is a ${spec.type}; nothing lies below it` };
}

function unknownOfAncestor(name: string, rest: string[], known: string[], asked: unknown): Resolved {
  const suggestion = closest(name, known);
  const owner = typeof asked === 'string' ? `a ${asked}` : 'any resource type';
  const hint = suggestion ? `; did you mean ${[suggestion, ...rest].join('.')}?` : '';
  return {
    code: 'unknown_attribute',
    problem: `${name} is not an attribute of ${owner} that is an ancestor${hint}`,
    ...(suggestion && { suggestion }),
  };
}

const unions = new WeakMap<Types, Declared>();

function declaredBy(types: Types, type: ResourceType | undefined): Declared {
  if (type) return { ...type.attributes, ...factsOf(types) };
  const known = unions.get(types) ?? unionOf(types);
  unions.set(types, known);
  return known;
}

function unionOf(types: Types): Declared {
  const union: Declared = {};
  for (const { type, attributes } of types.values()) {
    if (isOurs(type)) continue;
    for (const [name, spec] of Object.entries(attributes)) {
      const other = Object.hasOwn(union, name) ? union[name] : undefined;
      const alike = !other || (other.type === spec.type && other.items === spec.items);
      union[name] =
        other === null || !alike ? null : { type: spec.type, ...(spec.items && { items: spec.items }) };
    }
  }
  return { ...union, ...factsOf(types) };
}

function isOurs(type: string): boolean {
  return type.startsWith('castellan.');
}

/** What every ancestor has, whatever its type declares. */
function factsOf(types: Types): Declared {
  const names = [...types.keys()].filter((name) => !isOurs(name));
  return {
    type: names.length > 0 ? { type: 'string', enum: names } : { type: 'string' },
    id: { type: 'string' },
  };
}

/** Whether a path begins with the ancestors. */
export function isOfAncestors(path: string): boolean {
  return path === ANCESTORS || path.startsWith(`${ANCESTORS}.`);
}

/** Whether a rule reads what its resource lies in, or what its principal belongs to. */
export function readsAncestors({ condition, when }: Pick<CompiledRule, 'condition' | 'when'>): boolean {
  return (
    pathsOf(condition).some(isOfAncestors) ||
    pathsOf(when).some((path) => path.startsWith(`principal.${ANCESTORS}`)) ||
    [...templatesOf(condition), ...templatesOf(when)].some(isOfAncestors)
  );
}
